//! Address and CIDR lists: `from=`, `Match Address`, `AllowUsers user@net`, `source-address` (OpenSSH's `addr.c`, `addrmatch.c`).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::pattern::{ListMatch, match_hostname, match_pattern, split_negation};

/// The list itself is wrong, so OpenSSH refuses rather than matches.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressListError {
    /// An item is empty, or only `!`.
    #[error("address list: empty item")]
    EmptyItem,
    /// The mask is longer than the address, or bits of the host part are set.
    #[error("address list: inconsistent mask length in {0:?}")]
    InconsistentMask(String),
    /// Not an address or network; only lists that take no wildcards have this error.
    #[error("address list: not an address or network: {0:?}")]
    NotANetwork(String),
}

/// Reads an address as `getaddrinfo(AI_NUMERICHOST)` does.
///
/// That includes the old short forms (`10.1`, `0x0a000001`). A scope (`fe80::1%eth0`) is not understood here: interface numbers
/// are known only on the machine itself, so such an address is no address.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| parse_old_ipv4(text).map(IpAddr::V4))
}

/// `inet_aton(3)`: one to four parts, each decimal, octal or hexadecimal, the last one filling what is left.
fn parse_old_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<u32> = text.split('.').map(parse_c_number).collect::<Option<_>>()?;
    let (last, leading) = parts.split_last()?;
    if leading.len() > 3 {
        return None;
    }
    let mut value: u32 = 0;
    for (part, shift) in leading.iter().zip([24, 16, 8]) {
        value |= u32::from(u8::try_from(*part).ok()?) << shift;
    }
    let room = 32 - 8 * u32::try_from(leading.len()).ok()?;
    if u64::from(*last) >= 1 << room {
        return None;
    }
    Some(Ipv4Addr::from(value | last))
}

fn parse_c_number(text: &str) -> Option<u32> {
    let (digits, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None if text.len() > 1 && text.starts_with('0') => (&text[1..], 8),
        None => (text, 10),
    };
    if !digits.starts_with(|first: char| first.is_digit(radix)) {
        return None;
    }
    u32::from_str_radix(digits, radix).ok()
}

/// What one item of a list is.
enum Item {
    Network(IpNet),
    Inconsistent,
    Other,
}

/// `addr_pton_cidr`: an address, or a network whose host part is all zero.
fn parse_item(text: &str) -> Item {
    // OpenSSH copies the item into 64 bytes.
    if text.len() >= 64 {
        return Item::Other;
    }
    let (address, length) = match text.split_once('/') {
        None => (text, None),
        Some((address, length)) => match parse_strtonum(length) {
            Some(length) => (address, Some(length)),
            None => return Item::Other,
        },
    };
    let Some(address) = parse_address(address) else {
        return Item::Other;
    };
    let Some(length) = length else {
        return Item::Network(IpNet::from(address));
    };
    let network = u8::try_from(length)
        .ok()
        .and_then(|length| IpNet::new(address, length).ok());
    match network {
        Some(network) if network.addr() == network.network() => Item::Network(network),
        _ => Item::Inconsistent,
    }
}

/// `strtonum(3)` from 0 on: leading white space and a sign are allowed.
fn parse_strtonum(text: &str) -> Option<u32> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let digits = text.strip_prefix('+').unwrap_or(text);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, digits),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u32 = digits.parse().ok()?;
    (value <= i32::MAX.unsigned_abs() && !(negative && value != 0)).then_some(value)
}

/// Matches an address against a list of networks and wildcard patterns with `!` negation (`addr_match_list`).
///
/// # Errors
/// The list has an item that OpenSSH finds invalid and no earlier negated item matched; OpenSSH then refuses the whole list.
pub fn match_address_list(address: &str, list: &str) -> Result<ListMatch, AddressListError> {
    let Some(parsed) = parse_address(address) else {
        return Ok(ListMatch::Unmatched);
    };
    let mut matched = false;
    for item in list.split(',') {
        let (negated, item) = split_negation(item.as_bytes());
        let item = std::str::from_utf8(item).expect("cut at an ASCII character");
        if item.is_empty() {
            return Err(AddressListError::EmptyItem);
        }
        let hit = match parse_item(item) {
            Item::Inconsistent => return Err(AddressListError::InconsistentMask(item.to_owned())),
            Item::Network(network) => network.contains(&parsed),
            Item::Other => match_pattern(address.as_bytes(), item.as_bytes()),
        };
        match (hit, negated) {
            (true, true) => return Ok(ListMatch::Negated),
            (true, false) => matched = true,
            (false, _) => {}
        }
    }
    Ok(if matched {
        ListMatch::Matched
    } else {
        ListMatch::Unmatched
    })
}

/// Matches an address against a list of networks only: no wildcards, no negation (`addr_match_cidr_list`).
///
/// # Errors
/// Any item is not an address or network, even behind one that matches.
pub fn match_cidr_list(address: &str, list: &str) -> Result<bool, AddressListError> {
    let parsed = parse_address(address);
    let mut matched = false;
    for item in list.split(',') {
        if item.is_empty() {
            return Err(AddressListError::EmptyItem);
        }
        let allowed = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'.' | b':' | b'/');
        if item.len() > 46 + 3 || !item.bytes().all(allowed) {
            return Err(AddressListError::NotANetwork(item.to_owned()));
        }
        match parse_item(item) {
            Item::Network(network) => {
                matched |= parsed.is_some_and(|address| network.contains(&address))
            }
            Item::Inconsistent => return Err(AddressListError::InconsistentMask(item.to_owned())),
            Item::Other => return Err(AddressListError::NotANetwork(item.to_owned())),
        }
    }
    Ok(matched && parsed.is_some())
}

