//! The host itself, and Nova's settings on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::facts::InstancesFact;
use super::super::nova_conf::{IniFile, NovaSettings, Surroundings, settings_in_order};
use super::part::PartAnswer;
use super::stream::{Outcome, SurveyError, text_number};

/// What the host part tells.
pub(super) struct Host {
    pub(super) hostname: String,
    pub(super) machine_id: Option<String>,
    pub(super) os: Option<String>,
    pub(super) clock: i64,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) listeners: Option<Vec<SocketAddr>>,
    default_my_ip: Option<String>,
}

pub(super) fn host(part: &PartAnswer, gaps: &mut Vec<String>) -> Result<Host, SurveyError> {
    if part.hostname.is_empty() {
        return Err(SurveyError::Missing("host name"));
    }
    let clock = part.text.clock.ok_or(SurveyError::Missing("clock"))?;
    let machine_id = part.machine_id().map(str::to_owned);
    if machine_id.is_none() {
        gaps.push("/etc/machine-id: not there, or no machine id".to_owned());
    }
    if part.uid.is_some_and(|uid| uid != 0) {
        gaps.push("the survey did not run as root: what only root may read is missing".to_owned());
    }
    let mut addresses = Vec::new();
    for address in &part.text.addresses {
        let address: Ipv4Addr = address.parse().map_err(|_| SurveyError::Value("address"))?;
        addresses.push(IpAddr::V4(address));
    }
    for address in &part.text.addresses6 {
        let bits = hex(address, 32).ok_or(SurveyError::Value("address"))?;
        addresses.push(IpAddr::V6(Ipv6Addr::from_bits(bits)));
    }
    addresses.sort();
    addresses.dedup();
    let listeners = match &part.listen {
        Some((way, said)) if way == "ss" => Some(ss(said)?),
        Some((way, said)) if way == "proc" => {
            let sockets = said.lines().map(socket).collect::<Option<Vec<_>>>();
            let mut sockets = sockets.ok_or(SurveyError::Value("listening socket"))?;
            // Of a socket for all IPv6 addresses this way does not tell whether it takes IPv4 as well.
            let wide = |it: &&SocketAddr| it.is_ipv6() && it.ip().is_unspecified();
            let taken = |it: &SocketAddr| SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), it.port());
            let also: Vec<_> = sockets.iter().filter(wide).map(taken).collect();
            sockets.extend(also);
            Some(sockets)
        }
        _ => {
            gaps.push("listening sockets: neither ss nor /proc/net/tcp tells them".to_owned());
            None
        }
    };
    let default_my_ip = match &part.my_ip {
        None => None,
        Some((0, said)) => source_address(said),
        // No route: get_my_ipv4 then falls back to this (oslo_utils/netutils.py, _get_my_ipv4_address).
        Some((2, _)) => Some(Ipv4Addr::LOCALHOST.to_string()),
        Some((_, said)) => {
            gaps.push(format!(
                "the address of the default route is not known: {said}"
            ));
            None
        }
    };
    Ok(Host {
        hostname: part.hostname.clone(),
        machine_id,
        os: part
            .text
            .os
            .as_deref()
            .map(|name| unquoted(name).to_owned()),
        clock,
        addresses,
        listeners,
        default_my_ip,
    })
}

/// A value of os-release, which is one of a shell assignment.
fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}

fn hex(text: &str, digits: usize) -> Option<u128> {
    let good = text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit());
    u128::from_str_radix(text, 16).ok().filter(|_| good)
}

/// `0100007F:0016`: words of 32 bits as the machine keeps them (little endian on all that run Nova computes:
/// x86-64, AArch64, ppc64le, RISC-V), and the port.
fn socket(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let port = u16::try_from(hex(port, 4)?).ok()?;
    let address = match address.len() {
        8 => {
            let bits = u32::try_from(hex(address, 8)?).ok()?;
            IpAddr::V4(Ipv4Addr::from_bits(bits.swap_bytes()))
        }
        32 => {
            let mut bytes = hex(address, 32)?.to_be_bytes();
            for word in bytes.chunks_exact_mut(4) {
                word.reverse();
            }
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, port))
}

/// The fourth column of `ss -Hltn`: `0.0.0.0:22`, `[::]:22`, `127.0.0.53%lo:53`, and `*:22` for a socket that takes
/// connections of both families.
fn ss(said: &str) -> Result<Vec<SocketAddr>, SurveyError> {
    const BAD: SurveyError = SurveyError::Value("listening socket");
    let mut sockets = Vec::new();
    for line in said.lines() {
        let local = line.split_whitespace().nth(3).ok_or(BAD)?;
        let (address, port) = local.rsplit_once(':').ok_or(BAD)?;
        let port = text_number(port.as_bytes()).ok_or(BAD)?;
        let address = address
            .split_once('%')
            .map_or(address, |(address, _)| address);
        let address = address.trim_start_matches('[').trim_end_matches(']');
        if address == "*" {
            sockets.push(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port));
            sockets.push(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port));
        } else {
            sockets.push(SocketAddr::new(address.parse().map_err(|_| BAD)?, port));
        }
    }
    Ok(sockets)
}

/// What stands behind `src` in the answer of `ip route get`.
fn source_address(said: &str) -> Option<String> {
    let mut words = said.split_whitespace();
    words.find(|word| *word == "src")?;
    let address: Ipv4Addr = words.next()?.parse().ok()?;
    Some(address.to_string())
}

