use std::collections::BTreeMap;

use super::*;

const BASE: ClientQuery<'_> = ClientQuery {
    name: "clearway-base.invalid",
    local_user: "nova",
    user: None,
};

fn client(own: &str, name: &str) -> Result<Difference, Undecidable> {
    let files = [("/home/nova/.ssh/config", own.as_bytes())];
    let config = ClientConfig::read(files, "/home/nova");
    config.difference(&ClientQuery { name, ..BASE }, &BASE)
}

fn changed(settings: &[(&str, Option<&str>)]) -> Difference {
    let one = |(keyword, value): &(&str, Option<&str>)| {
        (
            (*keyword).to_owned(),
            value.map(|value| vec![value.to_owned()]),
        )
    };
    Difference::Settings(settings.iter().map(one).collect::<BTreeMap<_, _>>())
}

#[test]
fn a_block_for_some_names_changes_only_these() {
    let config = "Host cmp*\n Port 8022\nHost *\n Port 2222\n";
    assert_eq!(
        client(config, "cmp1"),
        Ok(changed(&[("port", Some("8022"))]))
    );
    assert_eq!(client(config, "other"), Ok(Difference::Same));
}

#[test]
fn a_negated_pattern_keeps_a_name_out() {
    let config = "Host cmp* !cmp9\n StrictHostKeyChecking no\n";
    let relaxed = changed(&[("stricthostkeychecking", Some("false"))]);
    assert_eq!(client(config, "cmp1"), Ok(relaxed));
    assert_eq!(client(config, "cmp9"), Ok(Difference::Same));
}

#[test]
fn what_only_the_base_has_falls_back_to_the_default() {
    let config = "Host *.invalid\n Port 99\n";
    assert_eq!(client(config, "cmp1"), Ok(changed(&[("port", None)])));
}

#[test]
fn match_final_comes_last() {
    let config = "Match final host cmp1\n User late\nHost cmp1\n User early\n";
    assert_eq!(
        client(config, "cmp1"),
        Ok(changed(&[("user", Some("early"))]))
    );
}

#[test]
fn match_host_sees_the_host_name_and_originalhost_what_was_typed() {
    let config =
        "Host a\n HostName real\nMatch host real\n Port 7\nMatch originalhost a\n User u\n";
    let expected = changed(&[
        ("hostname", Some("real")),
        ("port", Some("7")),
        ("user", Some("u")),
    ]);
    assert_eq!(client(config, "a"), Ok(expected));
}

#[test]
fn a_command_cannot_be_decided_unless_another_criterion_does() {
    let config = "Match originalhost x exec \"test -f /x\"\n Port 1\n";
    assert_eq!(client(config, "cmp1"), Ok(Difference::Same));
    assert!(client(config, "x").is_err());
}

#[test]
fn included_files_are_read_where_they_are_named_and_end_their_blocks() {
    let files = [
        (
            "/home/nova/.ssh/config",
            b"Include conf.d/*\nPort 5\n".as_slice(),
        ),
        ("/home/nova/.ssh/conf.d/b", b"Port 4\n".as_slice()),
        (
            "/home/nova/.ssh/conf.d/a",
            b"Host cmp1\n Port 3\n".as_slice(),
        ),
    ];
    let config = ClientConfig::read(files, "/home/nova");
    let query = |name| config.difference(&ClientQuery { name, ..BASE }, &BASE);
    assert_eq!(query("cmp1"), Ok(changed(&[("port", Some("3"))])));
    assert_eq!(query("cmp2"), Ok(Difference::Same));
}

fn server(config: &str, query: &ServerQuery<'_>) -> Result<Difference, Undecidable> {
    let files = [("/etc/ssh/sshd_config", config.as_bytes())];
    ServerConfig::read(files, "/etc/ssh/sshd_config").difference(query, &NEUTRAL)
}

const NEUTRAL: ServerQuery<'_> = ServerQuery {
    user: "nobody-here",
    groups: Some(&[]),
    host: Some("none.invalid"),
    address: Some("192.0.2.1"),
    local_address: Some("192.0.2.2"),
    local_port: Some(22),
};