/// Whether a client with this host name and address is in a `from=` or `user@host` list (`match_host_and_ip`).
///
/// The name is the one sshd looked up: equal to the address with `UseDNS no`, the default.
///
/// # Errors
/// See [`match_address_list`].
pub fn match_host_and_address(
    host: &str,
    address: &str,
    list: &str,
) -> Result<bool, AddressListError> {
    let by_address = match_address_list(address, list)?;
    if by_address == ListMatch::Negated {
        return Ok(false);
    }
    Ok(match match_hostname(host.as_bytes(), list.as_bytes()) {
        ListMatch::Negated => false,
        ListMatch::Matched => true,
        ListMatch::Unmatched => by_address == ListMatch::Matched,
    })
}

/// Whether a user at a client is named by an `AllowUsers`/`DenyUsers` pattern, `user` or `user@host-list` (`match_user`).
///
/// # Errors
/// The host part is an invalid list; sshd dies of that ("Invalid AllowUsers pattern").
pub fn match_user(
    user: &str,
    host: &str,
    address: &str,
    pattern: &str,
) -> Result<bool, AddressListError> {
    match pattern.rsplit_once('@') {
        None => Ok(match_pattern(user.as_bytes(), pattern.as_bytes())),
        Some((user_pattern, hosts)) => Ok(match_pattern(user.as_bytes(), user_pattern.as_bytes())
            && match_host_and_address(host, address, hosts)?),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_wildcards_and_negation_mix_in_one_list() {
        use ListMatch::{Matched, Negated, Unmatched};
        for (address, list, expected) in [
            ("10.77.0.2", "10.77.0.0/16", Matched),
            ("10.78.0.2", "10.77.0.0/16", Unmatched),
            ("10.77.0.2", "10.77.0.2", Matched),
            ("10.77.0.2", "10.77.*", Matched),
            ("10.77.0.2", "10.77.0.?", Matched),
            ("10.77.0.2", "10.77.0.0/16,!10.77.0.2", Negated),
            ("10.77.0.2", "!10.77.0.2,10.77.0.0/16", Negated),
            ("10.77.0.2", "node2", Unmatched),
            ("node2", "*", Unmatched),
            ("fd00::2", "fd00::/64", Matched),
            ("fd00:0:0::2", "fd00::2", Matched),
            ("fd00::2", "0.0.0.0/0", Unmatched),
            ("10.77.0.2", "0.0.0.0/0", Matched),
            ("10.0.0.1", "10.1", Matched),
            ("10.0.0.1", "0xa000001", Matched),
            ("8.0.0.1", "010.0.0.1", Matched),
        ] {
            assert_eq!(
                match_address_list(address, list),
                Ok(expected),
                "{address} ~ {list}"
            );
        }
    }

    #[test]
    fn a_bad_item_refuses_the_list() {
        assert_eq!(
            match_address_list("10.77.0.2", "10.77.0.2/16"),
            Err(AddressListError::InconsistentMask("10.77.0.2/16".into()))
        );
        assert_eq!(
            match_address_list("10.77.0.2", "10.77.0.0/33"),
            Err(AddressListError::InconsistentMask("10.77.0.0/33".into()))
        );
        assert_eq!(
            match_address_list("10.77.0.2", "10.77.0.2,"),
            Err(AddressListError::EmptyItem)
        );
        assert_eq!(
            match_address_list("10.77.0.2", ""),
            Err(AddressListError::EmptyItem)
        );
        assert_eq!(
            match_cidr_list("10.77.0.2", "10.77.0.0/16,node*"),
            Err(AddressListError::NotANetwork("node*".into()))
        );
        assert_eq!(
            match_cidr_list("10.77.0.2", "10.76.0.0/16,10.77.0.0/16"),
            Ok(true)
        );
        assert_eq!(match_cidr_list("10.77.0.2", "10.76.0.0/16"), Ok(false));
    }

    #[test]
    fn users_are_matched_with_their_host() {
        let matches = |pattern| match_user("nova", "node1.lab", "10.77.0.2", pattern);
        assert_eq!(matches("nova"), Ok(true));
        assert_eq!(matches("no*"), Ok(true));
        assert_eq!(matches("root"), Ok(false));
        assert_eq!(matches("nova@10.77.0.0/16"), Ok(true));
        assert_eq!(matches("nova@*.LAB"), Ok(true));
        assert_eq!(matches("nova@other"), Ok(false));
        assert_eq!(matches("nova@!node1.lab,10.77.0.0/16"), Ok(false));
        assert_eq!(
            matches("root@10.77.0.2/16"),
            Ok(false),
            "the user is compared first"
        );
        assert!(matches("nova@10.77.0.2/16").is_err());
    }
}