/// Nova's settings and its instances directory, from the first context.
pub(super) fn nova(
    context: Option<&Outcome>,
    listed: &[String],
    host: &Host,
    gaps: &mut Vec<String>,
) -> (NovaSettings, InstancesFact) {
    let mut around = Surroundings {
        hostname: host.hostname.clone(),
        libvirt_hostname: None,
        default_my_ip: host.default_my_ip.clone(),
    };
    let (mut nova, instances) = match context {
        Some(Outcome::Answered(part)) => {
            around.hostname.clone_from(&part.hostname);
            let canonical = part.canonical.as_deref().unwrap_or_default();
            around.libvirt_hostname = canonical.split_whitespace().nth(1).map(str::to_owned);
            let nova = settings_in_order(files(part), listed, part.started, &around);
            (nova, Some(part))
        }
        Some(Outcome::Failed(_) | Outcome::Unfinished(_) | Outcome::Skipped) | None => {
            let mut nova = settings_in_order(Vec::new(), listed, false, &around);
            nova.problems =
                vec!["nova.conf was not read: nova-compute's context failed".to_owned()];
            (nova, None)
        }
    };
    let mut fact = InstancesFact {
        path: nova.instances_path.clone(),
        meta: None,
        writable: false,
        free_bytes: None,
        free_inodes: None,
        read_only: false,
    };
    let Some(part) = instances else {
        return (nova, fact);
    };
    for it in &nova.undecided {
        gaps.push(format!(
            "{} is {}: whether directories of nova.conf files count last depends on how nova-compute was started, and \
             none is seen to run",
            it.option, it.values
        ));
    }
    for (number, what) in &part.text.nova_bad {
        if let Some((_, path)) = part.text.nova_files.get(number - 1) {
            let problem = format!("{path}: {what}: nova-compute does not start with this");
            nova.problems.push(problem);
        }
    }
    for (state, path) in &part.text.nova_files {
        if *state == 'u' {
            nova.problems
                .push(format!("{path}: cannot be read by nova-compute's user"));
        }
    }
    let looked_at = part.text.role("instances").next().map(|(_, path)| path);
    if looked_at == Some(fact.path.as_str()) {
        fact.meta = part.paths.meta(&fact.path);
    } else if !fact.path.is_empty() {
        gaps.push(format!(
            "{}: the instances directory was not looked at",
            fact.path
        ));
    }
    if let Some(found) = part
        .instances
        .as_ref()
        .filter(|found| found.path == fact.path)
    {
        fact.writable = found.writable && fact.meta.is_some();
        fact.free_bytes = found.free_bytes;
        fact.free_inodes = found.free_inodes;
        fact.read_only = found.read_only;
    }
    (nova, fact)
}

/// The files as far as they were sent: every line under a header of its own section.
fn files(part: &PartAnswer) -> Vec<(String, IniFile)> {
    let mut texts: Vec<(String, String)> = Vec::new();
    for (i, (state, path)) in part.text.nova_files.iter().enumerate() {
        if *state != 'r' {
            continue;
        }
        let mut text = String::new();
        for (number, section, line) in &part.text.nova_lines {
            if *number != i + 1 {
                continue;
            }
            if !line.starts_with([' ', '\t']) {
                text.push_str(&format!("[{section}]\n"));
            }
            text.push_str(line);
            text.push('\n');
        }
        texts.push((path.clone(), text));
    }
    let parsed = texts.into_iter().map(|(path, text)| {
        let file = IniFile::parse(&text);
        (path, file)
    });
    parsed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_read_as_the_kernel_writes_them() {
        let read = |text| socket(text).map(|s| s.to_string());
        assert_eq!(read("0100007F:0016").as_deref(), Some("127.0.0.1:22"));
        assert_eq!(read("00000000:1F5A").as_deref(), Some("0.0.0.0:8026"));
        assert_eq!(
            read("00000000000000000000000000000000:0016").as_deref(),
            Some("[::]:22")
        );
        assert_eq!(
            read("000080FE00000000FF565400DE0D00FE:0016").as_deref(),
            Some("[fe80::54:56ff:fe00:dde]:22")
        );
        for bad in [
            "",
            ":",
            "0100007F",
            "0100007F:16",
            "+100007F:0016",
            "0100007F0:0016",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn sockets_are_read_as_ss_prints_them() {
        let said = "LISTEN 0      128          0.0.0.0:22        0.0.0.0:*          \n\
                    LISTEN 0      4096   127.0.0.53%lo:53        0.0.0.0:*\n\
                    LISTEN 0      128             [::]:22           [::]:*\n\
                    LISTEN 0      128 [fe80::1]%eth0:80            [::]:*\n\
                    LISTEN 0      128                *:9100            *:*\n";
        let sockets: Vec<String> = ss(said)
            .expect("good")
            .iter()
            .map(ToString::to_string)
            .collect();
        let expected = [
            "0.0.0.0:22",
            "127.0.0.53:53",
            "[::]:22",
            "[fe80::1]:80",
            "0.0.0.0:9100",
            "[::]:9100",
        ];
        assert_eq!(sockets, expected);
        for bad in [
            "LISTEN 0 128",
            "LISTEN 0 128 x:22 y",
            "LISTEN 0 128 1.2.3.4:070 y",
            "LISTEN 0 128 22 y",
        ] {
            assert!(ss(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_source_address_is_found_behind_src() {
        let said = "192.0.2.0 via 10.0.0.1 dev eth0 src 10.0.0.5 uid 0 \\    cache ";
        assert_eq!(source_address(said).as_deref(), Some("10.0.0.5"));
        assert_eq!(source_address("192.0.2.0 dev lo"), None);
        assert_eq!(source_address("x src y"), None);
    }
}
