//! `nova-lab`: a cloud from the command line.

mod demo;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clearway_nova_lab::{Cache, Cloud, CloudError, RealCloud, Steer};

/// A real Keystone and Nova on this machine, whose hypervisors do as they are told.
#[derive(Parser)]
#[command(name = "nova-lab", version)]
struct Arguments {
    /// The directory of the cloud [default: nova/up in cargo's target directory].
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Install Nova and make the databases, if that was not done yet.
    Setup,
    /// Start a cloud that runs until `nova-lab down`.
    Up {
        /// How many computes.
        #[arg(short, long, default_value_t = 4)]
        computes: usize,
        /// Put the second half of them into a second cell.
        #[arg(long)]
        two_cells: bool,
        /// Life of a token in seconds.
        #[arg(long, default_value_t = 3600)]
        token_seconds: u32,
        /// How many servers to boot on each compute.
        #[arg(long, default_value_t = 0)]
        servers: usize,
        /// Boot them on this one only, named by its service host name.
        #[arg(long, value_name = "HOST")]
        on: Option<String>,
        /// Let servers really run: nodes of the lab with libvirt and QEMU as computes. Needs root.
        #[arg(long, conflicts_with_all = ["two_cells", "token_seconds"])]
        real: bool,
    },
    /// Start a cloud, show a move that fails, one that does well, and a live one, and end the cloud.
    Demo,
    /// Stop the cloud and remove its directory.
    Down,
    /// Say how to use the running cloud.
    Status,
    /// Run the unmodified `openstack` client on it.
    Openstack {
        /// Who: operator, manager, member, reader, or the same with -app.
        #[arg(long, default_value = "operator")]
        cloud: String,
        /// The client's arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Say what shall become of moves across a pair of computes; without a fault, they succeed.
    Steer {
        /// Service host name of the source; `*` for any.
        source: String,
        /// Service host name of the destination; `*` for any.
        destination: String,
        /// How cold moves fail: hostkey, denied, refused, timeout, scp, finish, hang-copy and so on.
        #[arg(long)]
        cold: Option<String>,
        /// How live moves fail: hostkey, denied, midway, check, hang-run and so on.
        #[arg(long)]
        live: Option<String>,
        /// Seconds that each phase of a move takes.
        #[arg(long, default_value_t = 0.0)]
        seconds: f64,
    },
    /// Kill a compute, or start a killed one again.
    Compute {
        /// Its service host name.
        host: String,
        /// Start it again.
        #[arg(long)]
        revive: bool,
    },
    /// Close Nova's port for so many seconds.
    Refuse {
        /// For how long.
        seconds: f64,
    },
    /// Print what Nova's API was asked.
    Log,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            eprintln!("nova-lab: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, CloudError> {
    let cache = Cache::ensure()?;
    let dir = arguments.dir.unwrap_or_else(|| cache.dir().join("up"));
    match arguments.command {
        Action::Setup => println!("{}", cache.dir().display()),
        Action::Up {
            computes,
            servers,
            on,
            real: true,
            ..
        } => {
            let real = RealCloud::start_until_stopped(computes, &dir)?;
            boot(real.cloud(), servers, on.as_deref())?;
            describe_real(&real);
        }
        Action::Up {
            computes,
            two_cells,
            token_seconds,
            servers,
            on,
            real: false,
        } => {
            let mut builder = Cloud::builder().computes(computes);
            if two_cells {
                builder = builder.two_cells();
            }
            let cloud = builder
                .token_seconds(token_seconds)
                .until_stopped_in(&dir)
                .start()?;
            boot(&cloud, servers, on.as_deref())?;
            describe(&cloud);
        }
        Action::Demo => demo::run()?,
        Action::Down if RealCloud::is_in(&dir) => RealCloud::stop_in(&dir)?,
        Action::Down => attach(&dir)?.stop()?,
        Action::Status if RealCloud::is_in(&dir) => describe_real(&RealCloud::attach(&dir)?),
        Action::Status => describe(&attach(&dir)?),
        Action::Openstack { cloud, arguments } => {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let output = if RealCloud::is_in(&dir) {
                RealCloud::attach(&dir)?
                    .cloud()
                    .openstack(&cloud, &arguments)?
            } else {
                attach(&dir)?.openstack(&cloud, &arguments)?
            };
            print!("{}", String::from_utf8_lossy(&output.stdout));
            eprint!("{}", String::from_utf8_lossy(&output.stderr));
            return Ok(if output.status.success() {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Action::Steer {
            source,
            destination,
            cold,
            live,
            seconds,
        } => {
            let steer = Steer::from_words(cold.as_deref(), live.as_deref(), seconds)?;
            attach(&dir)?.steer(&source, &destination, steer)?;
        }
        Action::Compute { host, revive: true } => attach(&dir)?.revive_compute(&host)?,
        Action::Compute { host, .. } => attach(&dir)?.kill_compute(&host)?,
        Action::Refuse { seconds } => {
            attach(&dir)?.refuse_connections(Duration::from_secs_f64(seconds))?
        }
        Action::Log => {
            for request in attach(&dir)?.access_log()? {
                println!(
                    "{} {:3} {:6} {} {}",
                    request.time,
                    request.status,
                    request.method,
                    request.path,
                    request.action.unwrap_or_default()
                );
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// On one compute, or so many on each.
fn boot(cloud: &Cloud, servers: usize, on: Option<&str>) -> Result<(), CloudError> {
    if let Some(host) = on {
        return cloud.boot_servers("s", servers, host).map(drop);
    }
    for (number, compute) in cloud.computes().iter().enumerate() {
        cloud.boot_servers(&format!("s{}", number + 1), servers, &compute.host)?;
    }
    Ok(())
}

fn attach(dir: &Path) -> Result<Cloud, CloudError> {
    Cloud::attach(&std::fs::canonicalize(dir).unwrap_or_else(|_| dir.to_owned()))
}

fn describe_real(real: &RealCloud) {
    let (cloud, lab) = (real.cloud(), real.lab());
    println!("identity     {}", cloud.identity_url());
    println!("compute      {}", cloud.compute_url());
    println!("inventory    {}", lab.inventory().display());
    println!("API log      {}", cloud.dir().join("access.log").display());
    println!("lab          {}", lab.dir().display());
    println!(
        "type         lab --dir {} node node1 -- sh",
        lab.dir().display()
    );
    println!(
        "type         lab --dir {} exec -- env OS_CLIENT_CONFIG_FILE={} OS_CLOUD=operator clearway servers",
        lab.dir().display(),
        cloud.clouds_yaml().display()
    );
}

fn describe(cloud: &Cloud) {
    println!("identity     {}", cloud.identity_url());
    println!("compute      {}", cloud.compute_url());
    for compute in cloud.computes() {
        println!(
            "             {:12} {:12} {}",
            compute.host, compute.address, compute.cell
        );
    }
    println!("steering     {}", cloud.dir().join("steer.json").display());
    println!("API faults   {}", cloud.dir().join("faults.json").display());
    println!("API log      {}", cloud.dir().join("access.log").display());
    println!(
        "type         export OS_CLIENT_CONFIG_FILE={} OS_CLOUD=operator",
        cloud.clouds_yaml().display()
    );
    println!("             (or manager, member, reader; each by application credential with -app)");
}
