//! A wire between a client and a node that can be cut for good, as when the client's process ends.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Forwards connections to a node. Dropping it resets them and refuses further ones.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    _forwarding: JoinSet<()>,
}

impl Link {
    /// A link to the node that listens on `port`.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn open(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let mut forwarding = JoinSet::new();
        forwarding.spawn(accept(listener, port));
        Self { address, _forwarding: forwarding }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }
}

async fn accept(listener: TcpListener, port: u16) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        connections.spawn(forward(client, port));
    }
}

async fn forward(mut client: TcpStream, port: u16) {
    if let Ok(mut node) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await {
        // A connection that breaks ends both ways, which is all that a client may expect.
        drop(tokio::io::copy_bidirectional(&mut client, &mut node).await);
    }
}
