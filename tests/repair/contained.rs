//! Nova and its sshd in a place of their own on each node, as in containers: another root, entered by a prefix.

use clearway_lab::{Lab, LabSupport, Node};

use crate::binary::clearway;
use crate::rotate::{first_run, verified};
use crate::support::{left_beside, sh};

const ROOT: &str = "/srv/nova";
const KEY: &str = "/srv/nova/var/lib/nova/.ssh/id_ed25519";
const AUTHORIZED_KEYS: &str = "/srv/nova/var/lib/nova/.ssh/authorized_keys";

/// Programs are the host's, everything that is configured or remembered is not. Its sshd has keys of its own.
const ENCLOSE: &str = r#"
mkdir -p /srv/nova/var/lib /srv/nova/tmp && chmod 1777 /srv/nova/tmp && cd /srv/nova || exit
for dir in usr proc dev run; do mkdir "$dir" && mount --rbind "/$dir" "$dir" || exit; done
for link in bin sbin lib lib64; do cp -a "/$link" . || exit; done
cp -a /etc . && cp -a /var/lib/nova var/lib/ || exit
rm -rf /var/lib/nova/.ssh
rm -f var/lib/nova/.ssh/* etc/ssh/ssh_known_hosts etc/ssh/ssh_host_*
for type in ed25519 ecdsa; do ssh-keygen -q -t "$type" -N '' -f "etc/ssh/ssh_host_${type}_key" || exit; done
echo 'Port 8022' >var/lib/nova/.ssh/config && chown nova: var/lib/nova/.ssh/config || exit
{ printf 'PidFile /run/sshd-nova.pid\nPort 8022\n'; cat /etc/ssh/sshd_config; } >etc/ssh/sshd_config
chroot . /usr/sbin/sshd
"#;

const PROFILE: &str = "
profiles:
  contained:
    extends: nova
    nova_context: [chroot, /srv/nova, runuser, -u, nova, --]
    nova_root: [chroot, /srv/nova]
    sshd: {context: [chroot, /srv/nova], port: 8022}
    lanes:
      live: {used: no}
";

fn contained(nodes: usize) -> Option<Lab> {
    if LabSupport::skips_test() {
        return None;
    }
    let lab = Lab::builder().nodes(nodes).start().unwrap();
    for node in lab.nodes() {
        sh(node, ENCLOSE);
    }
    let text = std::fs::read_to_string(lab.inventory()).unwrap();
    let inside = text.replacen("profile: nova\n", "profile: contained\n", 1);
    assert_ne!(inside, text);
    std::fs::write(lab.inventory(), inside + PROFILE).unwrap();
    Some(lab)
}

fn public(node: &Node) -> String {
    let text = sh(node, &format!("ssh-keygen -y -P '' -f {KEY}"));
    text.split(' ').take(2).collect::<Vec<_>>().join(" ")
}

/// Type, mode, owner, time of change and hash of what the place of Nova remembers.
fn picture(node: &Node) -> String {
    sh(
        node,
        "find /srv/nova/var/lib/nova /srv/nova/etc/ssh ! -path '*/instances*' \
         -printf '%p %y %m %U:%G ' -a \\( -type f -printf '%T@ ' -exec sha256sum {} \\; -o -printf '\\n' \\) | sort",
    )
}

/// Nothing of a repair is on the node but in there.
fn stays_inside(node: &Node) {
    let outside = left_beside(node);
    let outside = outside.iter().filter(|path| !path.starts_with(ROOT));
    assert_eq!(outside.collect::<Vec<_>>(), [""; 0], "{}", node.name());
    assert!(!node.path("/var/lib/nova/.ssh").exists());
}

#[test]
fn in_containers_trust_is_set_up_rotated_and_put_back() {
    let Some(lab) = contained(2) else { return };
    let bare: Vec<String> = lab.nodes().iter().map(picture).collect();
    let repaired = clearway(&lab, &["repair", "--yes", "--format", "json"]);
    assert_eq!(repaired.code(), 0, "{}\n{}", repaired.err, repaired.out);
    let repair = repaired.report().run;
    verified(&lab, "repaired");
    lab.nodes().iter().for_each(stays_inside);

    let old: Vec<String> = lab.nodes().iter().map(public).collect();
    let before: Vec<String> = lab.nodes().iter().map(picture).collect();
    let rotated = clearway(&lab, &["keys", "rotate", "--yes", "--format", "json"]);
    assert_eq!(rotated.code(), 0, "{}\n{}", rotated.err, rotated.out);
    for (node, old_key) in lab.nodes().iter().zip(&old) {
        assert_ne!(public(node), *old_key, "{}", node.name());
        let file = sh(node, &format!("cat {AUTHORIZED_KEYS}"));
        assert!(!old.iter().any(|it| file.contains(it)), "{file}");
        stays_inside(node);
    }
    verified(&lab, "rotated");

    let undone = clearway(&lab, &["repair", "undo", &first_run(&lab), "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(now, before);
    verified(&lab, "undone");
    let undone = clearway(&lab, &["repair", "undo", &repair, "--yes"]);
    assert_eq!(undone.code(), 0, "{undone:?}");
    let now: Vec<String> = lab.nodes().iter().map(picture).collect();
    assert_eq!(now, bare);
}
