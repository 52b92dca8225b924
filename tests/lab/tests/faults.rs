//! A sample of the catalogue does to OpenSSH what the files say; `lab verify` does all of it.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use clearway_lab::{Fault, Lab, LabSupport};

fn holds(id: &str) {
    if LabSupport::skips_test() {
        return;
    }
    let fault = Fault::find(id).unwrap();
    let lab = Lab::for_fault(&fault).start().unwrap();
    lab.plant(&fault).unwrap();
    let mismatches = lab.verify(&fault).unwrap();
    let text: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    assert!(text.is_empty(), "{id}:\n{}", text.join("\n"));
}

#[test]
fn a_name_that_leads_elsewhere_stops_the_lanes_that_dial_names() {
    holds("name-of-another-node");
}

#[test]
fn a_firewall_stops_one_direction() {
    holds("connection-filtered");
}

#[test]
fn a_stale_host_key_stops_nova_and_not_root() {
    holds("host-key-stale");
}

#[test]
fn an_unauthorised_key_stops_one_pair() {
    holds("key-not-authorized");
}

#[test]
fn a_shell_without_commands_stops_everybody() {
    holds("account-nologin");
}

#[test]
fn a_missing_sftp_server_stops_copies_only() {
    holds("sftp-server-missing");
}

#[test]
fn hashed_known_hosts_stop_nothing() {
    holds("healthy-hashed-known-hosts");
}

#[test]
fn host_certificates_stop_nothing() {
    holds("healthy-host-certificates");
}

#[test]
fn a_fault_that_cannot_be_planted_is_an_error() {
    if LabSupport::skips_test() {
        return;
    }
    let mut fault = Fault::find("known-hosts-missing").unwrap();
    fault.plant[0].run = "echo no such thing >&2; false".into();
    let lab = Lab::for_fault(&fault).start().unwrap();
    let error = lab.plant(&fault).unwrap_err().to_string();
    assert!(
        error.contains("planting known-hosts-missing on node1"),
        "{error}"
    );
    assert!(error.contains("no such thing"), "{error}");
}

#[test]
fn a_filtered_migration_network_leaves_the_control_connection() {
    if LabSupport::skips_test() {
        return;
    }
    let fault = Fault::find("connection-filtered-for-all").unwrap();
    let lab = Lab::for_fault(&fault).start().unwrap();
    lab.plant(&fault).unwrap();
    let login = format!(
        "ssh -n -o StrictHostKeyChecking=no deploy@{} sudo -n uname -n",
        lab.node("node2").address()
    );
    let output = lab.hub_sh(&login).unwrap();
    assert_eq!(output.stdout, b"node2\n", "{output:?}");
}
