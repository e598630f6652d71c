//! Where processes listen, unless they are told otherwise: on this machine alone.

use std::net::{Ipv4Addr, SocketAddr};

use dockbell_chassis::config::Reader;

/// Reads the address of intake and API.
pub fn listen(reader: &mut Reader) -> SocketAddr {
    reader.address("listen", (Ipv4Addr::LOCALHOST, 8080).into())
}

/// Reads the address of health and metrics.
pub fn admin_listen(reader: &mut Reader) -> SocketAddr {
    reader.address("admin_listen", (Ipv4Addr::LOCALHOST, 8081).into())
}
