//! `nova-lab demo`.

use std::time::{Duration, Instant};

use clearway_nova_lab::{Cloud, CloudError, ColdFault, ColdPhase, LivePhase, Steer};

/// How long a move of the demonstration may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn run() -> Result<(), CloudError> {
    println!("starting Keystone, Nova, Placement and 4 computes");
    let started = Instant::now();
    let cloud = Cloud::builder().computes(4).start()?;
    println!(
        "up after {:.1} s; booting s1 on node1.lab",
        started.elapsed().as_secs_f32()
    );
    let server = cloud.boot_server("s1", "node1.lab")?;

    let slow = |steer: Steer| {
        steer
            .cold_seconds(ColdPhase::Ssh, 1.0)
            .cold_seconds(ColdPhase::Copy, 1.0)
    };
    cloud.steer(
        "node1.lab",
        "node2.lab",
        slow(Steer::cold(ColdFault::HostKey)),
    )?;
    cloud.steer("node1.lab", "node3.lab", slow(Steer::well()))?;
    cloud.steer(
        "node3.lab",
        "node4.lab",
        Steer::well().live_seconds(LivePhase::Run, 3.0),
    )?;

    println!("\ncold to node2.lab, whose host key nobody knows:");
    act(&cloud, &server, r#"{"migrate": {"host": "node2.lab"}}"#)?;
    follow(&cloud, &server, &["error"])?;
    println!("\ncold to node3.lab:");
    act(&cloud, &server, r#"{"migrate": {"host": "node3.lab"}}"#)?;
    follow(&cloud, &server, &["finished"])?;
    act(&cloud, &server, r#"{"confirmResize": null}"#)?;
    follow(&cloud, &server, &["confirmed"])?;
    println!("\nlive to node4.lab:");
    act(
        &cloud,
        &server,
        r#"{"os-migrateLive": {"host": "node4.lab", "block_migration": "auto"}}"#,
    )?;
    follow(&cloud, &server, &["completed"])
}

fn act(cloud: &Cloud, server: &str, body: &str) -> Result<(), CloudError> {
    cloud
        .act("operator", server, body)?
        .expect_success(body)
        .map(drop)
}

/// Prints what Nova shows until the newest migration has one of these states and the server no task.
fn follow(cloud: &Cloud, server: &str, ends: &[&str]) -> Result<(), CloudError> {
    let (started, mut last) = (Instant::now(), String::new());
    loop {
        let rows = cloud.get(&format!("/os-migrations?instance_uuid={server}"))?;
        let shown = cloud.server(server)?;
        let migration = rows["migrations"][0]["status"].as_str().unwrap_or("-");
        let task = shown["OS-EXT-STS:task_state"].as_str();
        let line = format!(
            "  {:13} {:16} on {}  migration {migration}",
            shown["status"].as_str().unwrap_or("-"),
            task.unwrap_or("-"),
            shown["OS-EXT-SRV-ATTR:host"].as_str().unwrap_or("-"),
        );
        if line != last {
            println!("{line}");
            last.clone_from(&line);
        }
        if ends.contains(&migration) && task.is_none() {
            return Ok(());
        }
        if started.elapsed() > PATIENCE {
            return Err(CloudError::Late {
                what: format!("the migration is not {}", ends.join(" or ")),
                seconds: PATIENCE.as_secs(),
                last,
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
