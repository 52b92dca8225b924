use std::collections::BTreeMap;

use super::*;
use crate::openstack::Secret;

fn file(name: &str, text: &str) -> Option<CloudFile> {
    Some(CloudFile {
        name: name.to_owned(),
        text: text.to_owned(),
    })
}

fn variables(list: &[(&str, &str)]) -> BTreeMap<String, String> {
    list.iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

const CLOUDS: &str = "clouds:\n  prod:\n    profile: acme\n    region_name: RegionOne\n    interface: internal\n    cacert: /etc/ca.pem\n    auth:\n      username: ops\n      user_domain_name: Default\n      project_name: admin\n      project_domain_id: default\n  app:\n    auth_type: v3applicationcredential\n    auth:\n      auth_url: https://k.example:5000\n      application_credential_id: abc\n      application_credential_secret: s3cret\n";
const SECURE: &str = "clouds:\n  prod:\n    auth:\n      password: pa55\n";
const PUBLIC: &str = "public-clouds:\n  acme:\n    auth:\n      auth_url: https://acme.example/identity\n    interface: public\n";

fn files() -> CloudFiles {
    CloudFiles {
        clouds: file("clouds.yaml", CLOUDS),
        secure: file("secure.yaml", SECURE),
        public: file("clouds-public.yaml", PUBLIC),
    }
}

#[test]
fn a_cloud_is_merged_from_its_three_files() {
    let cloud = find(Some("prod"), &files(), &BTreeMap::new()).unwrap();
    assert_eq!(
        cloud,
        Cloud {
            auth_url: "https://acme.example/identity".to_owned(),
            credentials: Credentials::Password {
                user: Named::Name("ops".to_owned(), Some(Domain::Name("Default".to_owned()))),
                password: Secret::new("pa55"),
            },
            scope: Scope::Project(Named::Name(
                "admin".to_owned(),
                Some(Domain::Id("default".to_owned()))
            )),
            region: Some("RegionOne".to_owned()),
            interface: Interface::Internal,
            compute_endpoint: None,
            ca_file: Some("/etc/ca.pem".to_owned()),
        }
    );
}

#[test]
fn an_application_credential_brings_its_own_scope() {
    let cloud = find(None, &files(), &variables(&[("OS_CLOUD", "app")])).unwrap();
    assert_eq!(cloud.scope, Scope::Own);
    assert!(matches!(
        cloud.credentials,
        Credentials::ApplicationCredential { credential: Named::Id(id), .. } if id == "abc"
    ));
}

#[test]
fn an_openrc_of_horizon_and_one_of_the_v2_days_are_understood() {
    let cloud = find(
        None,
        &CloudFiles::default(),
        &variables(&[
            ("OS_AUTH_URL", "http://10.0.0.1:5000/v3/"),
            ("OS_USERNAME", "ops"),
            ("OS_USER_DOMAIN_NAME", "Default"),
            ("OS_PASSWORD", "0123"),
            ("OS_PROJECT_ID", "p1"),
            ("OS_REGION_NAME", ""),
            ("OS_INTERFACE", "public"),
            ("OS_IDENTITY_API_VERSION", "3"),
        ]),
    )
    .unwrap();
    assert_eq!(cloud.scope, Scope::Project(Named::Id("p1".to_owned())));
    assert_eq!(cloud.region, None);
    let old = find(
        None,
        &CloudFiles::default(),
        &variables(&[
            ("OS_AUTH_URL", "http://10.0.0.1:5000"),
            ("OS_USERNAME", "ops"),
            ("OS_PASSWORD", "x"),
            ("OS_TENANT_NAME", "admin"),
            ("OS_DEFAULT_DOMAIN", "default"),
            ("OS_ENDPOINT_TYPE", "internalURL"),
        ]),
    )
    .unwrap();
    assert_eq!(old.interface, Interface::Internal);
    assert_eq!(
        old.scope,
        Scope::Project(Named::Name(
            "admin".to_owned(),
            Some(Domain::Id("default".to_owned()))
        ))
    );
    let token = find(
        None,
        &CloudFiles::default(),
        &variables(&[
            ("OS_AUTH_URL", "https://k"),
            ("OS_AUTH_TYPE", "token"),
            ("OS_TOKEN", "t"),
            ("OS_SYSTEM_SCOPE", "all"),
        ]),
    )
    .unwrap();
    assert_eq!(token.scope, Scope::System);
    assert_eq!(token.credentials, Credentials::Token(Secret::new("t")));
}

#[test]
fn what_is_missing_or_wrong_is_named_and_no_secret_shows() {
    let with = |text: &str| CloudFiles {
        clouds: file("clouds.yaml", text),
        ..CloudFiles::default()
    };
    let base = "clouds:\n  a:\n    auth: {auth_url: 'https://k', username: u, user_domain_name: d, project_id: p, password: PW}\n";
    for (files, name, said) in [
        (
            files(),
            None,
            "nothing says which cloud is meant: no --os-cloud, no OS_CLOUD, no OS_AUTH_URL",
        ),
        (
            files(),
            Some("prd"),
            "no cloud is called `prd` in clouds.yaml",
        ),
        (
            CloudFiles::default(),
            Some("x"),
            "cloud `x` is asked for, and there is no clouds.yaml",
        ),
        (
            with(&base.replace("password: PW", "x: y")),
            None,
            "cloud `a` has no `auth.password`",
        ),
        (
            with(&base.replace("PW", "0123")),
            None,
            "cloud `a`: `password` is a number or a truth value: put it in quotes",
        ),
        (
            with(&base.replace("https://k", "k:5000")),
            None,
            "cloud `a`: `auth.auth_url` is no http:// or https:// address",
        ),
        (
            with(&base.replace("user_domain_name: d, ", "")),
            None,
            "cloud `a` has no `auth.user_domain_name`",
        ),
        (
            with(&format!("{base}    interface: extern\n")),
            None,
            "cloud `a`: `interface` is none of public, internal, admin",
        ),
        (
            with(&format!("{base}    auth_type: v3kerberos\n")),
            None,
            "cloud `a`: `auth_type` is `v3kerberos`: clearway knows password, v3applicationcredential and token",
        ),
        (
            with(&format!("{base}    profile: vexxhost\n")),
            None,
            "clouds.yaml: profile `vexxhost` is in no clouds-public.yaml, and clearway has none built in",
        ),
        (
            with("clouds:\n  a: {auth: {password: 'hunter2\n"),
            None,
            "clouds.yaml: no YAML that can be read, line",
        ),
        (
            with("[hunter2"),
            None,
            "clouds.yaml: no YAML that can be read",
        ),
    ] {
        let error = find(name, &files, &BTreeMap::new())
            .unwrap_err()
            .to_string();
        assert!(error.starts_with(said), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let error = find(
        None,
        &with(&format!("{base}    verify: false\n")),
        &BTreeMap::new(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .contains("name the authority's file in `cacert`")
    );
}
