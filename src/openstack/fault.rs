//! What the API says when it refuses.

use std::fmt;

use serde_json::Value;

/// Most bytes of a message that are kept.
const LONGEST: usize = 2_000;

/// A refusal: `{"conflictingRequest": {"code": 409, "message": "…"}}` (nova/api/openstack/wsgi.py `Fault`), Keystone's
/// `{"error": {…}}`, or whatever a proxy in between says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// HTTP status.
    pub status: u16,
    /// The message, bounded; empty when there is none.
    pub message: String,
    /// Whether it is Nova's own word that there is no such thing (`itemNotFound`), and not a proxy's that has no such path.
    pub is_item_not_found: bool,
}

impl Fault {
    /// Reads the body of a refusal. A body that is not JSON is not shown: it is a proxy's page.
    #[must_use]
    pub fn read(status: u16, body: &[u8]) -> Self {
        let value = serde_json::from_slice::<Value>(body).ok();
        let message = value.as_ref().and_then(find_message);
        Self {
            status,
            message: message.map(|text| bounded(&text)).unwrap_or_default(),
            is_item_not_found: status == 404
                && value.is_some_and(|it| it.get("itemNotFound").is_some()),
        }
    }

    /// The policy rule that a 403 names.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        (self.status == 403)
            .then(|| Policy::find(&self.message))
            .flatten()
    }
}

fn find_message(value: &Value) -> Option<String> {
    let object = value.as_object()?;
    if let Some(text) = object.get("message").and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    object
        .values()
        .find_map(|inner| Some(inner.as_object()?.get("message")?.as_str()?.to_owned()))
}

fn bounded(text: &str) -> String {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].trim().to_owned()
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() {
            write!(f, "HTTP {}", self.status)
        } else {
            write!(f, "HTTP {}: {}", self.status, self.message)
        }
    }
}

/// A rule of Nova's policy, as a 403 names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Policy(String);

impl Policy {
    /// Finds `Policy doesn't allow RULE to be performed` in a text, in today's form and in the one of the v2 API
    /// (`compute_extension:admin_actions:migrate`, until Mitaka).
    #[must_use]
    pub fn find(text: &str) -> Option<Self> {
        let (_, rest) = text.split_once("Policy doesn't allow ")?;
        let (rule, _) = rest.split_once(" to be performed")?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b":_-.".contains(&b);
        (!rule.is_empty() && rule.len() <= 200 && rule.bytes().all(allowed))
            .then(|| Self(rule.to_owned()))
    }

    /// The rule as it stands in a policy file.
    #[must_use]
    pub fn rule(&self) -> &str {
        &self.0
    }

    /// The rule's name since Nova 2015.1 (v2.1), for one in the old form.
    #[must_use]
    pub fn today(&self) -> &str {
        match self.0.as_str() {
            "compute_extension:admin_actions:migrate" => "os_compute_api:os-migrate-server:migrate",
            "compute_extension:admin_actions:migrateLive" => {
                "os_compute_api:os-migrate-server:migrate_live"
            }
            "compute_extension:admin_actions:resetState" => {
                "os_compute_api:os-admin-actions:reset_state"
            }
            rule => rule,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_read_in_every_form_and_a_page_of_a_proxy_is_not_shown() {
        for (body, message) in [
            (
                r#"{"conflictingRequest":{"code":409,"message":"Cannot 'migrate' instance U while it is in vm_state error"}}"#,
                "Cannot 'migrate' instance U while it is in vm_state error",
            ),
            (
                r#"{"error":{"code":401,"message":"The request you have made requires authentication.","title":"Unauthorized"}}"#,
                "The request you have made requires authentication.",
            ),
            (
                r#"{"message":"The server is currently unavailable.","code":"503 Service Unavailable"}"#,
                "The server is currently unavailable.",
            ),
            ("<html>502 Bad Gateway</html>", ""),
            ("", ""),
            ("[1]", ""),
        ] {
            assert_eq!(Fault::read(409, body.as_bytes()).message, message);
        }
        let gone = r#"{"itemNotFound":{"code":404,"message":"Instance U could not be found."}}"#;
        assert!(Fault::read(404, gone.as_bytes()).is_item_not_found);
        for other in ["<html>404 Not Found</html>", r#"{"message":"404"}"#, ""] {
            assert!(!Fault::read(404, other.as_bytes()).is_item_not_found);
        }
        let long = format!(r#"{{"x":{{"message":"{}"}}}}"#, "ü".repeat(5_000));
        assert!(Fault::read(500, long.as_bytes()).message.len() <= LONGEST);
    }

    #[test]
    fn a_missing_right_is_named_by_its_rule_in_the_old_form_too() {
        let rule = |status, text: &str| {
            Fault {
                status,
                message: text.to_owned(),
                is_item_not_found: false,
            }
            .policy()
            .map(|policy| policy.today().to_owned())
        };
        assert_eq!(
            rule(403, "Policy doesn't allow os_compute_api:os-migrate-server:migrate:host to be performed.").as_deref(),
            Some("os_compute_api:os-migrate-server:migrate:host")
        );
        assert_eq!(
            rule(403, "ERROR (Forbidden): Policy doesn't allow compute_extension:admin_actions:migrate to be performed. (HTTP 403) (Request-ID: req-1)").as_deref(),
            Some("os_compute_api:os-migrate-server:migrate")
        );
        assert_eq!(rule(403, "Quota exceeded"), None);
        assert_eq!(rule(409, "Policy doesn't allow x to be performed"), None);
        assert_eq!(
            rule(403, "Policy doesn't allow \u{1b}[2J to be performed"),
            None
        );
    }
}
