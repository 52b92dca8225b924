//! Root directories: the image and layers over it, with the kernel's own file systems in their places.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use crate::error::{During, Result};

/// Where the layer that belongs to one root alone is, below that root's directory.
pub(crate) const UPPER: &str = "upper";

/// Mounts `directory/root` from the layers that `lower` names, topmost first, and `directory/upper`; returns its path.
///
/// All paths are relative to the current directory.
pub(crate) fn make(directory: &Path, lower: &str) -> Result<PathBuf> {
    let (upper, work, root) = (
        directory.join(UPPER),
        directory.join("work"),
        directory.join("root"),
    );
    for dir in [&upper, &work, &root] {
        fs::create_dir_all(dir).during(|| format!("making {}", dir.display()))?;
    }
    let layers = format!(
        "lowerdir={lower},upperdir={},workdir={}",
        upper.display(),
        work.display()
    );
    mount_at(&root, "overlay", MsFlags::empty(), Some(&layers)).or_else(|_| {
        // In a user namespace overlayfs may not use trusted.* attributes.
        let layers = format!("{layers},userxattr");
        mount_at(&root, "overlay", MsFlags::empty(), Some(&layers))
    })?;
    let quiet = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount_at(&root.join("proc"), "proc", quiet | MsFlags::MS_NOEXEC, None)?;
    mount_at(&root.join("run"), "tmpfs", quiet, Some("mode=755"))?;
    make_devices(&root.join("dev"))?;
    Ok(root)
}

fn mount_at(target: &Path, kind: &str, flags: MsFlags, options: Option<&str>) -> Result<()> {
    mount(Some(kind), target, Some(kind), flags, options)
        .during(|| format!("mounting {kind} at {}", target.display()))
}

/// Mounts sysfs in a root that [`make`] has made: libvirt reads there what the machine has.
pub(crate) fn add_sys(root: &Path) -> Result<()> {
    let flags = MsFlags::MS_RDONLY | MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount_at(&root.join("sys"), "sysfs", flags, None)
}

/// Lets a root see a directory of the machine under the same name, read-only.
pub(crate) fn share(root: &Path, dir: &Path) -> Result<()> {
    let none = None::<&str>;
    let place = root.join(dir.strip_prefix("/").unwrap_or(dir));
    fs::create_dir_all(&place).during(|| format!("making {}", place.display()))?;
    mount(Some(dir), &place, none, MsFlags::MS_BIND, none)
        .during(|| format!("binding {}", dir.display()))?;
    // A bind mount takes other flags only when it is mounted again.
    let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, &place, none, flags, none)
        .during(|| format!("making {} read-only", place.display()))
}

fn bind_device(name: &str, path: &Path) -> Result<()> {
    fs::File::create(path).during(|| format!("making {}", path.display()))?;
    let (none, original) = (None::<&str>, Path::new("/dev").join(name));
    mount(Some(&original), path, none, MsFlags::MS_BIND, none)
        .during(|| format!("binding {}", original.display()))
}

fn make_devices(dev: &Path) -> Result<()> {
    const DEVICES: [(&str, u64, u64); 6] = [
        ("null", 1, 3),
        ("zero", 1, 5),
        ("full", 1, 7),
        ("random", 1, 8),
        ("urandom", 1, 9),
        ("tty", 5, 0),
    ];
    mount_at(dev, "tmpfs", MsFlags::MS_NOSUID, Some("mode=755"))?;
    for (name, major, minor) in DEVICES {
        let path = dev.join(name);
        let made = mknod(&path, SFlag::S_IFCHR, Mode::empty(), makedev(major, minor));
        if made == Err(Errno::EPERM) {
            // Only the machine's root makes devices; its own will do.
            bind_device(name, &path)?;
            continue;
        }
        made.during(|| format!("making {}", path.display()))?;
        // Not subject to the umask.
        fs::set_permissions(&path, Permissions::from_mode(0o666))
            .during(|| format!("opening {} to all", path.display()))?;
    }
    let (pts, shm) = (dev.join("pts"), dev.join("shm"));
    for dir in [&pts, &shm] {
        fs::create_dir(dir).during(|| format!("making {}", dir.display()))?;
    }
    mount_at(
        &pts,
        "devpts",
        MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC,
        Some("newinstance,ptmxmode=0666,mode=620"),
    )?;
    mount_at(&shm, "tmpfs", MsFlags::MS_NOSUID | MsFlags::MS_NODEV, None)?;
    for (link, target) in [
        ("ptmx", "pts/ptmx"),
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let link = dev.join(link);
        symlink(target, &link).during(|| format!("linking {}", link.display()))?;
    }
    Ok(())
}
