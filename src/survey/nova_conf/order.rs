//! What the order of nova-compute's configuration files may change.
//!
//! Files of a directory count last where nova-compute was started without arguments, and first where it was started with
//! `--config-file` (oslo.config, cfg.py `_parse_config_files`). The survey takes the order of a running one; where it sees none,
//! both are tried here.

use super::ini::IniFile;
use super::settings::{NovaSettings, Surroundings, Undecided, settings};

/// The settings that files make. `listed` are the files and directories that were asked for: what is in `files` and not there
/// is of a directory. `is_settled` says that the order of `files` is that of a running nova-compute.
pub(crate) fn settings_in_order(
    files: Vec<(String, IniFile)>,
    listed: &[String],
    is_settled: bool,
    around: &Surroundings,
) -> NovaSettings {
    let is_listed = |(path, _): &(String, IniFile)| listed.contains(path);
    if is_settled || files.iter().all(is_listed) {
        return settings(&files, around);
    }
    let found = settings(&files, around);
    let (own, of_directories): (Vec<_>, Vec<_>) = files.into_iter().partition(is_listed);
    let other: Vec<_> = of_directories.into_iter().chain(own).collect();
    undecided(found, &settings(&other, around))
}

/// The settings, with those that the other order would change marked.
fn undecided(mut found: NovaSettings, other: &NovaSettings) -> NovaSettings {
    fn text(value: &Option<String>) -> &str {
        value.as_deref().unwrap_or("nothing")
    }
    let tunnelled = |it: &NovaSettings| Some(it.live_migration_tunnelled.to_string());
    let some = |value: &str| Some(value.to_owned());
    let options = [
        ("[DEFAULT]host", found.host.clone(), other.host.clone()),
        ("[DEFAULT]my_ip", found.my_ip.clone(), other.my_ip.clone()),
        (
            "[DEFAULT]instances_path",
            some(&found.instances_path),
            some(&other.instances_path),
        ),
        (
            "[libvirt]migration_inbound_addr",
            found.migration_inbound_addr.clone(),
            other.migration_inbound_addr.clone(),
        ),
        (
            "[libvirt]live_migration_inbound_addr",
            found.live_migration_inbound_addr.clone(),
            other.live_migration_inbound_addr.clone(),
        ),
        (
            "[libvirt]live_migration_scheme",
            found.live_migration_scheme.clone(),
            other.live_migration_scheme.clone(),
        ),
        (
            "[libvirt]live_migration_uri",
            found.live_migration_uri.clone(),
            other.live_migration_uri.clone(),
        ),
        (
            "[libvirt]remote_filesystem_transport",
            some(&found.remote_filesystem_transport),
            some(&other.remote_filesystem_transport),
        ),
        (
            "[libvirt]virt_type",
            found.virt_type.clone(),
            other.virt_type.clone(),
        ),
        (
            "[libvirt]live_migration_tunnelled",
            tunnelled(&found),
            tunnelled(other),
        ),
    ];
    if found.log_file != other.log_file {
        found.log_file = None;
    }
    for (option, one, another) in options {
        if one != another {
            found.undecided.push(Undecided {
                option,
                values: format!("{} or {}", text(&one), text(&another)),
            });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_order_changes_is_undecided_until_a_running_nova_compute_settles_it() {
        let read = |hosts: &[(&str, &str)], is_settled| {
            let files = hosts.iter().map(|(path, host)| {
                let file = IniFile::parse(&format!("[DEFAULT]\nstate_path=/n\nhost={host}\n"));
                ((*path).to_owned(), file)
            });
            let around = Surroundings {
                hostname: "own".to_owned(),
                libvirt_hostname: None,
                default_my_ip: Some("192.0.2.7".to_owned()),
            };
            let listed = ["/etc/nova/nova.conf", "/etc/nova/nova.conf.d"].map(str::to_owned);
            settings_in_order(files.collect(), &listed, is_settled, &around)
        };
        let own = ("/etc/nova/nova.conf", "own");
        let layer = |host| ("/etc/nova/nova.conf.d/10.conf", host);
        let expected = Undecided {
            option: "[DEFAULT]host",
            values: "layer or own".to_owned(),
        };
        assert_eq!(read(&[own, layer("layer")], false).undecided, [expected]);
        assert!(read(&[own, layer("own")], false).undecided.is_empty());
        assert!(read(&[own], false).undecided.is_empty());
        for (files, host) in [
            ([own, layer("layer")], "layer"),
            ([layer("layer"), own], "own"),
        ] {
            let settled = read(&files, true);
            assert!(settled.undecided.is_empty());
            assert_eq!(settled.host.as_deref(), Some(host));
        }
    }
}
