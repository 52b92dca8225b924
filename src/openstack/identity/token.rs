//! A token and what Keystone says with it.

use jiff::Timestamp;
use serde::Deserialize;

use crate::openstack::Secret;

/// A token.
#[derive(Debug, Clone)]
pub struct Token {
    /// What is sent as `X-Auth-Token`.
    pub secret: Secret,
    /// Until when it is good, by Keystone's clock.
    pub expires: Timestamp,
    /// The services that it is good for.
    pub catalog: Vec<CatalogService>,
    /// The roles, by name.
    pub roles: Vec<String>,
    /// The user's name.
    pub user: String,
    /// The project's name; `None` for another scope.
    pub project: Option<String>,
}

/// A service of the catalog.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogService {
    /// `compute`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its addresses.
    #[serde(default)]
    pub endpoints: Vec<CatalogEndpoint>,
}

/// An address of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogEndpoint {
    /// `public`, `internal` or `admin`.
    pub interface: String,
    /// The region's id.
    #[serde(default)]
    pub region_id: Option<String>,
    /// The region's id in older answers.
    #[serde(default)]
    pub region: Option<String>,
    /// The address.
    pub url: String,
}

/// Why an answer is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// There is no `X-Subject-Token`.
    #[error("the answer carries no token")]
    Missing,
    /// The body is not what Keystone says.
    #[error("the answer is not one of Keystone v3")]
    Body(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Body {
    token: Inner,
}

#[derive(Deserialize)]
struct Inner {
    expires_at: Timestamp,
    #[serde(default)]
    catalog: Vec<CatalogService>,
    #[serde(default)]
    roles: Vec<Name>,
    user: Name,
    #[serde(default)]
    project: Option<Name>,
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

/// Reads the answer to a request for a token.
///
/// # Errors
/// It carries no token, or is not Keystone's.
pub fn read_token(subject: Option<&str>, body: &[u8]) -> Result<Token, TokenError> {
    let subject =
        subject.filter(|text| !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic()));
    let secret = Secret::new(subject.ok_or(TokenError::Missing)?);
    let Body { token } = serde_json::from_slice(body).map_err(TokenError::Body)?;
    Ok(Token {
        secret,
        expires: token.expires_at,
        catalog: token.catalog,
        roles: token.roles.into_iter().map(|role| role.name).collect(),
        user: token.user.name,
        project: token.project.map(|project| project.name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_with_its_end_and_its_catalog() {
        let body = r#"{"token":{"expires_at":"2026-11-25T19:00:00.000000Z","user":{"name":"admin","id":"u"},
            "project":{"name":"admin","id":"p"},"roles":[{"name":"admin","id":"r"}],
            "catalog":[{"type":"compute","id":"c","name":"nova","endpoints":[
              {"interface":"public","region":"RegionOne","region_id":"RegionOne","url":"http://n:8774/v2.1","id":"e"}]}]}}"#;
        let token = read_token(Some("gAAA"), body.as_bytes()).unwrap();
        assert_eq!(token.expires, "2026-11-25T19:00:00Z".parse().unwrap());
        assert_eq!(token.catalog[0].endpoints[0].url, "http://n:8774/v2.1");
        assert_eq!(token.roles, ["admin"]);
        assert!(matches!(
            read_token(None, body.as_bytes()),
            Err(TokenError::Missing)
        ));
        assert!(matches!(
            read_token(Some("a\r\nX: y"), body.as_bytes()),
            Err(TokenError::Missing)
        ));
        assert!(matches!(
            read_token(Some("t"), b"{}"),
            Err(TokenError::Body(_))
        ));
    }
}
