//! The image that all nodes of a lab share: a minimal Debian or Ubuntu with OpenSSH and the accounts of a compute node.
//!
//! Made once per checkout (about a minute), never written to afterwards: nodes lay their own files over it.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::stat::{Mode, umask};
use nix::sys::wait::{WaitStatus, waitpid};

use crate::apt::Release;
use crate::enter::be_inside;
use crate::error::{During, LabError, Result, chain};
use crate::image::Image;
use crate::layer::{self, DEPLOY, Entry, LIBVIRT_GROUP, NOVA, ROOT};
use crate::privilege::{Privilege, find_program, in_user_namespace};
use crate::sys;

/// What every image has beyond the packages that every Debian needs.
const PACKAGES: [&str; 10] = [
    "openssh-server",
    "openssh-client",
    "sudo",
    "iproute2",
    "nftables",
    "iptables",
    "rsync",
    "procps",
    "netbase",
    "netcat-openbsd",
];

/// What [`Image::Compute`] has beyond those. The first two only because debootstrap does not look for packages that
/// provide what libvirt's polkitd asks for.
const COMPUTE_PACKAGES: [&str; 8] = [
    "dbus",
    "libpam-systemd",
    "libvirt-daemon-system",
    "qemu-system-x86",
    "qemu-utils",
    "python3",
    "python3-libvirt",
    "rabbitmq-server",
];

/// Changes of this module that the stamp would not show.
const RECIPE: u32 = 2;

/// Translations, manuals and package lists: half of the image, and nothing that a node uses.
const SUPERFLUOUS: [&str; 8] = [
    "usr/share/doc",
    "usr/share/man",
    "usr/share/locale",
    "usr/share/info",
    "usr/share/lintian",
    "var/cache/apt",
    "var/lib/apt/lists",
    "var/log/bootstrap.log",
];

/// The root directory of a finished image of the current recipe, if there is one.
#[must_use]
pub fn existing(image: Image) -> Option<PathBuf> {
    let base = image.location();
    let stamp = fs::read_to_string(base.join("recipe")).ok()?;
    (stamp == recipe(image)).then(|| base.join("root"))
}

/// Finds the image or makes it. With `install`, a missing debootstrap is installed with apt-get.
///
/// Safe to be interrupted and to be run by several processes at once: one builds beside the final place and renames,
/// the others wait for it.
///
/// # Errors
/// [`LabError::NoBase`] when the image is missing and something must be typed first, [`LabError::Base`] with the end
/// of the builder's output when building failed.
pub fn ensure(image: Image, install: bool) -> Result<PathBuf> {
    if let Some(root) = existing(image) {
        return Ok(root);
    }
    let privilege = Privilege::require()?;
    let base = image.location();
    let parent = base.parent().expect("a location has a directory");
    fs::create_dir_all(parent).during(|| format!("making {}", parent.display()))?;
    let lock_path = base.with_extension("lock");
    let lock = File::create(&lock_path).during(|| format!("making {}", lock_path.display()))?;
    lock.lock()
        .during(|| format!("locking {}", lock_path.display()))?;
    if let Some(root) = existing(image) {
        return Ok(root);
    }

    require_debootstrap(&base, install)?;
    as_root(privilege, || build(image, &base))?;
    Ok(base.join("root"))
}

/// Runs `work` in a child process that is root of what it makes, with the ids of the lab.
fn as_root(privilege: &Privilege, work: impl FnOnce() -> Result<()>) -> Result<()> {
    let (mut reader, mut writer) = io::pipe().during(|| "making a pipe".into())?;
    let child = sys::fork(|| {
        let done = sys::die_with_parent()
            .during(|| "asking to die with the parent".into())
            .and_then(|()| privilege.enter())
            .and_then(|()| work());
        match done {
            Ok(()) => 0,
            Err(error) => {
                let _ = writer.write_all(chain(&error).as_bytes());
                1
            }
        }
    })
    .during(|| "forking".into())?;
    drop(writer);
    let mut why = String::new();
    let _ = reader.read_to_string(&mut why);
    match waitpid(child, None).during(|| "waiting for the builder".into())? {
        WaitStatus::Exited(_, 0) => Ok(()),
        ended if why.is_empty() => Err(LabError::Base {
            why: format!("{ended:?}"),
        }),
        _ => Err(LabError::Base { why }),
    }
}

