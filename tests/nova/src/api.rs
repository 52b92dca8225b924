//! Requests to Keystone and Nova, as far as the lab itself makes some.

use std::time::Duration;

use serde_json::{Value, json};
use ureq::Agent;

use crate::error::{CloudError, Result};

/// An answer of Nova's API.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body; null if there was none.
    pub body: Value,
    /// Nova's request id.
    pub request_id: Option<String>,
}

impl Answer {
    /// The answer, if its status says that all went well.
    ///
    /// # Errors
    /// [`CloudError::Refused`] otherwise.
    pub fn expect_success(self, what: &str) -> Result<Self> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(CloudError::Refused {
            what: what.into(),
            status: self.status,
            body: self.body.to_string(),
        })
    }
}

/// An HTTP client that passes failures on as answers.
pub(crate) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_global(Some(Duration::from_secs(120)))
        .build()
        .into()
}

/// Sends one request. `microversion` is Nova's, such as `2.90`.
pub(crate) fn send(
    agent: &Agent,
    method: &str,
    url: &str,
    token: Option<&str>,
    microversion: &str,
    body: Option<&str>,
) -> Result<(Answer, Option<String>)> {
    let failed = |source: ureq::Error| CloudError::Http {
        what: format!("{method} {url}"),
        source: Box::new(source),
    };
    let mut request = ureq::http::Request::builder()
        .method(method)
        .uri(url)
        .header("OpenStack-API-Version", format!("compute {microversion}"))
        .header("Accept", "application/json");
    if let Some(token) = token {
        request = request.header("X-Auth-Token", token);
    }
    let response = match body {
        Some(body) => {
            let request = request.header("Content-Type", "application/json");
            let request = request.body(body).map_err(|error| failed(error.into()))?;
            agent.run(request)
        }
        None => {
            let request = request.body(()).map_err(|error| failed(error.into()))?;
            agent.run(request)
        }
    };
    let mut response = response.map_err(failed)?;
    let header = |name: &str| {
        let value = response.headers().get(name)?;
        Some(value.to_str().ok()?.to_owned())
    };
    let (request_id, subject) = (header("x-openstack-request-id"), header("x-subject-token"));
    let status = response.status().as_u16();
    let text = response.body_mut().read_to_string().map_err(failed)?;
    let body = serde_json::from_str(&text).unwrap_or(if text.is_empty() {
        Value::Null
    } else {
        Value::String(text)
    });
    Ok((
        Answer {
            status,
            body,
            request_id,
        },
        subject,
    ))
}

/// Logs in with a password, to project `demo`.
pub(crate) fn log_in(
    agent: &Agent,
    identity: &str,
    person: &str,
    password: &str,
) -> Result<String> {
    let default = json!({"id": "default"});
    let body = json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {
            "name": person, "password": password, "domain": default}}},
        "scope": {"project": {"name": "demo", "domain": default}},
    }});
    let url = format!("{identity}/auth/tokens");
    let (answer, token) = send(agent, "POST", &url, None, "2.1", Some(&body.to_string()))?;
    let what = format!("logging in as {person}");
    let answer = answer.expect_success(&what)?;
    token.ok_or(CloudError::Refused {
        what,
        status: answer.status,
        body: "no X-Subject-Token".into(),
    })
}
