//! Many nodes at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clearway::domain::{Fleet, NodeName, Scope};
use clearway::remote::{Connection, run_on_all};
use tokio::time::Instant;

use crate::sshd::*;

/// 40 addresses, each of them a node; four servers, because sshd listens on no more than 16 addresses.
fn forty() -> (Vec<Sshd>, Arc<Fleet>) {
    let mut servers = Vec::new();
    let mut nodes = Vec::new();
    for tens in 0..4 {
        let addresses: Vec<_> = (1..=10)
            .map(|last| format!("127.0.77.{}", tens * 10 + last))
            .collect();
        let listen: String = addresses
            .iter()
            .map(|address| format!("ListenAddress {address}\n"))
            .collect();
        let server = Sshd::with(&["host_ed25519"], &format!("{listen}MaxStartups 100"));
        for address in addresses {
            let mut node = node(&address, server.port);
            node.name = NodeName::new(&format!("cmp{:03}", nodes.len() + 1)).unwrap();
            nodes.push(node);
        }
        servers.push(server);
    }
    let fleet = Fleet {
        nodes,
        groups: Default::default(),
        scope: Scope::All,
    };
    (servers, Arc::new(fleet))
}

#[tokio::test]
async fn forty_nodes_are_served_a_few_at_a_time() {
    if !can_run("forty_nodes_are_served_a_few_at_a_time") {
        return;
    }
    let (servers, fleet) = forty();
    let ids = fleet.ids().collect();
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let peak = most.clone();
    let mut results = run_on_all(
        Arc::new(connector()),
        fleet.clone(),
        ids,
        8,
        move |_, connection: Connection| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let output = connection.run_program(b"echo here", &limits()).await;
                now.fetch_sub(1, Ordering::SeqCst);
                output.map(|_| connection)
            }
        },
    );
    let mut connections = Vec::new();
    while let Some((id, result)) = results.next().await {
        let connection = result.unwrap();
        assert_eq!(connection.node(), &fleet.node(id).name);
        connections.push(connection);
    }
    assert_eq!(connections.len(), 40);
    assert!(peak.load(Ordering::SeqCst) <= 8);
    // The same connections serve a second program.
    for connection in &connections[..3] {
        assert_eq!(
            connection
                .run_program(b"echo again", &limits())
                .await
                .unwrap()
                .stdout,
            b"again\n"
        );
    }
    let logins: usize = servers
        .iter()
        .map(|server| server.logged("Accepted publickey"))
        .sum();
    assert_eq!(logins, 40);
}

/// `cargo test --release --test remote_sshd cost -- --ignored --nocapture --test-threads 1`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn cost_per_node() {
    let (_servers, fleet) = forty();
    for round in 0..5 {
        let connector = Arc::new(connector());
        let (cpu, wall) = (own_cpu_ms(), Instant::now());
        let ids = fleet.ids().collect();
        let mut results = run_on_all(connector, fleet.clone(), ids, 16, async |_, connection| {
            connection.run_program(b"true", &limits()).await
        });
        while let Some((_, result)) = results.next().await {
            assert!(result.unwrap().exit.is_success());
        }
        let (cpu, wall) = (own_cpu_ms() - cpu, wall.elapsed().as_secs_f64());
        eprintln!(
            "round {round}: {:.2} ms CPU of this process per node, {wall:.2} s for 40 nodes",
            cpu / 40.0
        );
    }
}

/// User and system time of this process, without its children, from its threads' run time in nanoseconds.
fn own_cpu_ms() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds: u64 = tasks
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<u64>().ok())
        .sum();
    nanoseconds as f64 / 1e6
}
