//! Which addresses a webhook may reach.
//!
//! Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates), and
//! the metadata addresses of the clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address policy: everything that is not globally reachable is forbidden, except what an operator
/// allows by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<AllowedTarget>,
}

/// A network, and optionally the one port of it, that may be dialled although it is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedTarget {
    network: IpNet,
    port: Option<u16>,
}

/// The policy forbids an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{class} addresses are not allowed")]
pub struct Forbidden {
    /// The class of the address, such as `loopback`.
    pub class: &'static str,
}

impl AddressPolicy {
    /// A policy with these exceptions.
    pub fn new(allowed: Vec<AllowedTarget>) -> Self {
        Self { allowed }
    }

    /// A policy for what an operator configured, which may be at any address.
    pub fn permitting_all() -> Self {
        let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        Self { allowed: everything.map(|network| AllowedTarget { network, port: None }).into() }
    }

    /// The ports that some exception is limited to.
    pub fn excepted_ports(&self) -> impl Iterator<Item = u16> {
        self.allowed.iter().filter_map(|allowed| allowed.port)
    }

    /// Judges one address. An IPv4 address written as IPv6 is judged as the IPv4 address it is.
    pub fn check(&self, address: SocketAddr) -> Result<(), Forbidden> {
        let ip = address.ip().to_canonical();
        let excepted = |allowed: &AllowedTarget| {
            allowed.network.contains(&ip) && allowed.port.is_none_or(|port| port == address.port())
        };
        match special_class(ip) {
            Some(class) if !self.allowed.iter().any(excepted) => Err(Forbidden { class }),
            _ => Ok(()),
        }
    }
}

/// The text is not an [`AllowedTarget`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a network with an optional port, such as 10.1.0.0/16, 127.0.0.1:9000 or [fd00::/8]:443")]
pub struct AllowedTargetError;

impl FromStr for AllowedTarget {
    type Err = AllowedTargetError;

    fn from_str(text: &str) -> Result<Self, AllowedTargetError> {
        let (network, port) = split_port(text)?;
        let network = match network.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => IpNet::from(network.parse::<IpAddr>().map_err(|_| AllowedTargetError)?),
        };
        Ok(Self { network: network.trunc(), port })
    }
}

/// Splits `network:port`; an IPv6 network with a port stands in brackets.
fn split_port(text: &str) -> Result<(&str, Option<u16>), AllowedTargetError> {
    let read = |port: &str| port.parse::<u16>().ok().filter(|port| *port > 0).ok_or(AllowedTargetError);
    if let Some(rest) = text.strip_prefix('[') {
        let (network, rest) = rest.split_once(']').ok_or(AllowedTargetError)?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((network, Some(read(port)?))),
            None if rest.is_empty() => Ok((network, None)),
            None => Err(AllowedTargetError),
        };
    }
    match text.split_once(':') {
        Some((network, port)) if !port.contains(':') => Ok((network, Some(read(port)?))),
        _ => Ok((text, None)),
    }
}

/// The class of an address that is not globally reachable.
fn special_class(ip: IpAddr) -> Option<&'static str> {
    match ip {
        IpAddr::V4(ip) => special_v4(ip),
        IpAddr::V6(ip) => special_v6(ip),
    }
}

/// IPv4 networks that are not globally reachable: first address, prefix length, class.
const SPECIAL_V4: [([u8; 4], u8, &str); 19] = [
    ([0, 0, 0, 0], 8, "this-network"),
    ([10, 0, 0, 0], 8, "private"),
    ([100, 64, 0, 0], 10, "shared"),
    ([127, 0, 0, 0], 8, "loopback"),
    ([169, 254, 0, 0], 16, "link-local"),
    ([172, 16, 0, 0], 12, "private"),
    ([192, 0, 0, 0], 24, "protocol-assignment"),
    ([192, 0, 2, 0], 24, "documentation"),
    ([192, 31, 196, 0], 24, "protocol-assignment"),
    ([192, 52, 193, 0], 24, "protocol-assignment"),
    ([192, 88, 99, 0], 24, "protocol-assignment"),
    ([192, 168, 0, 0], 16, "private"),
    ([192, 175, 48, 0], 24, "protocol-assignment"),
    ([198, 18, 0, 0], 15, "benchmarking"),
    ([198, 51, 100, 0], 24, "documentation"),
    ([203, 0, 113, 0], 24, "documentation"),
    ([224, 0, 0, 0], 4, "multicast"),
    ([240, 0, 0, 0], 4, "reserved"),
    // Azure's wire server has an address inside a globally routable network.
    ([168, 63, 129, 16], 32, "cloud metadata"),
];

