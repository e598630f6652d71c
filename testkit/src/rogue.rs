//! A receiver that breaks the rules of HTTP, byte by byte as a test tells it.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::wait;

/// The system keeps this much of what is said and not yet read, so that little is said that nobody takes.
const SENDING: u32 = 16 * 1024;
/// How long a write may take: nobody reads any more.
const STUCK: Duration = Duration::from_secs(30);

/// A million letters, compressed twice: 60 bytes.
pub const BOMB: [u8; 60] = [
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x93, 0xef, 0xe6, 0x60, 0x00, 0x01, 0x26, 0xe6, 0xb7,
    0x07, 0x1b, 0x41, 0x8c, 0xc3, 0x0a, 0xdb, 0x7e, 0x7a, 0xcb, 0x3e, 0x09, 0x65, 0x64, 0x18, 0x05, 0xa3, 0x60, 0x14,
    0x0c, 0x79, 0xb0, 0x9e, 0xed, 0x6b, 0x4d, 0x15, 0xab, 0x83, 0x13, 0x3f, 0x03, 0x00, 0xdd, 0xf4, 0x37, 0x20, 0xec,
    0x03, 0x00, 0x00,
];

/// One thing that a rogue does on each of its connections.
#[derive(Debug, Clone)]
pub enum Step {
    /// Reads a request to its end.
    Read,
    /// Waits for the first byte of a request, and leaves the rest of it unread.
    Notice,
    /// Says this.
    Say(Bytes),
    /// Says this again and again, after a pause each time, until the other side goes.
    SayForever(Bytes, Duration),
    /// Says nothing until the other side goes.
    Hold,
    /// Breaks the connection, instead of closing it.
    Reset,
}

/// A server on a free port of this machine that takes the same steps on each connection and then closes it. Dropping it
/// closes its connections.
#[derive(Debug)]
pub struct Rogue {
    address: SocketAddr,
    seen: Arc<Seen>,
    _serving: JoinSet<()>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: AtomicUsize,
    ended: AtomicUsize,
    said: AtomicUsize,
}

impl Step {
    /// Says this text.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(Bytes::from(text.into()))
    }

    /// Says this text for ever.
    pub fn say_forever(text: &'static str, pause: Duration) -> Self {
        Self::SayForever(Bytes::from_static(text.as_bytes()), pause)
    }
}

impl Rogue {
    /// Starts a server that takes these steps.
    ///
    /// # Panics
    /// If there is no free port.
    pub fn start(steps: Vec<Step>) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_send_buffer_size(SENDING).expect("a small buffer");
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).expect("a free port");
        let listener = socket.listen(1024).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let seen = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(listener, steps.into(), Arc::clone(&seen)));
        Self { address, seen, _serving: serving }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// How many connections to it are open.
    pub fn open(&self) -> usize {
        let ended = self.seen.ended.load(Ordering::SeqCst);
        self.connections().saturating_sub(ended)
    }

    /// How many bytes it could say, over all connections.
    pub fn said(&self) -> usize {
        self.seen.said.load(Ordering::SeqCst)
    }

    /// Waits until there was at least one connection, and none is open any more.
    ///
    /// # Panics
    /// If they stay open.
    pub async fn left_alone(&self) {
        let is_left_alone = async || {
            let ended = self.seen.ended.load(Ordering::SeqCst);
            (ended > 0 && ended == self.connections()).then_some(())
        };
        wait::until("the connections to be closed", is_left_alone).await;
    }
}

async fn serve(listener: TcpListener, steps: Arc<[Step]>, seen: Arc<Seen>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = listener.accept() => {
                seen.connections.fetch_add(1, Ordering::SeqCst);
                let (steps, seen) = (Arc::clone(&steps), Arc::clone(&seen));
                connections.spawn(async move {
                    // The other side may go at any step.
                    take(stream, &steps, &seen).await.ok();
                    seen.ended.fetch_add(1, Ordering::SeqCst);
                });
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn take(mut stream: TcpStream, steps: &[Step], seen: &Seen) -> std::io::Result<()> {
    for step in steps {
        match step {
            Step::Read => read_request(&mut stream).await?,
            Step::Notice => drop(stream.read_u8().await?),
            Step::Say(text) => say(&mut stream, text, seen).await?,
            Step::SayForever(text, pause) => loop {
                say(&mut stream, text, seen).await?;
                sleep(*pause).await;
            },
            Step::Hold => while stream.read(&mut [0; 4096]).await? > 0 {},
            Step::Reset => stream.set_zero_linger()?,
        }
    }
    Ok(())
}

async fn say(stream: &mut TcpStream, text: &[u8], seen: &Seen) -> std::io::Result<()> {
    let mut rest = text;
    while !rest.is_empty() {
        let count = timeout(STUCK, stream.write(rest)).await??;
        seen.said.fetch_add(count, Ordering::SeqCst);
        rest = rest.get(count..).unwrap_or_default();
    }
    Ok(())
}

/// Reads a head, and the body that its `content-length` announces.
async fn read_request(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await?);
    }
    let head = String::from_utf8_lossy(&head).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    stream.read_exact(&mut vec![0; length.unwrap_or(0)]).await?;
    Ok(())
}
