//! One look-up of a name, and whose fault it is if it fails.
//!
//! The standard library hides why a look-up failed behind a text, so the resolver of the system is asked through a
//! crate that tells its code.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use dns_lookup::{AddrInfoHints, LookupError, LookupErrorKind, SockType, getaddrinfo};

/// A name that leads nowhere.
#[derive(Debug, thiserror::Error)]
pub(super) enum LookUpError {
    /// There is no such name, or it has no address: the receiver's fault.
    #[error("the name of the host does not exist")]
    NoSuchName,
    /// The name servers did not say: our own fault, as far as can be told from here.
    #[error("the name of the host could not be looked up: the name servers gave no answer")]
    NoAnswer(#[source] io::Error),
    /// The same, before they gave up.
    #[error("the name of the host was not looked up in time")]
    TimedOut,
    /// Every address is of a network that this machine has no route to: our own fault.
    #[error("this machine has no route to any address of the host")]
    NoRoute,
}

impl LookUpError {
    /// Whether it says something about us and nothing about the receiver.
    ///
    /// Name servers also say SERVFAIL, which counts as no answer, when the zone of the name is broken. The receiver then
    /// gets the benefit of the doubt: its deliveries end all the same, by their schedule.
    pub(super) fn is_ours(&self) -> bool {
        match self {
            Self::NoSuchName => false,
            Self::NoAnswer(_) | Self::TimedOut | Self::NoRoute => true,
        }
    }
}

impl From<LookupError> for LookUpError {
    fn from(error: LookupError) -> Self {
        match error.kind() {
            LookupErrorKind::NoName | LookupErrorKind::NoData => Self::NoSuchName,
            _ => Self::NoAnswer(error.into()),
        }
    }
}

/// The addresses of a name that can be dialled from here. It blocks for as long as the name servers take.
pub(super) fn look_up(name: &str) -> Result<Vec<SocketAddr>, LookUpError> {
    let hints = AddrInfoHints { socktype: SockType::Stream.into(), ..AddrInfoHints::default() };
    let entries = getaddrinfo(Some(name), None, Some(hints))?;
    let found: Vec<SocketAddr> = entries.filter_map(Result::ok).map(|entry| entry.sockaddr).collect();
    if found.is_empty() {
        return Err(LookUpError::NoSuchName);
    }
    routable(found, has_route)
}

/// Those with a route. An address without one would be dialled after the others all the same, and its failure, which
/// is ours, would stand for theirs.
fn routable(found: Vec<SocketAddr>, has_route: impl Fn(&SocketAddr) -> bool) -> Result<Vec<SocketAddr>, LookUpError> {
    let routable: Vec<SocketAddr> = found.into_iter().filter(has_route).collect();
    if routable.is_empty() { Err(LookUpError::NoRoute) } else { Ok(routable) }
}

/// Connecting a datagram socket sends nothing: it only asks the system for a route. What goes wrong otherwise is left
/// for the connection to find out.
fn has_route(address: &SocketAddr) -> bool {
    let any: IpAddr = match address {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(SocketAddr::new(address.ip(), 443)));
    !asked.is_err_and(|error| is_without_route(&error))
}

fn is_without_route(error: &io::Error) -> bool {
    let codes = [libc::ENETUNREACH, libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_does_not_exist_is_the_receivers_fault() {
        for (code, is_ours) in [
            (libc::EAI_NONAME, false),
            (libc::EAI_NODATA, false),
            (libc::EAI_AGAIN, true),
            (libc::EAI_FAIL, true),
            (libc::EAI_MEMORY, true),
            (libc::EAI_SYSTEM, true),
        ] {
            assert_eq!(LookUpError::from(LookupError::new(code)).is_ours(), is_ours, "{code}");
        }
        assert!(LookUpError::TimedOut.is_ours() && LookUpError::NoRoute.is_ours());
    }

    #[test]
    fn addresses_without_a_route_are_left_out_and_none_at_all_is_our_fault() {
        let found: Vec<SocketAddr> = vec!["192.0.2.1:0".parse().unwrap(), "[2001:db8::1]:0".parse().unwrap()];
        let of_four = routable(found.clone(), SocketAddr::is_ipv4).unwrap();
        assert_eq!(of_four, found[..1]);
        assert!(matches!(routable(found, |_| false), Err(LookUpError::NoRoute)));
        assert!(has_route(&"127.0.0.1:0".parse().unwrap()));
    }

    #[test]
    fn a_literal_address_is_found_without_name_servers() {
        assert_eq!(look_up("127.0.0.1").unwrap(), ["127.0.0.1:0".parse().unwrap()]);
    }
}
