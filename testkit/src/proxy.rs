//! A way to a server on which goes wrong what goes wrong on networks, switched on and off while it is used.
//!
//! What is held up arrives once it may, even if its sender has given up: so it is where packets get lost, because they
//! are sent again.

mod faults;
#[cfg(test)]
mod tests;
mod way;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use faults::{Fault, Latency};
use faults::{Faults, Hold};
use way::{Direction, Way};

/// A proxy in front of a server. Dropping it breaks every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    faults: watch::Sender<Faults>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Proxy {
    /// Returns once it listens.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (faults, connections) = (watch::Sender::new(Faults::default()), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, faults.subscribe(), Arc::clone(&connections)));
        Self { address, faults, connections, _tasks: tasks }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Lets a fault begin, on the connections that there are and on later ones, beside those that have begun.
    pub fn begin(&self, fault: Fault) {
        self.faults.send_modify(|faults| faults.begin(fault));
    }

    /// Ends all faults, and lets everything through that was held up.
    pub fn heal(&self) {
        self.faults.send_modify(Faults::heal);
    }

    /// Resets the connections that there are now, at both ends.
    pub fn reset_present(&self) {
        let below = self.present();
        self.faults.send_modify(|faults| faults.reset_below = below);
    }

    /// Holds up what is sent on a connection, beginning with the first part that contains `text`.
    pub fn hold_from(&self, text: &str) {
        self.hold(Hold { text: text.to_owned(), below: usize::MAX });
    }

    /// Holds up everything that is sent on the connections that there are now, and on no others.
    pub fn hold_present(&self) {
        self.hold(Hold { text: String::new(), below: self.present() });
    }

    /// Lets everything through that one of these two held up.
    pub fn release(&self) {
        self.faults.send_modify(|faults| faults.hold = None);
    }

    fn hold(&self, hold: Hold) {
        self.faults.send_modify(|faults| faults.hold = Some(hold));
    }

    fn present(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    faults: watch::Receiver<Faults>,
    connections: Arc<AtomicUsize>,
) {
    let mut passing = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (number, faults) = (connections.fetch_add(1, Ordering::SeqCst), faults.clone());
        passing.spawn(async move {
            // A connection that breaks is what tests ask for.
            drop(pass(client, server, number, faults).await);
        });
    }
}

async fn pass(
    mut client: TcpStream,
    server: SocketAddr,
    number: usize,
    faults: watch::Receiver<Faults>,
) -> io::Result<()> {
    // Behind a black hole there is no server to connect to.
    faults.clone().wait_for(|faults| !faults.is_black_hole()).await.map_err(io::Error::other)?;
    let mut server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    {
        let ((from_client, to_client), (from_server, to_server)) = (client.split(), server.split());
        let up = Way::new(Direction::Up, number, faults.clone());
        let down = Way::new(Direction::Down, number, faults.clone());
        let mut reset = faults.clone();
        tokio::select! {
            ended = async { tokio::try_join!(up.carry(from_client, to_server), down.carry(from_server, to_client)) } => {
                return ended.map(drop);
            }
            reset = reset.wait_for(|faults| number < faults.reset_below) => drop(reset.map_err(io::Error::other)?),
        }
    }
    // Without lingering, closing sends a reset.
    client.set_zero_linger()?;
    server.set_zero_linger()
}
