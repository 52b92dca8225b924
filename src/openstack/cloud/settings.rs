//! A cloud's settings, from the values that a file or the environment has for it.

use std::fmt;

use serde_json::{Map, Value};

use super::error::CloudError;
use crate::openstack::Secret;

/// A cloud and as whom it is talked to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cloud {
    /// Keystone, with or without `/v3`.
    pub auth_url: String,
    /// Who.
    pub credentials: Credentials,
    /// For what.
    pub scope: Scope,
    /// The region; the only one of the catalog otherwise.
    pub region: Option<String>,
    /// Which of a service's addresses.
    pub interface: Interface,
    /// The Compute API's address instead of the catalog's.
    pub compute_endpoint: Option<String>,
    /// A PEM file that alone says which certificates are trusted; the system's otherwise.
    pub ca_file: Option<String>,
}

/// Who talks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password.
    Password {
        /// The user.
        user: Named,
        /// The password.
        password: Secret,
    },
    /// An application credential; its scope is its own.
    ApplicationCredential {
        /// The credential; one with a name only belongs to a user.
        credential: Named,
        /// The user, needed with a name only.
        user: Option<Named>,
        /// The secret.
        secret: Secret,
    },
    /// A token that somebody else got. It cannot be renewed for longer than it lasts.
    Token(Secret),
}

/// Something by its id, or by its name within a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By id.
    Id(String),
    /// By name.
    Name(String, Option<Domain>),
}

/// A Keystone domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Domain {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// For what a token is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// A project.
    Project(Named),
    /// A domain.
    Domain(Domain),
    /// The whole system (`system_scope: all`).
    System,
    /// Whatever the credentials are for.
    Own,
}

/// Which of a service's addresses is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Interface {
    /// `public`.
    #[default]
    Public,
    /// `internal`.
    Internal,
    /// `admin`.
    Admin,
}

impl Interface {
    /// Its name in the catalog.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }

    /// Reads `internal`, and the `internalURL` of the v2 days.
    fn read(text: &str) -> Option<Self> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "public" => Some(Self::Public),
            "internal" => Some(Self::Internal),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Reads a cloud's values; keys are those of clouds.yaml.
pub(super) fn read(place: &str, values: &Map<String, Value>) -> Result<Cloud, CloudError> {
    let empty = Map::new();
    let auth = match values.get("auth") {
        None => &empty,
        Some(Value::Object(auth)) => auth,
        Some(_) => return Err(value_error(place, "auth", "is no mapping")),
    };
    let reader = Reader {
        place,
        values,
        auth,
    };
    if matches!(reader.values.get("verify"), Some(Value::Bool(false))) {
        let problem = "turns the check of certificates off, and whoever sits in between could then move servers: \
                       name the authority's file in `cacert`";
        return Err(value_error(place, "verify", problem));
    }
    let interface = match reader.either(&["compute_interface", "interface", "endpoint_type"])? {
        None => Interface::default(),
        Some(text) => Interface::read(&text)
            .ok_or_else(|| value_error(place, "interface", "is none of public, internal, admin"))?,
    };
    let compute_endpoint = reader.either(&["compute_endpoint_override"])?;
    if let Some(url) = &compute_endpoint {
        check_url(place, "compute_endpoint_override", url)?;
    }
    let auth_url = reader
        .auth("auth_url")?
        .ok_or_else(|| missing(place, "auth.auth_url"))?;
    check_url(place, "auth.auth_url", &auth_url)?;
    let credentials = reader.credentials()?;
    let scope = match credentials {
        Credentials::ApplicationCredential { .. } => Scope::Own,
        _ => reader.scope()?,
    };
    Ok(Cloud {
        auth_url,
        credentials,
        scope,
        region: match reader.either(&["compute_region_name", "region_name"])? {
            Some(region) => Some(region),
            None => reader.only_region()?,
        },
        interface,
        compute_endpoint,
        ca_file: reader.either(&["cacert"])?,
    })
}

fn check_url(place: &str, key: &str, url: &str) -> Result<(), CloudError> {
    let rest = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"));
    match rest {
        Some(rest)
            if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '[')
                && !url.contains(|c: char| c.is_whitespace() || c.is_control()) =>
        {
            Ok(())
        }
        _ => Err(value_error(place, key, "is no http:// or https:// address")),
    }
}

fn missing(place: &str, key: &'static str) -> CloudError {
    CloudError::Missing {
        place: place.to_owned(),
        key,
    }
}

fn value_error(place: &str, key: &str, problem: &str) -> CloudError {
    CloudError::Value {
        place: place.to_owned(),
        key: key.to_owned(),
        problem: problem.to_owned(),
    }
}

struct Reader<'v> {
    place: &'v str,
    values: &'v Map<String, Value>,
    auth: &'v Map<String, Value>,
}

