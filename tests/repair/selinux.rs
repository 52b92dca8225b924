//! SELinux on a node of the lab, as far as there is one without it in the kernel: labels are real attributes of files, what
//! the policy gives to a path says the real setfiles, and sshd is kept from files by a library in the policy's place.

use std::process::Command;

use clearway_lab::Node;

use crate::support::sh;

/// The label of what was made by hand or moved from elsewhere, and the one that the policy gives.
pub(crate) const OLD: &str = "unconfined_u:object_r:var_lib_t:s0";
pub(crate) const NEW: &str = "unconfined_u:object_r:ssh_home_t:s0";

/// Lines of Fedora's policy (ssh.fc, and what stands in for the rest).
const FILE_CONTEXTS: &str = "\
/var/lib/nova(/.*)?\tsystem_u:object_r:nova_var_lib_t:s0
/var/lib/nova/\\.ssh(/.*)?\tsystem_u:object_r:ssh_home_t:s0
/etc/ssh(/.*)?\tsystem_u:object_r:etc_t:s0
";

/// restorecon is the same program as setfiles and does nothing without SELinux in the kernel. Unlike that one it takes relative
/// paths, and does not go down into directories; and with SELinux every file has a label.
const RESTORECON: &str = r#"#!/bin/sh
options=
while :; do
	case $1 in
	--) shift; break ;;
	-*) options="$options $1"; shift ;;
	*) break ;;
	esac
done
for p do
	shift
	set -- "$@" "$(realpath "${p%/*}")/${p##*/}"
done
said=$(/usr/local/sbin/setfiles -m $options /etc/selinux/file_contexts "$@") || exit
printf '%s\n' "$said" | grep -v ' from (null) to ' | sort -u
exit 0
"#;

/// What an enforcing kernel does to an sshd that may read `ssh_home_t` only.
const ENFORCED: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/xattr.h>
static int is_denied(const char *path) {
	char dir[4096], label[256];
	const char *names[] = {path, dir}, *slash = strrchr(path, '/');
	if (!slash || strcmp(slash, "/authorized_keys") || slash - path >= 4096) return 0;
	memcpy(dir, path, slash - path);
	dir[slash - path] = 0;
	for (int i = 0; i < 2; i++) {
		ssize_t got = getxattr(names[i], "security.selinux", label, sizeof label - 1);
		if (got < 0) continue;
		label[got] = 0;
		if (!strstr(label, ":ssh_home_t:")) return 1;
	}
	return 0;
}
#define OPEN(name, called) \
	int name(const char *path, int flags, ...) { \
		va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest); \
		if (is_denied(path)) { errno = EACCES; return -1; } \
		return ((int (*)(const char *, int, int))dlsym(RTLD_NEXT, called))(path, flags, mode); \
	}
OPEN(open, "open")
OPEN(open64, "open64")
OPEN(__open_2, "open")
OPEN(__open64_2, "open64")
"#;

/// Puts SELinux on a node, with every label right. Where that cannot be had, it says so and the test is not run.
pub(crate) fn add(node: &Node) -> bool {
    let Some(setfiles) = ["/usr/sbin/setfiles", "/sbin/setfiles"]
        .into_iter()
        .find(|it| std::fs::exists(it).unwrap())
    else {
        println!("SKIPPED: setfiles is not installed (package policycoreutils)");
        return false;
    };
    let labelled = node
        .sh("chcon -h u:object_r:t:s0 /var/lib/nova/.ssh")
        .unwrap();
    if !labelled.status.success() {
        println!("SKIPPED: files cannot be labelled here: {labelled:?}");
        return false;
    }
    std::fs::copy(setfiles, node.path("/usr/local/sbin/setfiles")).unwrap();
    std::fs::write(node.path("/usr/local/sbin/restorecon"), RESTORECON).unwrap();
    std::fs::create_dir_all(node.path("/etc/selinux")).unwrap();
    std::fs::write(node.path("/etc/selinux/file_contexts"), FILE_CONTEXTS).unwrap();
    sh(
        node,
        "chmod 755 /usr/local/sbin/*; mkdir -p /sys/fs/selinux; printf 1 >/sys/fs/selinux/enforce; \
         : >/sys/fs/selinux/context; chmod 666 /sys/fs/selinux/context; \
         /usr/local/sbin/setfiles -m -F /etc/selinux/file_contexts /var/lib/nova /etc/ssh; \
         chcon -R unconfined_u:object_r:ssh_home_t:s0 /var/lib/nova/.ssh",
    );
    true
}

/// Gives paths below nova's home the label of another place.
pub(crate) fn mislabel(node: &Node, paths: &str) {
    sh(node, &format!("cd /var/lib/nova && chcon -h {OLD} {paths}"));
}

/// Starts the node's sshd anew, under the policy.
pub(crate) fn enforce(node: &Node) {
    let source = node.path("/root/enforced.c");
    std::fs::write(&source, ENFORCED).unwrap();
    let made = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(node.path("/usr/local/lib/enforced.so"))
        .arg(&source)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    sh(
        node,
        "kill $(cat /run/sshd.pid); while [ -e /run/sshd.pid ]; do sleep 0.02; done; \
         LD_PRELOAD=/usr/local/lib/enforced.so /usr/sbin/sshd; \
         until [ -s /run/sshd.pid ]; do sleep 0.02; done",
    );
}

/// The label of a path.
pub(crate) fn label(node: &Node, path: &str) -> String {
    sh(node, &format!("stat -c %C {path}"))
}

/// The labels of everything that is labelled, but for what a repair leaves beside it.
pub(crate) fn labels(node: &Node) -> String {
    sh(
        node,
        "find /var/lib/nova /etc/ssh ! -path '*/instances*' ! -name '*clearway*' -exec stat -c '%n %C' {} + 2>/dev/null | sort",
    )
}
