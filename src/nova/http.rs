//! One HTTP exchange, bounded in time and size.

use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Client, redirect};

use super::error::{Distrust, NovaError, Unsent};
use crate::openstack::Method;

/// Largest answer that is read. A page of 1,000 servers is some 5 MB.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;

/// How long things may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For a connection.
    pub connect: Duration,
    /// For one answer.
    pub answer: Duration,
    /// For a read in all, repeated while the API is away.
    pub read: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            answer: Duration::from_secs(60),
            read: Duration::from_secs(120),
        }
    }
}

/// An HTTP client that trusts what it was told to trust.
#[derive(Debug, Clone)]
pub struct Http {
    client: Client,
}

/// What came back.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Response {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Http {
    /// Makes one. `authorities` is a PEM file's text that alone says which certificates are trusted.
    ///
    /// # Errors
    /// The certificates cannot be read, or TLS cannot be started.
    pub fn new(authorities: Option<&str>, patience: &Patience) -> Result<Self, NovaError> {
        // A second call finds it there already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("clearway/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(patience.connect)
            .timeout(patience.answer)
            .pool_idle_timeout(Duration::from_secs(30))
            // A token is never taken to another address.
            .redirect(redirect::Policy::none());
        if let Some(pem) = authorities {
            let certificates = Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|error| NovaError::Client(format!("CA file: {}", chain(&error))))?;
            if certificates.is_empty() {
                return Err(NovaError::Client(
                    "CA file: no certificate in it".to_owned(),
                ));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let client = builder
            .build()
            .map_err(|error| NovaError::Client(chain(&error)))?;
        Ok(Self { client })
    }

    /// One exchange. What fails here may or may not have been carried out: see [`Unsent`].
    pub(super) async fn exchange(
        &self,
        method: Method,
        url: &str,
        headers: &[(&'static str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Response, Failed> {
        let method = match method {
            Method::Get => reqwest::Method::GET,
            Method::Post => reqwest::Method::POST,
            Method::Put => reqwest::Method::PUT,
            Method::Delete => reqwest::Method::DELETE,
        };
        let mut request = self.client.request(method, url);
        for (name, value) in headers {
            let value = HeaderValue::from_str(value).map(|mut value| {
                value.set_sensitive(*name == "x-auth-token");
                value
            });
            let Ok(value) = value else { continue };
            request = request.header(HeaderName::from_static(name), value);
        }
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body);
        }
        let mut response = request.send().await.map_err(|error| {
            let why = chain(&error);
            // rustls' words for whatever is wrong with a certificate.
            if error.is_connect()
                && let Some((_, why)) = why.split_once("invalid peer certificate: ")
            {
                return Failed::Unsent(Unsent::Untrusted(Distrust::read(why)));
            }
            // A connection that could not be opened has carried nothing.
            Failed::Unsent(if error.is_connect() || error.is_builder() {
                Unsent::NoConnection(why)
            } else {
                Unsent::NoAnswer(why)
            })
        })?;
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(bytes)) if body.len() + bytes.len() > LARGEST => {
                    return Err(Failed::TooLarge);
                }
                Ok(Some(bytes)) => body.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(error) => return Err(Failed::Unsent(Unsent::NoAnswer(chain(&error)))),
            }
        }
        Ok(Response {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body,
        })
    }
}

/// Why an exchange brought nothing.
pub(super) enum Failed {
    Unsent(Unsent),
    TooLarge,
}

/// An error and its causes, without the address: its query may be long, and everybody knows it.
fn chain(error: &reqwest::Error) -> String {
    let mut parts = Vec::new();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let text = error.to_string();
        if !parts.contains(&text) {
            parts.push(text);
        }
        cause = error.source();
    }
    if parts.is_empty() {
        parts.push(if error.is_timeout() {
            "deadline passed".to_owned()
        } else if error.is_builder() {
            "the request cannot be made".to_owned()
        } else {
            "connection failed".to_owned()
        });
    }
    parts.join(": ")
}