impl Reader<'_> {
    /// The first of some keys that has a value. Keys of `auth` are also found beside it, as openstacksdk does.
    fn either(&self, keys: &[&str]) -> Result<Option<String>, CloudError> {
        for key in keys {
            if let Some(text) = self.text(self.values, key)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }

    fn auth(&self, key: &str) -> Result<Option<String>, CloudError> {
        match self.text(self.auth, key)? {
            Some(text) => Ok(Some(text)),
            None => self.text(self.values, key),
        }
    }

    fn text(&self, map: &Map<String, Value>, key: &str) -> Result<Option<String>, CloudError> {
        match map.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            // `password: 0123` is 83 to one YAML library and 123 to another.
            Some(Value::Number(_) | Value::Bool(_)) => Err(value_error(
                self.place,
                key,
                "is a number or a truth value: put it in quotes",
            )),
            Some(_) => Err(value_error(self.place, key, "is no text")),
        }
    }

    fn only_region(&self) -> Result<Option<String>, CloudError> {
        let Some(Value::Array(regions)) = self.values.get("regions") else {
            return Ok(None);
        };
        // openstacksdk takes the first one when none is named.
        match regions.first() {
            Some(Value::String(name)) => Ok(Some(name.clone())),
            Some(Value::Object(region)) => self.text(region, "name"),
            _ => Ok(None),
        }
    }

    fn domain(&self, id: &str, name: &str) -> Result<Option<Domain>, CloudError> {
        if let Some(id) = self.auth(id)? {
            return Ok(Some(Domain::Id(id)));
        }
        Ok(self.auth(name)?.map(Domain::Name))
    }

    fn default_domain(&self) -> Result<Option<Domain>, CloudError> {
        match self.domain("default_domain_id", "default_domain_name")? {
            Some(domain) => Ok(Some(domain)),
            // Some openrc files have it without a suffix.
            None => Ok(self.auth("default_domain")?.map(Domain::Id)),
        }
    }

    fn named(
        &self,
        ids: &[&str],
        names: &[&str],
        domain: (&str, &str),
    ) -> Result<Option<Named>, CloudError> {
        for key in ids {
            if let Some(id) = self.auth(key)? {
                return Ok(Some(Named::Id(id)));
            }
        }
        for key in names {
            if let Some(name) = self.auth(key)? {
                let domain = match self.domain(domain.0, domain.1)? {
                    Some(domain) => Some(domain),
                    None => self.default_domain()?,
                };
                return Ok(Some(Named::Name(name, domain)));
            }
        }
        Ok(None)
    }

    fn user(&self) -> Result<Option<Named>, CloudError> {
        self.named(
            &["user_id"],
            &["username", "user_name"],
            ("user_domain_id", "user_domain_name"),
        )
    }

    fn credentials(&self) -> Result<Credentials, CloudError> {
        let stated = self.either(&["auth_type"])?;
        let kind = match stated.as_deref() {
            Some("v3applicationcredential" | "application_credential") => "application_credential",
            Some("password" | "v3password") => "password",
            Some("token" | "v3token") => "token",
            Some(other) => {
                let problem = format!(
                    "is `{other}`: clearway knows password, v3applicationcredential and token"
                );
                return Err(value_error(self.place, "auth_type", &problem));
            }
            // keystoneauth's default is `password`; a lone token has always been understood, too.
            None if self.auth("application_credential_secret")?.is_some() => {
                "application_credential"
            }
            None if self.auth("token")?.is_some() && self.auth("password")?.is_none() => "token",
            None => "password",
        };
        match kind {
            "application_credential" => self.application_credential(),
            "token" => {
                let token = self.auth("token")?;
                let token = token.ok_or_else(|| missing(self.place, "auth.token"))?;
                Ok(Credentials::Token(Secret::new(token)))
            }
            _ => {
                let user = self.user()?;
                let user = user.ok_or_else(|| missing(self.place, "auth.username"))?;
                if matches!(user, Named::Name(_, None)) {
                    return Err(missing(self.place, "auth.user_domain_name"));
                }
                let password = self.auth("password")?;
                let password = password.ok_or_else(|| missing(self.place, "auth.password"))?;
                Ok(Credentials::Password {
                    user,
                    password: Secret::new(password),
                })
            }
        }
    }

    fn application_credential(&self) -> Result<Credentials, CloudError> {
        let secret = self.auth("application_credential_secret")?;
        let secret =
            secret.ok_or_else(|| missing(self.place, "auth.application_credential_secret"))?;
        let credential = self.named(
            &["application_credential_id"],
            &["application_credential_name"],
            ("", ""),
        )?;
        let credential =
            credential.ok_or_else(|| missing(self.place, "auth.application_credential_id"))?;
        let user = self.user()?;
        if matches!(credential, Named::Name(..)) && user.is_none() {
            return Err(missing(self.place, "auth.username"));
        }
        Ok(Credentials::ApplicationCredential {
            credential,
            user,
            secret: Secret::new(secret),
        })
    }

    fn scope(&self) -> Result<Scope, CloudError> {
        if let Some(system) = self.auth("system_scope")? {
            return if system == "all" {
                Ok(Scope::System)
            } else {
                Err(value_error(self.place, "system_scope", "is not `all`"))
            };
        }
        let project = self.named(
            &["project_id", "tenant_id"],
            &["project_name", "tenant_name"],
            ("project_domain_id", "project_domain_name"),
        )?;
        if let Some(project) = project {
            if matches!(project, Named::Name(_, None)) {
                return Err(missing(self.place, "auth.project_domain_name"));
            }
            return Ok(Scope::Project(project));
        }
        Ok(self
            .domain("domain_id", "domain_name")?
            .map_or(Scope::Own, Scope::Domain))
    }
}