fn build(image: Image, base: &Path) -> Result<()> {
    umask(Mode::S_IWGRP | Mode::S_IWOTH);
    let building = base.with_extension("building");
    remove_path(&building)?;
    fs::create_dir(&building).during(|| format!("making {}", building.display()))?;
    let root = building.join("root");
    bootstrap(image, &root, &base.with_extension("log"))?;
    furnish(&root)?;
    fs::write(building.join("recipe"), recipe(image)).during(|| "writing the recipe".into())?;

    let outdated = base.with_extension("outdated");
    remove_path(&outdated)?;
    if base.exists() {
        fs::rename(base, &outdated).during(|| format!("moving {} away", base.display()))?;
    }
    fs::rename(&building, base).during(|| format!("naming {}", base.display()))?;
    remove_path(&outdated)
}

/// Removes the image. Who is not root cannot do that with rm, because its files belong to subordinate ids.
///
/// # Errors
/// If something could not be removed.
pub fn remove(image: Image) -> Result<()> {
    let base = image.location();
    as_root(Privilege::require()?, || {
        ["building", "outdated", "log"]
            .iter()
            .map(|extension| base.with_extension(extension))
            .chain([base.clone()])
            .try_for_each(|path| remove_path(&path))
    })
}

fn remove_path(path: &Path) -> Result<()> {
    let removed = if path.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done.during(|| format!("removing {}", path.display())),
    }
}

fn packages(image: Image) -> Vec<&'static str> {
    let more: &[&str] = match image {
        Image::Distribution | Image::Newer => &[],
        Image::Compute => &COMPUTE_PACKAGES,
    };
    [&PACKAGES, more].concat()
}

fn recipe(image: Image) -> String {
    let Release {
        distribution,
        codename,
    } = image.release();
    format!(
        "recipe {RECIPE}\n{distribution} {codename}\n{}\n",
        packages(image).join(" ")
    )
}

fn require_debootstrap(base: &Path, install: bool) -> Result<()> {
    let missing = |advice: &str| LabError::NoBase {
        path: base.to_owned(),
        advice: advice.to_owned(),
    };
    if find_program("debootstrap").is_some() {
        return Ok(());
    }
    if !install || !nix::unistd::geteuid().is_root() {
        return Err(missing(
            "type `apt-get install debootstrap`, or let `lab base --install` do it as root",
        ));
    }
    let done = Command::new("apt-get")
        .args(["install", "--yes", "--no-install-recommends", "debootstrap"])
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .output()
        .during(|| "running apt-get".into())?;
    if !done.status.success() || find_program("debootstrap").is_none() {
        return Err(LabError::Base {
            why: format!(
                "apt-get install debootstrap: {}",
                String::from_utf8_lossy(&done.stderr).trim()
            ),
        });
    }
    Ok(())
}

/// Runs debootstrap in mount and pid namespaces of its own, so that nothing of it stays when it is killed.
fn bootstrap(image: Image, root: &Path, log: &Path) -> Result<()> {
    let log_file = File::create(log).during(|| format!("making {}", log.display()))?;
    let second = log_file
        .try_clone()
        .during(|| format!("sharing {}", log.display()))?;
    let mut command = Command::new("debootstrap");
    command
        .arg("--variant=minbase")
        .arg(format!("--include={}", packages(image).join(",")))
        .arg(image.release().codename)
        .arg(root)
        .args(image.mirror())
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        // Only the machine's root makes devices, and debootstrap must not insist on it.
        .envs(in_user_namespace().then_some(("container", "lxc")))
        .stdin(Stdio::null())
        .stdout(log_file)
        .stderr(second);
    let hook = || {
        sys::die_with_parent()?;
        unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        be_inside()?;
        mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none)?;
        Ok(())
    };
    // SAFETY: between fork and exec the hook makes system calls only.
    unsafe { command.pre_exec(hook) };
    let done = command.status().during(|| "running debootstrap".into())?;
    if !done.success() {
        return Err(LabError::Base {
            why: format!(
                "debootstrap: {done}; {} ends with: {}",
                log.display(),
                tail(log)
            ),
        });
    }
    Ok(())
}

fn tail(path: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(800)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    read().unwrap_or_default()
}

