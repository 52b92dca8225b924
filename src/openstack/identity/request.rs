//! The request for a token (Keystone API v3, "Authentication and token management").

use serde_json::{Value, json};

use crate::openstack::cloud::{Cloud, Credentials, Domain, Named, Scope};

/// Where tokens are asked for, whether or not the address has `/v3` already.
#[must_use]
pub fn token_url(auth_url: &str) -> String {
    let base = auth_url.trim_end_matches('/');
    let base = base.strip_suffix("/v2.0").unwrap_or(base);
    let base = base.strip_suffix("/v3").unwrap_or(base);
    format!("{base}/v3/auth/tokens")
}

/// The body. It holds a secret: it is sent, and neither shown nor kept.
#[must_use]
pub fn token_request(cloud: &Cloud) -> Value {
    let identity = match &cloud.credentials {
        Credentials::Password { user, password } => {
            let mut user = named(user);
            user["password"] = json!(password.reveal());
            json!({"methods": ["password"], "password": {"user": user}})
        }
        Credentials::ApplicationCredential {
            credential,
            user,
            secret,
        } => {
            let mut credential = named(credential);
            credential["secret"] = json!(secret.reveal());
            if let (Some(user), true) = (user, credential.get("id").is_none()) {
                credential["user"] = named(user);
            }
            json!({"methods": ["application_credential"], "application_credential": credential})
        }
        Credentials::Token(token) => {
            json!({"methods": ["token"], "token": {"id": token.reveal()}})
        }
    };
    let mut auth = json!({"identity": identity});
    match &cloud.scope {
        Scope::Project(project) => auth["scope"] = json!({"project": named(project)}),
        Scope::Domain(of) => auth["scope"] = json!({"domain": domain(of)}),
        Scope::System => auth["scope"] = json!({"system": {"all": true}}),
        Scope::Own => {}
    }
    json!({"auth": auth})
}

fn named(named: &Named) -> Value {
    match named {
        Named::Id(id) => json!({"id": id}),
        Named::Name(name, None) => json!({"name": name}),
        Named::Name(name, Some(of)) => json!({"name": name, "domain": domain(of)}),
    }
}

fn domain(of: &Domain) -> Value {
    match of {
        Domain::Id(id) => json!({"id": id}),
        Domain::Name(name) => json!({"name": name}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::openstack::Secret;
    use crate::openstack::cloud::Interface;

    fn cloud(credentials: Credentials, scope: Scope) -> Cloud {
        Cloud {
            auth_url: "https://k/v3".to_owned(),
            credentials,
            scope,
            region: None,
            interface: Interface::Public,
            compute_endpoint: None,
            ca_file: None,
        }
    }

    #[test]
    fn tokens_are_asked_for_below_v3_however_the_address_is_written() {
        for url in [
            "https://k:5000",
            "https://k:5000/",
            "https://k:5000/v3",
            "https://k:5000/v3/",
            "https://k:5000/v2.0",
        ] {
            assert_eq!(token_url(url), "https://k:5000/v3/auth/tokens");
        }
        assert_eq!(
            token_url("https://k/identity"),
            "https://k/identity/v3/auth/tokens"
        );
    }

    #[test]
    fn every_way_to_log_in_has_keystones_form() {
        let name =
            |name: &str| Named::Name(name.to_owned(), Some(Domain::Id("default".to_owned())));
        let password = Credentials::Password {
            user: name("ops"),
            password: Secret::new("p"),
        };
        assert_eq!(
            token_request(&cloud(password, Scope::Project(name("admin")))),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "ops", "domain": {"id": "default"}, "password": "p"}}},
                "scope": {"project": {"name": "admin", "domain": {"id": "default"}}}}})
        );
        let by_name = Credentials::ApplicationCredential {
            credential: Named::Name("ci".to_owned(), None),
            user: Some(Named::Id("u1".to_owned())),
            secret: Secret::new("s"),
        };
        assert_eq!(
            token_request(&cloud(by_name, Scope::Own)),
            json!({"auth": {"identity": {"methods": ["application_credential"],
                "application_credential": {"name": "ci", "secret": "s", "user": {"id": "u1"}}}}})
        );
        assert_eq!(
            token_request(&cloud(Credentials::Token(Secret::new("t")), Scope::System)),
            json!({"auth": {"identity": {"methods": ["token"], "token": {"id": "t"}},
                "scope": {"system": {"all": true}}}})
        );
    }
}