fn special_v4(ip: Ipv4Addr) -> Option<&'static str> {
    let covers = |network: [u8; 4], prefix: u8| (u32::from(ip) ^ u32::from_be_bytes(network)) >> (32 - prefix) == 0;
    SPECIAL_V4.iter().find(|(network, prefix, _)| covers(*network, *prefix)).map(|(_, _, class)| *class)
}

/// Only `2000::/3` is global unicast; what is special inside it is listed. The rest (loopback, mapped,
/// NAT64, unique local, link-local, multicast) is named for the reader of the refusal.
fn special_v6(ip: Ipv6Addr) -> Option<&'static str> {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some("loopback"),
        [0x2001, 0x0..=0x1ff, ..] | [0x2002, ..] => Some("transition"),
        [0x2001, 0xdb8, ..] | [0x3fff, 0x0..=0xfff, ..] => Some("documentation"),
        [0x2000..=0x3fff, ..] => None,
        [0xfc00..=0xfdff, ..] => Some("private"),
        [0xfe80..=0xfebf, ..] => Some("link-local"),
        [0xff00..=0xffff, ..] => Some("multicast"),
        _ => Some("reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &AddressPolicy, address: &str) -> Result<(), Forbidden> {
        policy.check(address.parse().unwrap())
    }

    #[test]
    fn special_addresses_are_forbidden_in_every_spelling() {
        let policy = AddressPolicy::default();
        for address in [
            "127.0.0.1:80",
            "10.1.2.3:80",
            "172.31.0.1:80",
            "192.168.0.1:80",
            "169.254.169.254:80",
            "0.0.0.0:80",
            "100.64.0.1:80",
            "198.19.255.255:80",
            "224.0.0.1:80",
            "255.255.255.255:80",
            "168.63.129.16:80",
            "[::1]:80",
            "[::]:80",
            "[::ffff:127.0.0.1]:80",
            "[64:ff9b::7f00:1]:80",
            "[2002:7f00:1::]:80",
            "[2001:0:1::]:80",
            "[2001:db8::1]:80",
            "[fd00:ec2::254]:80",
            "[fe80::1]:80",
            "[fec0::1]:80",
            "[ff02::1]:80",
            "[100::1]:80",
            "[3fff::1]:80",
        ] {
            assert!(check(&policy, address).is_err(), "{address}");
        }
        for address in
            ["1.1.1.1:443", "172.32.0.1:80", "100.128.0.1:80", "[2606:4700:4700::1111]:443", "[2001:4860::1]:80"]
        {
            assert_eq!(check(&policy, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn an_exception_covers_exactly_its_network_and_port() {
        let policy = AddressPolicy::new(vec![
            "10.1.0.0/16".parse().unwrap(),
            "127.0.0.1:9000".parse().unwrap(),
            "[::1/128]:9000".parse().unwrap(),
        ]);
        for address in ["10.1.2.3:1", "127.0.0.1:9000", "[::ffff:127.0.0.1]:9000", "[::1]:9000"] {
            assert_eq!(check(&policy, address), Ok(()), "{address}");
        }
        for address in ["10.2.0.1:1", "127.0.0.1:9001", "127.0.0.2:9000", "[::1]:9001"] {
            assert!(check(&policy, address).is_err(), "{address}");
        }
    }

    #[test]
    fn an_exception_that_is_no_network_is_refused() {
        for text in
            ["", "localhost", "10.0.0.0/33", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "[::1]x", "10.0.0.0/8:80:80"]
        {
            assert_eq!(text.parse::<AllowedTarget>(), Err(AllowedTargetError), "{text:?}");
        }
        assert!("fd00::/8".parse::<AllowedTarget>().is_ok());
    }
}
