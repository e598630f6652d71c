//! A way to a server on which what is sent can be held up: it arrives late, even if its sender has given up.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy in front of a server. Dropping it breaks every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    hold: watch::Sender<Option<Hold>>,
    connections: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

/// What is held up.
#[derive(Debug, Clone)]
struct Hold {
    /// From the first part on that contains it.
    text: String,
    /// On connections of smaller numbers.
    below: usize,
}

impl Proxy {
    /// Returns once it listens.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (hold, connections) = (watch::Sender::new(None), Arc::new(AtomicUsize::new(0)));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, hold.subscribe(), Arc::clone(&connections)));
        Self { address, hold, connections, _tasks: tasks }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Holds up what is sent on a connection, beginning with the first part that contains `text`.
    pub fn hold_from(&self, text: &str) {
        self.hold.send_replace(Some(Hold { text: text.to_owned(), below: usize::MAX }));
    }

    /// Holds up everything that is sent on the connections that there are now, and on no others.
    pub fn hold_present(&self) {
        let below = self.connections.load(Ordering::SeqCst);
        self.hold.send_replace(Some(Hold { text: String::new(), below }));
    }

    /// Lets everything through that was held up.
    pub fn release(&self) {
        self.hold.send_replace(None);
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    hold: watch::Receiver<Option<Hold>>,
    connections: Arc<AtomicUsize>,
) {
    let mut ways = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let (number, hold) = (connections.fetch_add(1, Ordering::SeqCst), hold.clone());
        ways.spawn(async move {
            // A connection that breaks is what tests ask for.
            drop(pass(client, server, number, hold).await);
        });
    }
}

async fn pass(
    client: TcpStream,
    server: SocketAddr,
    number: usize,
    hold: watch::Receiver<Option<Hold>>,
) -> io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = TcpStream::connect(server).await?.into_split();
    let answers = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    let (answered, asked) = tokio::join!(answers, pass_on(from_client, to_server, number, hold));
    answered.and(asked)
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    mut hold: watch::Receiver<Option<Hold>>,
) -> io::Result<()> {
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut part).await?;
        if length == 0 {
            return Ok(());
        }
        let sent = part.get(..length).unwrap_or_default();
        let is_held = hold.borrow().as_ref().is_some_and(|hold| number < hold.below && contains(sent, &hold.text));
        if is_held {
            hold.wait_for(Option::is_none).await.map_err(io::Error::other)?;
        }
        to.write_all(sent).await?;
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
}
