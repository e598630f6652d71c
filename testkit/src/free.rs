//! What is free on this machine.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpListener;

/// An address that nobody listens on. Another process may take it first.
pub(crate) async fn address() -> SocketAddr {
    let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
    socket.local_addr().expect("an address")
}
