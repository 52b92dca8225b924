//! What this machine lets us do, and the user namespace that makes up for it where we are not root.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Gid, Uid, User, getegid, geteuid, getpid, setgroups, setresgid, setresuid};

use crate::base;
use crate::error::{During, LabError, Result, chain};
use crate::image::Image;
use crate::sys;

/// What a lab on this machine can show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabSupport {
    /// Everything: as root, or in a user namespace with the user's subordinate ids.
    Full,
    /// No lab, for this reason. Tests skip, saying it.
    None(String),
}

impl LabSupport {
    /// Finds out, by trying; the first call costs some milliseconds.
    #[must_use]
    pub fn detect() -> Self {
        match Privilege::detect() {
            Ok(_) => Self::Full,
            Err(why) => Self::None(why.clone()),
        }
    }

    /// Whether a test that needs a lab must be skipped; says so and why on stderr.
    #[must_use]
    pub fn skips_test() -> bool {
        match Self::detect() {
            Self::Full => false,
            Self::None(why) => {
                say_skipped(&why);
                true
            }
        }
    }

    /// The same for a test that needs a lab of this image, which is made if it is missing.
    ///
    /// # Panics
    /// If the image is there, or could be made, and something else is wrong.
    #[must_use]
    pub fn skips_test_on(image: Image) -> bool {
        // What could not be made once is not tried again for every test.
        static FAILED: Mutex<Vec<(Image, String)>> = Mutex::new(Vec::new());
        if Self::skips_test() {
            return true;
        }
        let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed.iter().any(|(of, _)| *of == image) {
            match base::ensure(image, false) {
                Ok(_) => return false,
                Err(error @ (LabError::NoBase { .. } | LabError::Base { .. })) => {
                    failed.push((image, chain(&error)));
                }
                Err(error) => panic!("{}", chain(&error)),
            }
        }
        for (_, why) in failed.iter().filter(|(of, _)| *of == image) {
            say_skipped(why);
        }
        true
    }
}

/// Past what the test harness keeps to itself of a test that does not fail: nobody shall take silence for a proof.
fn say_skipped(why: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}

/// By what right the lab's namespaces are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// We are root, with all that belongs to it.
    Root,
    /// A user namespace in which we are root and have enough subordinate ids for all accounts (subuid(5)).
    Subordinate(Box<Ranges>),
}

/// The subordinate ids that a user may map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ranges {
    first_uid: u32,
    first_gid: u32,
}

/// `nobody`, the highest id of the image, is 65534; with our own id as 0 that many more are needed.
const NEEDED: u32 = 65534;

impl Privilege {
    pub(crate) fn detect() -> std::result::Result<&'static Self, &'static String> {
        static FOUND: OnceLock<std::result::Result<Privilege, String>> = OnceLock::new();
        FOUND.get_or_init(Self::find).as_ref()
    }

