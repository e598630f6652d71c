//! Which addresses a webhook may reach.
//!
//! Sources: the IANA special-purpose address registries for IPv4 and IPv6 (RFC 6890 and its updates), and
//! the metadata addresses of the clouds.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// The address policy: everything that is not globally reachable is forbidden, and so are the ports of services that
/// are no receivers of webhooks, and so are the addresses of the machine itself, except what an operator allows by its
/// network. What an operator denies is forbidden in any case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<AllowedTarget>,
    denied: Vec<IpNet>,
    own: Vec<IpAddr>,
    has_nat64: bool,
}

/// A network, and optionally the one port of it, that may be dialled although it is private.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllowedTarget {
    network: IpNet,
    port: Option<u16>,
}

/// What of an address the policy forbids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is not globally reachable.
    #[error("{class} addresses are not allowed")]
    Class {
        /// The class of the address, such as `loopback`.
        class: &'static str,
    },
    /// The operator denies it.
    #[error("the operator denies that network")]
    Denied,
    /// Other services than receivers of webhooks are found there.
    #[error("the port {port} is not allowed")]
    Port {
        /// The port.
        port: u16,
    },
}

/// Ports from 1024 on at which databases, brokers, orchestrators and the like answer, as IANA or their makers have it. A POST could be a
/// command to some of them.
const SERVICE_PORTS: [u16; 35] = [
    1433, 1521, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 4369, 5432, 5671, 5672, 5900, 5984, 5985, 5986, 6000,
    6379, 6380, 6443, 8500, 9042, 9092, 9100, 9200, 9300, 10_250, 10_255, 11_211, 15_672, 25_672, 26_379, 27_017,
];

/// Whether receivers of webhooks may be found at a port of the internet: those of HTTP and HTTPS, and all that are not
/// reserved for services or known to be of one.
fn takes_webhooks(port: u16) -> bool {
    matches!(port, 80 | 443 | 1024..) && !SERVICE_PORTS.contains(&port)
}

impl AddressPolicy {
    /// A policy with these exceptions.
    pub fn new(allowed: Vec<AllowedTarget>) -> Self {
        Self { allowed, ..Self::default() }
    }

    /// The policy that forbids these networks too, whatever it allows: addresses that lead back to the operator's own
    /// services from outside, for example.
    #[must_use]
    pub fn denying(self, networks: Vec<IpNet>) -> Self {
        Self { denied: networks, ..self }
    }

    /// The policy of a machine that has these addresses itself.
    #[must_use]
    pub fn owning(self, addresses: Vec<IpAddr>) -> Self {
        Self { own: addresses, ..self }
    }

    /// The policy of a network that reaches IPv4 through a translator at the well-known prefix `64:ff9b::/96`: an address there
    /// is judged as the IPv4 address that it stands for.
    ///
    /// Source: RFC 6052, section 2.1.
    #[must_use]
    pub fn with_nat64(self, has_nat64: bool) -> Self {
        Self { has_nat64, ..self }
    }

    /// A policy for what an operator configured, which may be at any address.
    pub fn permitting_all() -> Self {
        let everything = [IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())];
        Self::new(everything.map(|network| AllowedTarget { network, port: None }).into())
    }

    /// Whether anything is allowed that an operator of this network has for itself.
    pub fn has_exceptions(&self) -> bool {
        !self.allowed.is_empty()
    }

    /// Whether some address may be dialled at this port; which one, only [`AddressPolicy::check`] says.
    pub fn check_port(&self, port: u16) -> Result<(), Forbidden> {
        let is_excepted = |allowed: &AllowedTarget| allowed.port.is_none_or(|excepted| excepted == port);
        let may = takes_webhooks(port) || self.allowed.iter().any(is_excepted);
        if may { Ok(()) } else { Err(Forbidden::Port { port }) }
    }

    /// Whether this port is one of other services, so that only an exception permits it.
    pub fn is_of_services(port: u16) -> bool {
        !takes_webhooks(port)
    }

    /// The ports that some exception is limited to.
    pub fn excepted_ports(&self) -> impl Iterator<Item = u16> {
        self.allowed.iter().filter_map(|allowed| allowed.port)
    }

    /// Judges one address. An IPv4 address written as IPv6 is judged as the IPv4 address it is. Port 0 is any that takes
    /// webhooks.
    pub fn check(&self, address: SocketAddr) -> Result<(), Forbidden> {
        let ip = self.meant(address.ip().to_canonical());
        if self.denied.iter().any(|network| network.contains(&ip)) {
            return Err(Forbidden::Denied);
        }
        let excepted = |allowed: &AllowedTarget| {
            allowed.network.contains(&ip) && allowed.port.is_none_or(|port| port == address.port())
        };
        if self.allowed.iter().any(excepted) {
            return Ok(());
        }
        let class = special_class(ip).or_else(|| self.own.contains(&ip).then_some("this machine's own"));
        match (class, address.port()) {
            (Some(class), _) => Err(Forbidden::Class { class }),
            (None, port) if port != 0 && !takes_webhooks(port) => Err(Forbidden::Port { port }),
            (None, _) => Ok(()),
        }
    }
}

