//! `lab`: a lab from the command line.

use std::ffi::OsString;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus};
use std::time::Instant;

use clap::{Parser, Subcommand, ValueEnum};
use clearway_lab::{Fault, Image, Kex, Lab, LabError, base};

/// Real sshd nodes on this machine, each with its own network, accounts and files.
#[derive(Parser)]
#[command(name = "lab", version)]
struct Arguments {
    /// The directory of the lab [default: lab/up in cargo's target directory].
    #[arg(long, global = true)]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Make the image that all nodes share, if it is not there or not up to date.
    Base {
        /// Which one.
        #[arg(long, value_enum, default_value_t)]
        image: ImageChoice,
        /// Install debootstrap with apt-get if it is missing.
        #[arg(long)]
        install: bool,
        /// Remove the image instead.
        #[arg(long, conflicts_with = "install")]
        remove: bool,
    },
    /// Start a lab that runs until `lab down`.
    Up {
        /// How many nodes.
        #[arg(short, long, default_value_t = 3)]
        nodes: usize,
        /// Which system they run.
        #[arg(long, value_enum, default_value_t)]
        image: ImageChoice,
        /// Which key exchange the nodes' clients use.
        #[arg(long, value_enum, default_value_t = KexChoice::Fast)]
        kex: KexChoice,
    },
    /// Stop the lab and remove its directory.
    Down,
    /// Show the nodes of the running lab.
    Status,
    /// List the catalogue of faults.
    Faults,
    /// Plant a fault in the running lab.
    Plant {
        /// Its id, as `lab faults` lists it.
        id: String,
    },
    /// Plant faults, each in a lab of its own, and let OpenSSH itself say whether they do what their files say.
    Verify {
        /// Which system the nodes run.
        #[arg(long, value_enum, default_value_t)]
        image: ImageChoice,
        /// Which ones; all without.
        ids: Vec<String>,
    },
    /// Run a command of this machine in the lab's network, from where every node can be reached.
    Exec {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Run a command on a node, as root.
    Node {
        /// The node's name.
        node: String,
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum KexChoice {
    /// curve25519-sha256.
    Fast,
    /// What the distribution ships.
    Distribution,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum ImageChoice {
    /// This machine's own Debian or Ubuntu, else Debian 12.
    #[default]
    Distribution,
    /// Debian 13, with OpenSSH 10.0.
    Newer,
    /// This machine's own, with libvirt and QEMU.
    Compute,
}

impl From<ImageChoice> for Image {
    fn from(choice: ImageChoice) -> Self {
        match choice {
            ImageChoice::Distribution => Self::Distribution,
            ImageChoice::Newer => Self::Newer,
            ImageChoice::Compute => Self::Compute,
        }
    }
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
            eprintln!("lab: {text}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode, LabError> {
    let dir = arguments
        .dir
        .unwrap_or_else(|| Image::Distribution.location().with_file_name("up"));
    match arguments.command {
        Action::Base {
            image,
            remove: true,
            ..
        } => base::remove(image.into())?,
        Action::Base { image, install, .. } => {
            println!("{}", base::ensure(image.into(), install)?.display());
        }
        Action::Up { nodes, image, kex } => {
            let kex = match kex {
                KexChoice::Fast => Kex::Fast,
                KexChoice::Distribution => Kex::Distribution,
            };
            let lab = Lab::builder()
                .nodes(nodes)
                .image(image.into())
                .kex(kex)
                .dir(dir)
                .until_stopped()
                .start()?;
            describe(&lab);
        }
        Action::Down => Lab::attach(&dir)?.stop()?,
        Action::Status => {
            let lab = Lab::attach(&dir)?;
            describe(&lab);
            for node in lab.nodes() {
                println!(
                    "{:10} {:15} {:15} process {}",
                    node.name(),
                    node.host(),
                    node.address(),
                    node.pid()
                );
            }
        }
        Action::Faults => {
            for fault in Fault::load_all()? {
                println!("{:45} {}", fault.id, fault.title);
            }
        }
        Action::Plant { id } => Lab::attach(&dir)?.plant(&Fault::find(&id)?)?,
        Action::Verify { image, ids } => return verify(image.into(), &ids),
        Action::Exec { command } => {
            let (program, arguments) = command.split_first().expect("clap wants at least one");
            let lab = Lab::attach(&dir)?;
            return follow(lab.command(program).args(arguments));
        }
        Action::Node { node, command } => {
            let (program, arguments) = command.split_first().expect("clap wants at least one");
            let lab = Lab::attach(&dir)?;
            let Some(node) = lab.nodes().iter().find(|found| found.name() == node) else {
                return Err(LabError::NotRunning {
                    dir,
                    why: format!("the lab has no {node}"),
                });
            };
            return follow(node.command(program).args(arguments));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify(image: Image, ids: &[String]) -> Result<ExitCode, LabError> {
    let faults = if ids.is_empty() {
        Fault::load_all()?
    } else {
        ids.iter()
            .map(|id| Fault::find(id))
            .collect::<Result<_, _>>()?
    };
    let mut wrong = 0;
    for fault in &faults {
        let started = Instant::now();
        let lab = Lab::for_fault(fault).image(image).start()?;
        let result = lab.plant(fault).and_then(|()| lab.verify(fault));
        let seconds = started.elapsed().as_secs_f32();
        match result {
            Ok(mismatches) if mismatches.is_empty() => {
                println!("ok     {seconds:5.1} s  {}", fault.id);
            }
            Ok(mismatches) => {
                wrong += 1;
                println!("WRONG  {seconds:5.1} s  {}", fault.id);
                for mismatch in mismatches {
                    println!("  {mismatch}");
                }
            }
            Err(error) => {
                wrong += 1;
                println!("WRONG  {seconds:5.1} s  {}: {error}", fault.id);
            }
        }
    }
    println!("{wrong} of {} faults are not what they say", faults.len());
    Ok(if wrong == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn describe(lab: &Lab) {
    println!("nodes        {}", lab.nodes().len());
    println!("inventory    {}", lab.inventory().display());
    println!("control key  {}", lab.control_key().display());
    println!("known hosts  {}", lab.control_known_hosts().display());
}

fn follow(command: &mut Command) -> Result<ExitCode, LabError> {
    let status = command.status().map_err(|source| LabError::Io {
        what: format!("running {}", command.get_program().display()),
        source,
    })?;
    Ok(ExitCode::from(code(status)))
}

/// The shell's convention: 128 and the signal's number.
fn code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
    u8::try_from(code).unwrap_or(u8::MAX)
}
