//! Which addresses can be dialled from this machine.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Whether this machine has a route to an address. One without would be dialled after the others all the same, and its
/// failure, which is ours, would stand for theirs.
///
/// Connecting a datagram socket sends nothing: it only asks the system for a route. What goes wrong otherwise is left
/// for the connection to find out.
pub(super) fn has_route(address: IpAddr) -> bool {
    let any: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let asked = UdpSocket::bind((any, 0)).and_then(|socket| socket.connect(SocketAddr::new(address, 443)));
    !asked.is_err_and(|error| is_without_route(&error))
}

fn is_without_route(error: &io::Error) -> bool {
    let codes = [libc::ENETUNREACH, libc::EADDRNOTAVAIL, libc::EAFNOSUPPORT];
    error.raw_os_error().is_some_and(|code| codes.contains(&code))
}