/// Accounts, sudo rules and the few files that make a minimal system a compute node.
fn furnish(root: &Path) -> Result<()> {
    for path in SUPERFLUOUS {
        let path = root.join(path);
        remove_path(&path)?;
    }
    // Keys belong to a node; name servers of this machine would make every failing lookup slow.
    for entry in fs::read_dir(root.join("etc/ssh")).during(|| "listing etc/ssh".into())? {
        let path = entry.during(|| "listing etc/ssh".into())?.path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("ssh_host_"))
        {
            fs::remove_file(&path).during(|| format!("removing {}", path.display()))?;
        }
    }
    for path in [
        "etc/hosts",
        "etc/hostname",
        "etc/machine-id",
        "etc/resolv.conf",
    ] {
        let path = root.join(path);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).during(|| format!("removing {}", path.display()))?;
        }
    }

    let (nova, deploy) = (NOVA.uid, DEPLOY.uid);
    // A star, not useradd's exclamation mark: with UsePAM no, that would mean a locked account.
    append(
        root,
        "etc/passwd",
        &format!(
            "nova:x:{nova}:{nova}::/var/lib/nova:/bin/bash\ndeploy:x:{deploy}:{deploy}::/home/deploy:/bin/bash\n"
        ),
    )?;
    append(
        root,
        "etc/shadow",
        "nova:*:19000:0:99999:7:::\ndeploy:*:19000:0:99999:7:::\n",
    )?;
    append(
        root,
        "etc/group",
        &format!("nova:x:{nova}:\ndeploy:x:{deploy}:\n"),
    )?;
    append(root, "etc/gshadow", "nova:!::\ndeploy:!::\n")?;
    join_libvirt(root, "etc/group", &format!("libvirt:x:{LIBVIRT_GROUP}:"))?;
    join_libvirt(root, "etc/gshadow", "libvirt:!::")?;
    layer::write(
        root,
        &[
            Entry::file("etc/resolv.conf", ROOT, 0o644, ""),
            Entry::file(
                "etc/sudoers.d/deploy",
                ROOT,
                0o440,
                "deploy ALL=(ALL:ALL) NOPASSWD: ALL\n",
            ),
            Entry::dir("var/lib/nova", NOVA, 0o755),
            Entry::dir("home/deploy", DEPLOY, 0o755),
        ],
    )?;
    // pam_env looks for it at every login and complains when it is missing.
    let locale = root.join("etc/default/locale");
    if !locale.exists() {
        fs::write(&locale, "").during(|| format!("writing {}", locale.display()))?;
    }
    // Written with this process's umask until here.
    for (path, mode) in [
        ("etc/resolv.conf", 0o644),
        ("etc/sudoers.d/deploy", 0o440),
        ("etc/default/locale", 0o644),
        ("var/lib/nova", 0o755),
        ("home/deploy", 0o755),
    ] {
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))
            .during(|| format!("setting the mode of {path}"))?;
    }
    Ok(())
}

/// Makes nova a member of the group that may use libvirt's socket; `line` is the group's where no package has made it.
fn join_libvirt(root: &Path, path: &str, line: &str) -> Result<()> {
    let file = root.join(path);
    let text = fs::read_to_string(&file).during(|| format!("reading {path}"))?;
    if !text.contains("\nlibvirt:") {
        return append(root, path, &format!("{line}nova\n"));
    }
    let mut joined = String::new();
    for group in text.lines() {
        joined.push_str(group);
        if group.starts_with("libvirt:") {
            let first = group.ends_with(':');
            joined.push_str(if first { "nova" } else { ",nova" });
        }
        joined.push('\n');
    }
    fs::write(&file, joined).during(|| format!("writing {path}"))
}

fn append(root: &Path, path: &str, text: &str) -> Result<()> {
    fs::OpenOptions::new()
        .append(true)
        .open(root.join(path))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .during(|| format!("appending to {path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nova_joins_the_group_of_libvirt_whoever_has_made_it() {
        let root = tempfile::tempdir().unwrap();
        let joined = |groups: &str| {
            fs::write(root.path().join("group"), groups).unwrap();
            join_libvirt(root.path(), "group", "libvirt:x:7:").unwrap();
            fs::read_to_string(root.path().join("group")).unwrap()
        };
        assert_eq!(joined("root:x:0:\n"), "root:x:0:\nlibvirt:x:7:nova\n");
        assert_eq!(
            joined("root:x:0:\nlibvirt:x:107:\nlibvirt-qemu:x:9:\n"),
            "root:x:0:\nlibvirt:x:107:nova\nlibvirt-qemu:x:9:\n"
        );
        assert_eq!(
            joined("root:x:0:\nlibvirt:x:107:a\n"),
            "root:x:0:\nlibvirt:x:107:a,nova\n"
        );
    }
}
