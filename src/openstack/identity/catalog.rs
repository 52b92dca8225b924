//! Finding the Compute API.

use super::token::CatalogService;
use crate::openstack::cloud::{Cloud, Interface};

/// Why there is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogError {
    /// The catalog has no compute service at all.
    #[error("the catalog has no compute service")]
    NoService,
    /// None with this interface in this region.
    #[error("the catalog has no {interface} address of the compute service in region {}{}", region.as_deref().unwrap_or("(any)"), others(regions))]
    NoEndpoint {
        /// The interface asked for.
        interface: Interface,
        /// The region asked for.
        region: Option<String>,
        /// Regions that have one.
        regions: Vec<String>,
    },
    /// Several regions, and none was named.
    #[error("the compute service is in several regions: {}", regions.join(", "))]
    Ambiguous {
        /// The regions.
        regions: Vec<String>,
    },
}

fn others(regions: &[String]) -> String {
    if regions.is_empty() {
        String::new()
    } else {
        format!("; it has one in: {}", regions.join(", "))
    }
}

/// The address of the Compute API, without a slash at its end and without a project's id behind its version.
///
/// # Errors
/// The catalog has none, or several.
pub fn compute_endpoint(cloud: &Cloud, catalog: &[CatalogService]) -> Result<String, CatalogError> {
    if let Some(url) = &cloud.compute_endpoint {
        return Ok(without_project(url));
    }
    let endpoints: Vec<_> = catalog
        .iter()
        .filter(|service| service.kind == "compute")
        .flat_map(|service| &service.endpoints)
        .collect();
    if endpoints.is_empty() {
        return Err(CatalogError::NoService);
    }
    let mut found: Vec<(&str, &str)> = endpoints
        .iter()
        .filter(|it| it.interface.trim_end_matches("URL") == cloud.interface.as_str())
        .map(|it| {
            let region = it.region_id.as_deref().or(it.region.as_deref());
            (region.unwrap_or_default(), it.url.as_str())
        })
        .collect();
    let mut regions: Vec<String> = found
        .iter()
        .map(|(region, _)| (*region).to_owned())
        .collect();
    regions.sort();
    regions.dedup();
    if let Some(wanted) = &cloud.region {
        found.retain(|(region, _)| region == wanted);
    } else if regions.len() > 1 {
        return Err(CatalogError::Ambiguous { regions });
    }
    match found.first() {
        Some((_, url)) => Ok(without_project(url)),
        None => Err(CatalogError::NoEndpoint {
            interface: cloud.interface,
            region: cloud.region.clone(),
            regions,
        }),
    }
}

/// `http://n:8774/v2.1/PROJECT` is `http://n:8774/v2.1`: the project has not been needed since 2.18.
fn without_project(url: &str) -> String {
    let url = url.trim_end_matches('/');
    for version in ["/v2.1", "/v2"] {
        if let Some((before, after)) = url.split_once(&format!("{version}/"))
            && !after.contains('/')
        {
            return format!("{before}/v2.1");
        }
        if let Some(before) = url.strip_suffix(version) {
            return format!("{before}/v2.1");
        }
    }
    format!("{url}/v2.1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openstack::Secret;
    use crate::openstack::cloud::{Credentials, Scope};

    fn cloud(region: Option<&str>, interface: Interface) -> Cloud {
        Cloud {
            auth_url: "https://k".to_owned(),
            credentials: Credentials::Token(Secret::new("t")),
            scope: Scope::Own,
            region: region.map(str::to_owned),
            interface,
            compute_endpoint: None,
            ca_file: None,
        }
    }

    #[test]
    fn the_address_is_that_of_the_interface_and_region_asked_for() {
        let catalog: Vec<CatalogService> = serde_json::from_value(json!([
            {"type": "compute", "endpoints": [
                {"interface": "public", "region_id": "one", "url": "https://one/v2.1/p1"},
                {"interface": "internal", "region_id": "one", "url": "http://10.0.0.1:8774/v2.1/"},
                {"interface": "public", "region_id": "two", "url": "https://two/compute"}]},
            {"type": "image", "endpoints": []}
        ]))
        .unwrap();
        let find = |region, interface| compute_endpoint(&cloud(region, interface), &catalog);
        assert_eq!(
            find(Some("one"), Interface::Public).unwrap(),
            "https://one/v2.1"
        );
        assert_eq!(
            find(None, Interface::Internal).unwrap(),
            "http://10.0.0.1:8774/v2.1"
        );
        assert_eq!(
            find(Some("two"), Interface::Public).unwrap(),
            "https://two/compute/v2.1"
        );
        assert_eq!(
            find(None, Interface::Public).unwrap_err().to_string(),
            "the compute service is in several regions: one, two"
        );
        assert_eq!(
            find(Some("three"), Interface::Admin)
                .unwrap_err()
                .to_string(),
            "the catalog has no admin address of the compute service in region three"
        );
        assert_eq!(
            find(Some("three"), Interface::Public)
                .unwrap_err()
                .to_string(),
            "the catalog has no public address of the compute service in region three; it has one in: one, two"
        );
        assert_eq!(
            compute_endpoint(&cloud(None, Interface::Public), &[]),
            Err(CatalogError::NoService)
        );
        let mut overridden = cloud(None, Interface::Public);
        overridden.compute_endpoint = Some("http://127.0.0.1:8774/v2.1".to_owned());
        assert_eq!(
            compute_endpoint(&overridden, &[]).unwrap(),
            "http://127.0.0.1:8774/v2.1"
        );
    }
}