    /// The same with an error of the lab.
    pub(crate) fn require() -> Result<&'static Self> {
        Self::detect().map_err(|why| LabError::Unsupported { why: why.clone() })
    }

    fn find() -> std::result::Result<Self, String> {
        let mut reasons = Vec::new();
        if geteuid().is_root() {
            match Self::Root.try_out() {
                Ok(()) => return Ok(Self::Root),
                Err(why) => reasons.push(format!("root may not make namespaces here: {why}")),
            }
        }
        match Ranges::of_this_user() {
            Err(why) => reasons.push(why),
            Ok(ranges) => {
                let privilege = Self::Subordinate(Box::new(ranges));
                match privilege.try_out() {
                    Ok(()) => return Ok(privilege),
                    Err(why) => reasons.push(format!("no user namespace: {why}")),
                }
            }
        }
        Err(reasons.join("; "))
    }

    /// Makes the namespaces of a lab in a child process, and what in them is most often forbidden.
    fn try_out(&self) -> std::result::Result<(), String> {
        let (mut reader, mut writer) = io::pipe().map_err(|error| error.to_string())?;
        let attempt = || -> Result<()> {
            self.enter()?;
            unshare(sys::NAMESPACES.difference(CloneFlags::CLONE_NEWPID))
                .during(|| "making namespaces".into())?;
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
                .during(|| "making mounts private".into())?;
            mount(Some("tmpfs"), "/tmp", Some("tmpfs"), MsFlags::empty(), none)
                .during(|| "mounting a tmpfs".into())
        };
        let child = sys::fork(|| match attempt() {
            Ok(()) => 0,
            Err(error) => {
                let _ = writer.write_all(chain(&error).as_bytes());
                1
            }
        })
        .map_err(|error| error.to_string())?;
        drop(writer);
        let mut why = String::new();
        let _ = reader.read_to_string(&mut why);
        match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, 0)) => Ok(()),
            _ => Err(why),
        }
    }

    /// Where images that this privilege can use are kept: their files' owners differ.
    pub(crate) fn image_suffix(&self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Subordinate(_) => "-of-user",
        }
    }

    /// Makes the calling process, which must have one thread, root of what it makes from now on.
    pub(crate) fn enter(&self) -> Result<()> {
        let Self::Subordinate(ranges) = self else {
            return Ok(());
        };
        let (uid, gid, target) = (geteuid(), getegid(), getpid());
        let (mut wait, mut go) = io::pipe().during(|| "making a pipe".into())?;
        // The maps must be written from outside the new namespace.
        let mapper = sys::fork(|| {
            if wait.read_exact(&mut [0]).is_err() {
                return 1;
            }
            let map = |program: &str, own: u32, first: u32| {
                Command::new(program)
                    .arg(target.to_string())
                    .args(["0", &own.to_string(), "1", "1", &first.to_string()])
                    .arg(NEEDED.to_string())
                    .stdin(Stdio::null())
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .status()
                    .is_ok_and(|status| status.success())
            };
            let mapped = map("newuidmap", uid.as_raw(), ranges.first_uid)
                && map("newgidmap", gid.as_raw(), ranges.first_gid);
            i32::from(!mapped)
        })
        .during(|| "forking".into())?;
        let unshared = unshare(CloneFlags::CLONE_NEWUSER);
        let _ = go.write_all(b"!");
        let mapped = waitpid(mapper, None);
        unshared.during(|| "making a user namespace".into())?;
        if !matches!(mapped, Ok(WaitStatus::Exited(_, 0))) {
            return Err(LabError::Unsupported {
                why: "newuidmap or newgidmap refused".into(),
            });
        }
        let (root, root_group) = (Uid::from_raw(0), Gid::from_raw(0));
        setresgid(root_group, root_group, root_group)
            .and_then(|()| setgroups(&[]))
            .and_then(|()| setresuid(root, root, root))
            .during(|| "becoming root of the user namespace".into())
    }
}

impl Ranges {
    fn of_this_user() -> std::result::Result<Self, String> {
        for program in ["newuidmap", "newgidmap"] {
            if find_program(program).is_none() {
                return Err(format!(
                    "{program} is missing; type `apt-get install uidmap`"
                ));
            }
        }
        let uid = geteuid();
        let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
        let range = |file: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            first_range(&text, name.as_deref(), uid.as_raw()).ok_or_else(|| {
                format!("{file} gives this user no {NEEDED} ids; see usermod(8), --add-subuids")
            })
        };
        Ok(Self {
            first_uid: range("/etc/subuid")?,
            first_gid: range("/etc/subgid")?,
        })
    }
}

/// The start of the first range that is long enough, from lines `NAME-OR-UID:START:COUNT`.
fn first_range(text: &str, name: Option<&str>, uid: u32) -> Option<u32> {
    let uid = uid.to_string();
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let owner = fields.next()?;
        let start = fields.next()?.parse().ok()?;
        let count: u32 = fields.next()?.parse().ok()?;
        ((owner == uid || Some(owner) == name) && count >= NEEDED).then_some(start)
    })
}

/// Whether not every id of the machine exists here (user_namespaces(7), "uid_map").
pub(crate) fn in_user_namespace() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().collect::<Vec<_>>() != ["0", "0", "4294967295"]
}

/// Looks in the places where administrators' programs are, too.
pub(crate) fn find_program(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|dir| dir.join(program.as_ref()))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_found_by_name_or_number_and_must_be_long_enough() {
        let text = "other:100000:65536\nme:165536:1000\nme:200000:65536\n1234:300000:65536\n";
        assert_eq!(first_range(text, Some("me"), 1000), Some(200_000));
        assert_eq!(first_range(text, Some("you"), 1234), Some(300_000));
        assert_eq!(first_range(text, None, 1000), None);
    }

    #[test]
    fn what_was_detected_is_really_possible() {
        match Privilege::detect() {
            Ok(privilege) => assert_eq!(privilege.try_out(), Ok(())),
            Err(why) => assert!(!why.is_empty()),
        }
    }
}
