//! CPU time of two sides: what the bench starts itself, and everything that runs in the lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::unistd::{SysconfVar, sysconf};

/// What one contender cost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU of the processes that the bench started and of their children, in milliseconds.
    pub(crate) started: f64,
    /// CPU of the lab's own processes, sshd and everything below it, in milliseconds.
    pub(crate) lab: f64,
    /// From start to end, in milliseconds.
    pub(crate) wall: f64,
}

/// Where the CPU time of a lab's processes is read.
#[derive(Debug)]
pub(crate) enum Meter {
    /// A control group that the lab was started in: exact, also for processes that have ended.
    Group { dir: PathBuf, usage: Usage },
    /// Sums over `/proc/PID/stat` of the guard's descendants and their reaped children, in ticks of usually 10 ms.
    Sums { guard: i32 },
}

/// In which file and unit a control group says what it used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Usage {
    /// `cpuacct.usage` of version 1, nanoseconds.
    Nanoseconds,
    /// `usage_usec` in `cpu.stat` of version 2.
    CpuStat,
}

impl Meter {
    /// Runs `start` in a new control group where that is possible. What it starts stays there, this process does not.
    pub(crate) fn around<T, E>(
        start: impl FnOnce() -> Result<T, E>,
        guard: impl FnOnce(&T) -> i32,
    ) -> Result<(T, Self), E> {
        let Some((parent, usage)) = parent_group() else {
            let lab = start()?;
            let guard = guard(&lab);
            return Ok((lab, Self::Sums { guard }));
        };
        let dir = parent.join(format!("clearway-bench-{}", std::process::id()));
        let entered = fs::create_dir_all(&dir).and_then(|()| enter(&dir));
        let lab = start();
        let left = entered.and_then(|()| enter(&parent));
        match (lab, left) {
            (Ok(lab), Ok(())) => Ok((lab, Self::Group { dir, usage })),
            (Ok(lab), Err(_)) => {
                let guard = guard(&lab);
                Ok((lab, Self::Sums { guard }))
            }
            (Err(error), _) => {
                let _ = fs::remove_dir(&dir);
                Err(error)
            }
        }
    }

    /// How it measures, for the heading.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Group { .. } => "control group",
            Self::Sums { .. } => "sums over /proc, in clock ticks",
        }
    }

    /// What `run` costs, when everything that it caused on the nodes has come to rest.
    pub(crate) fn cost<E>(&self, run: impl FnOnce() -> Result<(), E>) -> Result<Cost, E> {
        self.settle();
        let (lab, started, begin) = (self.read(), children(), Instant::now());
        run()?;
        let wall = begin.elapsed().as_secs_f64() * 1000.0;
        let started = children() - started;
        self.settle();
        Ok(Cost {
            started,
            lab: self.read() - lab,
            wall,
        })
    }

    /// Sessions end a moment after their client; a machine that never rests is not waited for.
    fn settle(&self) {
        let mut before = self.read();
        for _ in 0..20 {
            std::thread::sleep(Duration::from_millis(200));
            let now = self.read();
            if now - before < 1.0 {
                return;
            }
            before = now;
        }
    }

    /// Milliseconds since the lab began.
    fn read(&self) -> f64 {
        match self {
            Self::Group { dir, usage } => read_group(dir, *usage)
                .unwrap_or_else(|| panic!("{}: the CPU time cannot be read", dir.display())),
            Self::Sums { guard } => sums(*guard),
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Self::Group { dir, .. } = self {
            // Empty by now, unless the lab outlives the bench; the group is then its own.
            let _ = fs::remove_dir(dir);
        }
    }
}

/// The CPU of all children that were waited for, and theirs, in milliseconds.
pub(crate) fn children() -> f64 {
    usage(UsageWho::RUSAGE_CHILDREN)
}

/// The CPU of this process, or of its children, in milliseconds.
pub(crate) fn usage(of: UsageWho) -> f64 {
    let usage = getrusage(of).expect("the call has no way to fail");
    let milliseconds = |time: TimeVal| time.num_microseconds() as f64 / 1000.0;
    milliseconds(usage.user_time()) + milliseconds(usage.system_time())
}

fn enter(group: &Path) -> std::io::Result<()> {
    fs::write(
        group.join("cgroup.procs"),
        std::process::id().to_string().as_bytes(),
    )
}

/// This process's control group, in whichever version counts CPU time (proc(5), `/proc/PID/cgroup`).
fn parent_group() -> Option<(PathBuf, Usage)> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let mut found = Vec::new();
    for line in own.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?.trim_start_matches('/'));
        if controllers.split(',').any(|it| it == "cpuacct") {
            for mount in ["cpuacct", "cpu,cpuacct"] {
                let dir = Path::new("/sys/fs/cgroup").join(mount).join(path);
                found.push((dir, Usage::Nanoseconds));
            }
        } else if controllers.is_empty() {
            found.push((Path::new("/sys/fs/cgroup").join(path), Usage::CpuStat));
        }
    }
    found
        .into_iter()
        .find(|(dir, usage)| read_group(dir, *usage).is_some())
}

fn read_group(dir: &Path, usage: Usage) -> Option<f64> {
    match usage {
        Usage::Nanoseconds => {
            let text = fs::read_to_string(dir.join("cpuacct.usage")).ok()?;
            Some(text.trim().parse::<f64>().ok()? / 1e6)
        }
        Usage::CpuStat => {
            let text = fs::read_to_string(dir.join("cpu.stat")).ok()?;
            let used = text
                .lines()
                .find_map(|line| line.strip_prefix("usage_usec "))?;
            Some(used.parse::<f64>().ok()? / 1e3)
        }
    }
}

/// Over the guard and its descendants, each with the children that it has waited for.
fn sums(guard: i32) -> f64 {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        // It may have ended since.
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let Some((_, rest)) = stat.rsplit_once(") ") else {
            continue;
        };
        let fields: Vec<i64> = rest
            .split(' ')
            .skip(1)
            .map_while(|field| field.trim().parse().ok())
            .collect();
        // Counted from ppid, the fourth of proc(5): utime, stime, cutime and cstime are 14 to 17.
        if let (Some(parent), Some(times)) = (fields.first(), fields.get(10..14)) {
            processes.push((pid, *parent, times.iter().sum::<i64>()));
        }
    }
    let mut family = vec![i64::from(guard)];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        let below = processes.iter().filter(|(_, of, _)| *of == parent);
        family.extend(below.map(|(pid, ..)| i64::from(*pid)));
        next += 1;
    }
    let ticks: i64 = processes
        .iter()
        .filter(|(pid, ..)| family.contains(&i64::from(*pid)))
        .map(|(_, _, ticks)| ticks)
        .sum();
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
    ticks as f64 * 1000.0 / per_second as f64
}
