//! A wire between a client and a node that can be cut for good, as when the client's process ends, and that
//! can do what networks and clients do wrong.

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::AsyncWriteExt as _;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::frames::{BASIC_CONSUME, BASIC_DELIVER, CHANNEL_CLOSE, Frame, Frames};

/// Forwards connections to a node. Dropping it resets them and refuses further ones.
#[derive(Debug)]
pub struct Link {
    address: SocketAddr,
    wires: Arc<Wires>,
    _forwarding: JoinSet<()>,
}

/// What all connections of a link share.
#[derive(Debug, Default)]
struct Wires {
    faults: watch::Sender<Faults>,
    /// The reply codes with which the node closed channels.
    closes: Mutex<Vec<u16>>,
    swallowed: AtomicUsize,
}

#[derive(Debug, Default)]
struct Faults {
    /// How many connections there were.
    connections: usize,
    /// Connections of smaller numbers carry nothing any more.
    frozen: usize,
    swallows: bool,
    false_acknowledgements: usize,
}

impl Link {
    /// A link to the node that listens on `port`.
    ///
    /// # Panics
    /// If no port is free.
    pub async fn open(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let wires = Arc::new(Wires::default());
        let mut forwarding = JoinSet::new();
        forwarding.spawn(accept(listener, port, Arc::clone(&wires)));
        Self { address, wires, _forwarding: forwarding }
    }

    /// The port that clients connect to.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Lets the connections that there are now carry nothing any more, either way, and closes none of them.
    pub fn freeze_present(&self) {
        self.wires.faults.send_modify(|faults| faults.frozen = faults.connections);
    }

    /// Whether messages that the node delivers get lost, while all else passes.
    pub fn swallow_deliveries(&self, swallows: bool) {
        self.wires.faults.send_modify(|faults| faults.swallows = swallows);
    }

    /// How many deliveries got lost so far.
    pub fn swallowed(&self) -> usize {
        self.wires.swallowed.load(Ordering::SeqCst)
    }

    /// Acknowledges what was never delivered on every channel that consumes, upon which the node closes it.
    pub fn acknowledge_falsely(&self) {
        self.wires.faults.send_modify(|faults| faults.false_acknowledgements += 1);
    }

    /// The reply codes with which the node closed channels so far.
    pub fn closes(&self) -> Vec<u16> {
        self.wires.closes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

async fn accept(listener: TcpListener, port: u16, wires: Arc<Wires>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let mut number = 0;
        wires.faults.send_modify(|faults| {
            number = faults.connections;
            faults.connections += 1;
        });
        let wires = Arc::clone(&wires);
        connections.spawn(async move {
            // A connection that breaks ends both ways, which is all that a client may expect.
            drop(forward(client, port, number, &wires).await);
        });
    }
}

async fn forward(client: TcpStream, port: u16, number: usize, wires: &Wires) -> io::Result<()> {
    let node = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    client.set_nodelay(true)?;
    node.set_nodelay(true)?;
    let ((from_client, to_client), (from_node, to_node)) = (client.into_split(), node.into_split());
    let up = Way { frames: Frames::new(from_client), to: to_node, number, faults: wires.faults.subscribe() };
    let down = Way { frames: Frames::new(from_node), to: to_client, number, faults: wires.faults.subscribe() };
    tokio::try_join!(up.carry_up(), down.carry_down(wires)).map(drop)
}

/// One direction of a connection.
struct Way {
    frames: Frames,
    to: OwnedWriteHalf,
    number: usize,
    faults: watch::Receiver<Faults>,
}

impl Way {
    async fn carry_up(mut self) -> io::Result<()> {
        let mut consuming = BTreeSet::new();
        let mut told = self.faults.borrow().false_acknowledgements;
        loop {
            let mut faults = self.faults.clone();
            let lie = async { faults.wait_for(|faults| faults.false_acknowledgements > told).await.map(drop) };
            tokio::select! {
                frames = self.frames.next() => {
                    let frames = frames?;
                    let consumes = frames.iter().filter(|frame| frame.method() == Some(BASIC_CONSUME));
                    consuming.extend(consumes.map(Frame::channel));
                    if frames.is_empty() {
                        return self.end().await;
                    }
                    self.pass(&frames).await?;
                }
                Ok(()) = lie => {
                    told += 1;
                    let lies: Vec<_> = consuming.iter().copied().map(Frame::false_acknowledgement).collect();
                    self.pass(&lies).await?;
                }
            }
        }
    }

    async fn carry_down(mut self, wires: &Wires) -> io::Result<()> {
        let mut swallowing = BTreeSet::new();
        loop {
            let mut frames = self.frames.next().await?;
            if frames.is_empty() {
                return self.end().await;
            }
            let swallows = self.faults.borrow().swallows;
            frames.retain(|frame| match frame.method() {
                Some(BASIC_DELIVER) if swallows => {
                    swallowing.insert(frame.channel());
                    wires.swallowed.fetch_add(1, Ordering::SeqCst);
                    false
                }
                Some(method) => {
                    swallowing.remove(&frame.channel());
                    if method == CHANNEL_CLOSE {
                        wires.closes.lock().unwrap_or_else(PoisonError::into_inner).push(frame.reply_code());
                    }
                    true
                }
                None => !(frame.is_content() && swallowing.contains(&frame.channel())),
            });
            self.pass(&frames).await?;
        }
    }

    async fn pass(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.unless_frozen().await;
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::bytes).copied().collect();
        self.to.write_all(&bytes).await
    }

    async fn end(&mut self) -> io::Result<()> {
        self.unless_frozen().await;
        self.to.shutdown().await
    }

    async fn unless_frozen(&self) {
        let is_frozen = self.number < self.faults.borrow().frozen;
        if is_frozen {
            std::future::pending::<()>().await;
        }
    }
}
