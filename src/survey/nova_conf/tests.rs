use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

fn around() -> Surroundings {
    Surroundings {
        hostname: "cmp1".to_owned(),
        libvirt_hostname: Some("cmp1.example.org".to_owned()),
        default_my_ip: Some("192.0.2.7".to_owned()),
    }
}

fn read(text: &str) -> NovaSettings {
    let parts = text.split("--- ").enumerate().map(|(i, part)| {
        // Behind the first one, the rest of the line is the name of the next file.
        let part = match i {
            0 => part,
            _ => part.split_once('\n').map_or("", |(_, rest)| rest),
        };
        (format!("{i}.conf"), IniFile::parse(part))
    });
    settings(&parts.collect::<Vec<_>>(), &around())
}

/// `option` → value as Python's repr prints it.
fn shown(settings: &NovaSettings) -> BTreeMap<&'static str, String> {
    let text = |value: &Option<String>| value.as_deref().map_or("None".to_owned(), repr);
    let truth = if settings.live_migration_tunnelled {
        "True"
    } else {
        "False"
    };
    let refused = settings.problems.iter().any(|p| p.contains("]my_ip"));
    let default = settings.default_my_ip.clone().filter(|_| !refused);
    let my_ip = settings.my_ip.clone().or(default);
    BTreeMap::from([
        ("host", text(&settings.host)),
        ("my_ip", text(&my_ip)),
        ("instances_path", repr(&settings.instances_path)),
        (
            "migration_inbound_addr",
            text(&settings.migration_inbound_addr),
        ),
        (
            "live_migration_inbound_addr",
            text(&settings.live_migration_inbound_addr),
        ),
        (
            "live_migration_scheme",
            text(&settings.live_migration_scheme),
        ),
        ("live_migration_uri", text(&settings.live_migration_uri)),
        ("live_migration_tunnelled", truth.to_owned()),
        (
            "remote_filesystem_transport",
            repr(&settings.remote_filesystem_transport),
        ),
        ("virt_type", text(&settings.virt_type)),
    ])
}

fn repr(value: &str) -> String {
    let quote = if value.contains('\'') && !value.contains('"') {
        '"'
    } else {
        '\''
    };
    let mut out = String::from(quote);
    for c in value.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\\' => out.push_str("\\\\"),
            c if c == quote => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}

/// The files and what oslo.config made of them: see expect.py there.
fn corpus() -> Vec<(String, String, String)> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/nova_conf");
    let mut cases = Vec::new();
    for entry in fs::read_dir(directory).expect("corpus") {
        let path = entry.expect("entry").path();
        if path.extension().is_some_and(|e| e == "conf") {
            let expected =
                fs::read_to_string(path.with_extension("expected")).expect("run expect.py");
            let name = path
                .file_stem()
                .expect("named")
                .to_string_lossy()
                .into_owned();
            cases.push((name, fs::read_to_string(path).expect("text"), expected));
        }
    }
    assert!(cases.len() > 30);
    cases
}

#[test]
fn settings_are_what_oslo_config_makes_of_the_same_files() {
    for (name, text, expected) in corpus() {
        let settings = read(&text);
        if expected == "refused\n" {
            assert!(
                settings
                    .problems
                    .iter()
                    .any(|p| p.contains("does not start")),
                "{name}: {settings:?}"
            );
            continue;
        }
        let found = shown(&settings);
        for line in expected.lines() {
            let (option, value) = line.split_once('=').expect("option=value");
            let of_option = |p: &String| p.contains(&format!("]{option}"));
            let found = &found[option];
            match value {
                // Values that cannot be: a problem, and nothing that could be dialled.
                "'!'" | "''" if settings.problems.iter().any(of_option) => {
                    assert!(
                        ["None", "''", "False"].contains(&found.as_str()),
                        "{name}: {option}: {found}"
                    );
                }
                // What Nova tests for truth.
                "''" => assert_eq!(found, "None", "{name}: {option}"),
                // Where Nova is installed is not known.
                "'/pybasedir/instances'" => assert_eq!(found, "''", "{name}: {option}"),
                _ => assert_eq!(found, value, "{name}: {option}"),
            }
        }
    }
}

#[test]
fn percent_s_becomes_the_name_that_libvirt_gives_the_host() {
    let address = |value: &str| {
        read(&format!(
            "[DEFAULT]\nstate_path=/a\n[libvirt]\nmigration_inbound_addr={value}\n"
        ))
        .migration_inbound_addr
    };
    assert_eq!(address("%s").as_deref(), Some("cmp1.example.org"));
    assert_eq!(
        address("mig-%s.lan").as_deref(),
        Some("mig-cmp1.example.org.lan")
    );
    assert_eq!(address("%s%%x").as_deref(), Some("cmp1.example.org%x"));
    assert_eq!(address("100%").as_deref(), Some("100%"));
    for impossible in ["%s%s", "%s%d", "%s%"] {
        assert_eq!(address(impossible), None, "{impossible}");
    }
}

#[test]
fn references_that_run_in_circles_end() {
    let settings = read("[DEFAULT]\nstate_path=$host\nhost=$my_ip\nmy_ip=$state_path\n");
    assert_eq!(settings.my_ip, None);
    assert!(
        settings
            .problems
            .iter()
            .any(|p| p.contains("refers to itself"))
    );
}

#[test]
fn without_a_known_default_route_there_is_no_address() {
    let around = Surroundings {
        default_my_ip: None,
        ..around()
    };
    let settings = settings(&[], &around);
    assert_eq!(settings.migration_inbound_addr, None);
    assert!(!settings.read);
    assert!(
        settings
            .problems
            .iter()
            .any(|p| p.contains("default route"))
    );
}

#[test]
fn the_log_file_is_where_oslo_log_puts_it() {
    for (text, expected) in [
        ("[DEFAULT]\n", None),
        (
            "[DEFAULT]\nlog_dir = /var/log/kolla/nova\n",
            Some("/var/log/kolla/nova/nova-compute.log"),
        ),
        (
            "[DEFAULT]\nlog_dir = /var/log/nova/\nlog_file = mine.log\n",
            Some("/var/log/nova/mine.log"),
        ),
        (
            "[DEFAULT]\nlog_dir = /elsewhere\nlog_file = /srv/nova.log\n",
            Some("/srv/nova.log"),
        ),
        ("[DEFAULT]\nlogdir = /old\n", Some("/old/nova-compute.log")),
        ("[DEFAULT]\nlog_file = relative.log\n", None),
    ] {
        assert_eq!(read(text).log_file.as_deref(), expected, "{text}");
    }
}

#[test]
fn how_many_live_moves_leave_a_node_is_what_is_set_there() {
    let bound = |text: &str| {
        let read = read(&format!("[DEFAULT]\nstate_path=/n\n{text}\n"));
        (read.max_concurrent_live_migrations, read.problems)
    };
    let none = Vec::<String>::new();
    assert_eq!(bound(""), (None, none.clone()));
    for (written, number) in [("3", 3), (" 0 ", 0), ("$my_block_storage", 7)] {
        let text = format!("max_concurrent_live_migrations={written}\nmy_block_storage=7");
        assert_eq!(bound(&text), (Some(number), none.clone()), "{written}");
    }
    for written in ["-1", "many", "1.5"] {
        let (number, problems) = bound(&format!("max_concurrent_live_migrations = {written}"));
        assert_eq!((number, problems.len()), (None, 1), "{written}");
    }
}
