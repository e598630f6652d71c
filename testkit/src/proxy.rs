//! A way to a server on which what is sent can be held up: it arrives late, even if its sender has given up.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// A proxy in front of a server. Dropping it breaks every connection.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    held_from: watch::Sender<Option<String>>,
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
        let held_from = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, server, held_from.subscribe()));
        Self { address, held_from, _tasks: tasks }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Holds up what is sent on a connection, beginning with the first part that contains `text`.
    pub fn hold_from(&self, text: &str) {
        self.held_from.send_replace(Some(text.to_owned()));
    }

    /// Lets everything through that was held up.
    pub fn release(&self) {
        self.held_from.send_replace(None);
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, held_from: watch::Receiver<Option<String>>) {
    let mut ways = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let held_from = held_from.clone();
        ways.spawn(async move {
            // A connection that breaks is what tests ask for.
            drop(pass(client, server, held_from).await);
        });
    }
}

async fn pass(client: TcpStream, server: SocketAddr, held_from: watch::Receiver<Option<String>>) -> io::Result<()> {
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, to_server) = TcpStream::connect(server).await?.into_split();
    let answers = async { tokio::io::copy(&mut from_server, &mut to_client).await.map(drop) };
    let questions = pass_on(from_client, to_server, held_from);
    let (answered, asked) = tokio::join!(answers, questions);
    answered.and(asked)
}

async fn pass_on(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut held_from: watch::Receiver<Option<String>>,
) -> io::Result<()> {
    let mut part = vec![0; 64 * 1024];
    loop {
        let length = from.read(&mut part).await?;
        if length == 0 {
            return Ok(());
        }
        let sent: Arc<[u8]> = part.get(..length).unwrap_or_default().into();
        let is_held = |held: &Option<String>| held.as_ref().is_some_and(|text| contains(&sent, text.as_bytes()));
        if is_held(&held_from.borrow()) {
            held_from.wait_for(Option::is_none).await.map_err(io::Error::other)?;
        }
        to.write_all(&sent).await?;
    }
}

fn contains(bytes: &[u8], text: &[u8]) -> bool {
    text.is_empty() || bytes.windows(text.len()).any(|window| window == text)
}