impl AddressPolicy {
    /// The address that one stands for.
    fn meant(&self, ip: IpAddr) -> IpAddr {
        match ip {
            IpAddr::V6(six) if self.has_nat64 => match six.segments() {
                [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
                    Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low)).into()
                }
                _ => ip,
            },
            _ => ip,
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
        for address in [
            "1.1.1.1:443",
            "1.1.1.1:8080",
            "1.1.1.1:0",
            "172.32.0.1:80",
            "100.128.0.1:80",
            "[2606:4700:4700::1111]:443",
            "[2001:4860::1]:80",
        ] {
            assert_eq!(check(&policy, address), Ok(()), "{address}");
        }
    }

    #[test]
    fn ports_of_other_services_are_forbidden_but_where_a_network_is_allowed() {
        let (strict, policy) = (AddressPolicy::default(), AddressPolicy::new(vec!["1.1.1.0/24".parse().unwrap()]));
        for port in [1, 22, 25, 81, 1023, 2375, 5672, 6379, 10_250, 27_017] {
            let address = SocketAddr::from(([1, 1, 1, 1], port));
            assert_eq!(strict.check(address), Err(Forbidden::Port { port }), "{port}");
            assert_eq!(strict.check_port(port), Err(Forbidden::Port { port }), "{port}");
            assert_eq!((policy.check(address), policy.check_port(port)), (Ok(()), Ok(())), "{port}");
            assert!(policy.check(SocketAddr::from(([1, 1, 2, 1], port))).is_err(), "{port}");
        }
        let one = AddressPolicy::new(vec!["10.0.0.0/8:25".parse().unwrap()]);
        assert_eq!((one.check_port(25), one.check_port(22)), (Ok(()), Err(Forbidden::Port { port: 22 })));
        for port in [80, 443, 1024, 3000, 8080, 8443, 9000, 65_535] {
            assert_eq!(strict.check_port(port), Ok(()), "{port}");
        }
    }

    #[test]
    fn an_exception_covers_exactly_its_network_and_port() {
        let policy = AddressPolicy::new(vec![
            "10.1.0.0/16".parse().unwrap(),
            "127.0.0.1:9000".parse().unwrap(),
            "[::1/128]:9000".parse().unwrap(),
        ]);
        for address in ["10.1.2.3:1", "10.1.2.3:6379", "127.0.0.1:9000", "[::ffff:127.0.0.1]:9000", "[::1]:9000"] {
            assert_eq!(check(&policy, address), Ok(()), "{address}");
        }
        for address in ["10.2.0.1:1", "127.0.0.1:9001", "127.0.0.2:9000", "[::1]:9001"] {
            assert!(check(&policy, address).is_err(), "{address}");
        }
    }

    #[test]
    fn what_is_denied_is_forbidden_although_it_is_allowed() {
        let policy = AddressPolicy::new(vec!["10.0.0.0/8".parse().unwrap()])
            .denying(vec!["10.1.0.0/16".parse().unwrap(), "203.0.112.0/24".parse().unwrap()]);
        assert_eq!(check(&policy, "10.2.0.1:80"), Ok(()));
        for address in ["10.1.0.1:80", "[::ffff:10.1.0.1]:80", "203.0.112.9:443"] {
            assert_eq!(check(&policy, address), Err(Forbidden::Denied), "{address}");
        }
    }

    #[test]
    fn an_address_of_the_machine_itself_is_forbidden_unless_it_is_allowed() {
        let own = || vec!["203.0.112.9".parse().unwrap(), "2a00:1450::9".parse().unwrap()];
        let policy = AddressPolicy::default().owning(own());
        for address in ["203.0.112.9:443", "[2a00:1450::9]:443"] {
            assert!(matches!(check(&policy, address), Err(Forbidden::Class { .. })), "{address}");
        }
        assert_eq!(check(&policy, "203.0.112.8:443"), Ok(()));
        let policy = AddressPolicy::new(vec!["203.0.112.9:8443".parse().unwrap()]).owning(own());
        assert_eq!(check(&policy, "203.0.112.9:8443"), Ok(()));
        assert!(check(&policy, "203.0.112.9:443").is_err());
    }

    #[test]
    fn through_a_translator_an_address_is_judged_as_what_it_stands_for() {
        let policy = AddressPolicy::new(vec!["10.1.0.0/16".parse().unwrap()]).with_nat64(true);
        for address in ["[64:ff9b::808:808]:443", "[64:ff9b::a01:203]:80"] {
            assert_eq!(check(&policy, address), Ok(()), "{address}");
            assert!(check(&AddressPolicy::default(), address).is_err(), "{address}");
        }
        for address in
            ["[64:ff9b::7f00:1]:80", "[64:ff9b::a9fe:a9fe]:80", "[64:ff9b:1::808:808]:443", "[64:ff9b::808:808]:25"]
        {
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
