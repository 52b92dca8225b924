//! The operator's command after each move.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use clearway_nova_lab::{ColdFault, Steer};

use crate::gate::Forgotten;
use crate::ground::{Ground, ended};

/// A program, and the file that it writes to.
fn program(ground: &Ground, name: &str, rest: &str) -> (String, PathBuf) {
    let path = ground.scratch().join(name);
    let told = ground.scratch().join(format!("{name}.told"));
    let _ = std::fs::remove_file(&told);
    let text = format!(
        "#!/bin/sh\nprintf '%s|' \"$CLEARWAY_RUN\" \"$CLEARWAY_SERVER_ID\" \"$CLEARWAY_SERVER_NAME\" \"$CLEARWAY_KIND\" \
         \"$CLEARWAY_SOURCE\" \"$CLEARWAY_DESTINATION\" \"$CLEARWAY_VERDICT\" >> {told}\necho >> {told}\n{rest}\n",
        told = told.display()
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    (path.display().to_string(), told)
}

pub(crate) fn told(ground: &Ground) {
    let cloud = ground.cloud();
    let name = "$(touch hacked); `id` 'x";
    let well = cloud.boot_server(name, "node1.lab").unwrap();
    let bad = cloud.boot_server("bad", "node1.lab").unwrap();
    let (hook, told) = program(ground, "told", "");
    let moved = ground.moves(&["migrate", &well, "--to", "node2.lab", "--hook", &hook]);
    assert_eq!(moved.code, 0, "{}", moved.all());
    cloud
        .steer("node1.lab", "node2.lab", Steer::cold(ColdFault::HostKey))
        .unwrap();
    let failed = ground.moves(&["migrate", &bad, "--to", "node2.lab", "--hook", &hook]);
    assert_eq!(failed.code, 1, "{}", failed.all());
    let said = std::fs::read_to_string(told).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines,
        [
            format!(
                "{}|{well}|{name}|cold|node1.lab|node2.lab|done|",
                moved.report().run
            ),
            format!(
                "{}|{bad}|bad|cold|node1.lab|node2.lab|failed|",
                failed.report().run
            ),
        ]
    );
    assert!(!ground.scratch().join("hacked").exists());
    // What was refused by the gate was no move.
    let (hook, told) = program(ground, "refused", "");
    let _broken = Forgotten::new(ground, "node2", "10.77.0.4");
    let refused = ground.moves(&["migrate", &well, "--to", "node3.lab", "--hook", &hook]);
    assert_eq!(refused.code, 4, "{}", refused.all());
    assert!(!told.exists());
}

pub(crate) fn failing(ground: &Ground) {
    let ids = ground
        .cloud()
        .boot_servers("hooked", 2, "node1.lab")
        .unwrap();
    let (hook, told) = program(ground, "failing", "echo no ticket >&2; exit 3");
    let words = [
        "migrate",
        &ids[0],
        &ids[1],
        "--to",
        "node2.lab",
        "--max-moves",
        "1",
        "--hook",
        &hook,
    ];
    let ended = ground.moves(&words);
    assert_eq!(ended.code, 1, "{}", ended.all());
    let report = ended.report();
    assert_eq!(report.moves[0].verdict, "done", "{}", ended.all());
    assert_eq!(
        report.moves[0].explained,
        ["the command after the move failed: it ended with exit status: 3: no ticket"]
    );
    assert_eq!(report.moves[1].verdict, "not-started", "{}", ended.all());
    assert_eq!(std::fs::read_to_string(told).unwrap().lines().count(), 1);
    let nothing = ground.moves(&["migrate", &ids[1], "--hook", "/etc/passwd"]);
    assert_eq!(nothing.code, 2, "{}", nothing.all());
}

pub(crate) fn killed(ground: &Ground) {
    let id = ground.cloud().boot_server("cut-off", "node1.lab").unwrap();
    let (hook, told) = program(ground, "cut-off", "sleep 5");
    let mut running = ground.start_moves(&["migrate", &id, "--to", "node2.lab", "--hook", &hook]);
    ground.until("the command runs", 60, || told.exists());
    running.kill().unwrap();
    let _ = ended(&running.wait_with_output().unwrap());
    let words = ["resume", "last", "--format", "json"];
    let resumed = ground.run("operator", &words);
    assert_eq!(resumed.code, 1, "{}", resumed.all());
    let it = resumed.only();
    assert_eq!(it.verdict, "done");
    assert!(
        it.explained[0].contains("whether it did its work is not known"),
        "{:?}",
        it.explained
    );
    assert_eq!(
        std::fs::read_to_string(told).unwrap().lines().count(),
        1,
        "never twice"
    );
}
