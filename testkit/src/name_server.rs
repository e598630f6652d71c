//! A name server that answers as a test tells it to, and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hickory_proto::op::{Message, Query, ResponseCode};
use hickory_proto::rr::rdata::svcb::{IpHint, SVCB, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, CNAME, HTTPS};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// The longest answer over UDP; longer ones are cut and asked for over TCP.
const DATAGRAM: usize = 512;
/// How long an answer holds, in seconds.
const TTL: u32 = 0;

/// A name server on a free port of this machine, over UDP and TCP. Dropping it ends it.
#[derive(Debug)]
pub struct NameServer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

/// What a name server says of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// These addresses, of either kind.
    Addresses(Vec<IpAddr>),
    /// The name is another one, which is to be asked for.
    Alias(&'static str),
    /// Whatever is asked for, a record of the kind HTTPS with this address as a hint (RFC 9460, section 7.3).
    Hint(Ipv4Addr),
    /// NXDOMAIN: there is no such name.
    NoSuchName,
    /// SERVFAIL: it could not be found out.
    Failure,
    /// REFUSED: this server does not say.
    Refused,
    /// Nothing at all.
    Silence,
}

#[derive(Debug, Default)]
struct State {
    /// By name, what is said next, and from then on.
    scripts: BTreeMap<String, VecDeque<Reply>>,
    asked: Vec<String>,
}

impl Reply {
    /// The loopback address.
    pub fn loopback() -> Self {
        Self::Addresses(vec![Ipv4Addr::LOCALHOST.into()])
    }
}

impl NameServer {
    /// Starts a server that knows no name until it is told one.
    ///
    /// # Panics
    /// If there is no port that is free for both.
    pub async fn start() -> Self {
        let (stream, datagram) = bind().await;
        let address = stream.local_addr().expect("an address");
        let state = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve_streams(stream, Arc::clone(&state)));
        serving.spawn(serve_datagrams(datagram, Arc::clone(&state)));
        Self { address, state, _serving: serving }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Says this of `name` from now on.
    pub fn say(&self, name: &str, reply: Reply) {
        self.say_in_turn(name, vec![reply]);
    }

    /// Says these of `name`, each to one look-up, and the last of them from then on. A look-up asks for addresses of
    /// both kinds; it is the question for IPv4 that moves on.
    pub fn say_in_turn(&self, name: &str, replies: Vec<Reply>) {
        lock(&self.state).scripts.insert(name.to_owned(), replies.into());
    }

    /// The names it was asked for, once for each question.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.state).asked.clone()
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn bind() -> (TcpListener, UdpSocket) {
    for _ in 0..20 {
        let stream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = stream.local_addr().expect("an address");
        if let Ok(datagram) = UdpSocket::bind(address).await {
            return (stream, datagram);
        }
    }
    panic!("no port is free for UDP and TCP");
}

async fn serve_datagrams(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut buffer = [0; 4096];
    loop {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let Some(answer) = buffer.get(..length).and_then(|question| answer(question, &state)) else { continue };
        let whole = answer.to_vec().expect("an answer");
        let sent = if whole.len() > DATAGRAM { answer.truncate().to_vec().expect("a cut answer") } else { whole };
        // Who asked may have gone.
        socket.send_to(&sent, from).await.ok();
    }
}

async fn serve_streams(socket: TcpListener, state: Arc<Mutex<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = socket.accept() => {
                connections.spawn(converse(stream, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Answers questions, each after its length in two bytes, until the other side goes.
async fn converse(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    while let Ok(length) = stream.read_u16().await {
        let mut question = vec![0; length.into()];
        if stream.read_exact(&mut question).await.is_err() {
            return;
        }
        let Some(answer) = answer(&question, &state) else { continue };
        let answer = answer.to_vec().expect("an answer");
        let length = u16::try_from(answer.len()).expect("an answer that fits");
        if stream.write_u16(length).await.is_err() || stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

fn answer(question: &[u8], state: &Mutex<State>) -> Option<Message> {
    let asked = Message::from_vec(question).ok()?;
    let query = asked.queries.first()?.clone();
    let reply = lock(state).reply(&query);
    let mut answer = Message::response(asked.metadata.id, asked.metadata.op_code);
    answer.metadata.recursion_available = true;
    answer.metadata.response_code = match reply {
        Reply::NoSuchName => ResponseCode::NXDomain,
        Reply::Failure => ResponseCode::ServFail,
        Reply::Refused => ResponseCode::Refused,
        Reply::Addresses(_) | Reply::Alias(_) | Reply::Hint(_) => ResponseCode::NoError,
        Reply::Silence => return None,
    };
    answer.add_answers(records(&query, &reply));
    answer.add_query(query);
    Some(answer)
}

fn records(query: &Query, reply: &Reply) -> Vec<Record> {
    let data: Vec<RData> = match reply {
        Reply::Addresses(addresses) => addresses.iter().map(|address| RData::from(*address)).collect(),
        Reply::Alias(name) => vec![RData::CNAME(CNAME(Name::from_ascii(name).expect("a name")))],
        Reply::Hint(address) => vec![hint(*address)],
        _ => Vec::new(),
    };
    let unasked = |data: &RData| matches!(data, RData::CNAME(_) | RData::HTTPS(_));
    let fits = |data: &RData| data.record_type() == query.query_type() || unasked(data);
    data.into_iter().filter(fits).map(|data| Record::from_rdata(query.name().clone(), TTL, data)).collect()
}

fn hint(address: Ipv4Addr) -> RData {
    let value = SvcParamValue::Ipv4Hint(IpHint(vec![A(address)]));
    RData::HTTPS(HTTPS(SVCB::new(1, Name::root(), vec![(SvcParamKey::Ipv4Hint, value)])))
}

impl State {
    fn reply(&mut self, query: &Query) -> Reply {
        let name = query.name().to_ascii();
        let name = name.trim_end_matches('.').to_owned();
        let reply = self.scripts.get_mut(&name).map(|script| {
            let moves_on = script.len() > 1 && query.query_type() == RecordType::A;
            if moves_on { script.pop_front() } else { script.front().cloned() }
        });
        self.asked.push(name);
        reply.flatten().unwrap_or(Reply::NoSuchName)
    }
}