#[test]
fn a_match_block_wins_over_the_global_value_and_the_first_block_over_the_next() {
    let config = "PubkeyAuthentication yes\nMatch Address 10.0.0.0/8\n PubkeyAuthentication no\n\
                  Match User nova\n PubkeyAuthentication yes\n ForceCommand x\n";
    let nova = ServerQuery {
        user: "nova",
        address: Some("10.1.1.1"),
        ..NEUTRAL
    };
    let expected = changed(&[
        ("forcecommand", Some("x")),
        ("pubkeyauthentication", Some("no")),
    ]);
    assert_eq!(server(config, &nova), Ok(expected));
    assert_eq!(server(config, &NEUTRAL), Ok(Difference::Same));
}

#[test]
fn an_unknown_address_is_undecidable_only_where_it_matters() {
    let unknown = ServerQuery {
        user: "nova",
        address: None,
        ..NEUTRAL
    };
    let by_address = "Match Address 10.0.0.0/8\n AllowUsers x\n";
    assert!(server(by_address, &unknown).is_err());
    let other_user = "Match User root Address 10.0.0.0/8\n AllowUsers x\n";
    assert_eq!(server(other_user, &unknown), Ok(Difference::Same));
}

#[test]
fn lists_of_users_add_up_within_the_blocks() {
    let nova = ServerQuery {
        user: "nova",
        ..NEUTRAL
    };
    let config = "AllowUsers a\nMatch User nova\n AllowUsers b c\n";
    let expected = BTreeMap::from([(
        "allowusers".to_owned(),
        Some(vec!["b".to_owned(), "c".to_owned()]),
    )]);
    assert_eq!(server(config, &nova), Ok(Difference::Settings(expected)));
}

#[test]
fn the_second_reading_holds_host_patterns_against_what_host_name_made_of_the_name() {
    let config =
        "Host real.lab\n Port 7\nHost CMP1\n HostName Real.LAB\nMatch final all\n User late\n";
    let expected = changed(&[("hostname", Some("Real.LAB")), ("port", Some("7"))]);
    assert_eq!(client(config, "CMP1"), Ok(expected));
    let once = config.replace("Match final all", "Match canonical all");
    let expected = changed(&[("hostname", Some("Real.LAB"))]);
    assert_eq!(client(&once, "CMP1"), Ok(expected));
}

#[test]
fn a_negated_final_is_undecidable_only_where_a_second_reading_would_change_something() {
    let config = "Match !final\n Port 7\nHost cmp1\n User x\n";
    assert_eq!(client(config, "cmp1"), Ok(changed(&[("user", Some("x"))])));
    assert!(
        client(config, "CMP1").is_err(),
        "read again, it is lower case"
    );
}

#[test]
fn a_file_that_includes_itself_ends_and_says_so() {
    let config = "Include config\n".repeat(8);
    assert!(client(&config, "cmp1").is_err());
}

#[test]
fn an_include_that_cannot_be_followed_matters_where_it_applies() {
    let config = "Host cmp1\n Include conf.d/%h\n";
    assert!(client(config, "cmp1").is_err());
    assert_eq!(client(config, "cmp2"), Ok(Difference::Same));
}

#[test]
fn a_path_with_the_name_in_it_is_undecidable_if_ssh_prints_it_expanded() {
    assert!(client("UserKnownHostsFile ~/.ssh/kh_%h\n", "cmp1").is_err());
    assert_eq!(
        client("IdentityFile ~/.ssh/id_%h\n", "cmp1"),
        Ok(Difference::Same)
    );
}

#[test]
fn of_jump_and_command_the_first_counts() {
    let config = "Host cmp1\n ProxyCommand nc \"%h\"  %p\nHost *\n ProxyJump bastion\n";
    let expected = changed(&[("proxycommand", Some("nc \"%h\"  %p")), ("proxyjump", None)]);
    assert_eq!(client(config, "cmp1"), Ok(expected));
}
