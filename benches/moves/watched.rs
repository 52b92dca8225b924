//! A run of clearway that is looked at while it works.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::gate_of;

pub(crate) struct Watched {
    child: Child,
    lines: Receiver<String>,
}

impl Watched {
    /// Reads what it prints at all times, so that it never waits for a reader.
    pub(crate) fn new(mut child: Child) -> Self {
        let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // Nobody may want it any more.
                let _ = send.send(line);
            }
        });
        Self { child, lines }
    }

    /// Waits until so many moves have passed the gate; the seconds that it took for each.
    pub(crate) fn gates(&self, moves: usize, patience: Duration) -> Vec<f64> {
        let (end, mut proving, mut gates) = (Instant::now() + patience, HashMap::new(), Vec::new());
        while gates.len() < moves {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("only {} moves passed the gate", gates.len());
            };
            let event = serde_json::from_str(&line).expect("JSON");
            gates.extend(gate_of(&mut proving, &event));
        }
        gates
    }

    /// CPU seconds until now, of the kernel for it too.
    pub(crate) fn cpu(&self) -> f64 {
        let stat = self.read("stat");
        // Behind the name in brackets: field 14 and 15 of proc_pid_stat(5), in ticks of a hundredth of a second.
        let (_, fields) = stat.rsplit_once(')').expect("proc_pid_stat(5)");
        let ticks = fields.split_whitespace().skip(11).take(2);
        ticks
            .map(|it| it.parse::<f64>().expect("a number"))
            .sum::<f64>()
            / 100.0
    }

    /// The most memory that it had at any time, in MiB.
    pub(crate) fn peak_mib(&self) -> f64 {
        self.try_peak_mib().expect("proc_pid_status(5)")
    }

    /// None when it has ended and nobody has waited for it yet.
    fn try_peak_mib(&self) -> Option<f64> {
        let status = self.read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line?.split_whitespace().next()?;
        Some(kib.parse::<f64>().expect("a number") / 1024.0)
    }

    /// Waits until it has ended: its exit code, and the most memory and all CPU seconds that were seen of it before.
    pub(crate) fn ended(&mut self, patience: Duration) -> (Option<i32>, f64, f64) {
        let (began, mut memory, mut cpu) = (Instant::now(), 0.0, 0.0);
        loop {
            if let Some(status) = self.child.try_wait().expect("it is a child") {
                return (status.code(), memory, cpu);
            }
            assert!(began.elapsed() < patience, "it has not ended");
            // It may end in this moment, and have neither any more.
            if let Some(now) = self.try_peak_mib() {
                (memory, cpu) = (now, self.cpu());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    fn read(&self, file: &str) -> String {
        let path = format!("/proc/{}/{file}", self.child.id());
        std::fs::read_to_string(path).expect("it runs")
    }
}
