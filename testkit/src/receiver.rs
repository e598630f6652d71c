//! A receiver of webhooks that answers as a test tells it to, and remembers what it got.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::wait;

#[cfg(test)]
mod tests;

/// Bodies of webhooks are under 1 MiB.
const BODY_LIMIT: usize = 4 * 1024 * 1024;
/// The pause between the bytes of a slow body: too short for a time-out between reads to notice.
const SLOW_PAUSE: Duration = Duration::from_millis(20);
const ENDLESS_CHUNK: Bytes = Bytes::from_static(&[b'x'; 16 * 1024]);

/// A receiver on a free port of this machine. Dropping it closes its connections.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    _serving: JoinSet<()>,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// When its body was complete.
    pub at: Instant,
    /// Its method.
    pub method: Method,
    /// The target of the request, as it was sent.
    pub path_and_query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// How it was answered.
    pub answer: Answer,
}

/// What the receiver does with a request, after it has recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// An empty answer.
    Status(u16),
    /// An empty answer with headers.
    StatusWithHeaders(u16, Vec<(&'static str, String)>),
    /// An answer with a body.
    StatusWithBody(u16, String),
    /// An empty answer after a pause.
    Late(Duration, u16),
    /// No answer, and an open connection.
    Hang,
    /// 200 with a body that comes byte by byte and never ends.
    SlowBody,
    /// 200 with a body that comes as fast as it is read and never ends.
    EndlessBody,
    /// The connection is closed without an answer.
    Close,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Recorded>,
    script: Script,
    scripts_by_path: BTreeMap<String, Script>,
}

#[derive(Debug, Default)]
struct Script {
    next: VecDeque<Answer>,
    always: Option<Answer>,
}

/// The receiver was told to close the connection.
#[derive(Debug)]
struct Closed;

impl Receiver {
    /// Starts a receiver that answers 200 until it is told otherwise.
    ///
    /// # Panics
    /// If there is no free port.
    pub async fn start() -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let state = Arc::default();
        let mut serving = JoinSet::new();
        serving.spawn(serve(socket, Arc::clone(&state)));
        Self { address, state, _serving: serving }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The URL of a path, which starts with `/`.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Everything received so far, in order.
    pub fn requests(&self) -> Vec<Recorded> {
        lock(&self.state).requests.clone()
    }

    /// What was received after the first `count` requests, in order, for those who read a long run piece by piece.
    pub fn requests_from(&self, count: usize) -> Vec<Recorded> {
        lock(&self.state).requests.get(count..).unwrap_or_default().to_vec()
    }

    /// Waits until at least `count` requests are here, and returns all of them.
    ///
    /// # Panics
    /// If they do not come.
    pub async fn wait_for(&self, count: usize) -> Vec<Recorded> {
        let arrived = async || Some(self.requests()).filter(|requests| requests.len() >= count);
        wait::until(&format!("{count} requests"), arrived).await
    }

    /// Answers the next requests like this, one after the other, and later ones with 200 again.
    pub fn answer_with(&self, answers: Vec<Answer>) {
        lock(&self.state).script.next.extend(answers);
    }

    /// Answers every request like this that no other script answers.
    pub fn answer_always(&self, answer: Answer) {
        lock(&self.state).script.always = Some(answer);
    }

    /// Answers the next requests to `path` like this; the query of a request does not count.
    pub fn answer_at(&self, path: &str, answers: Vec<Answer>) {
        lock(&self.state).scripts_by_path.entry(path.to_owned()).or_default().next.extend(answers);
    }

    /// How many answers that were scripted for `path` are to come.
    pub fn answers_left_at(&self, path: &str) -> usize {
        lock(&self.state).scripts_by_path.get(path).map_or(0, |script| script.next.len())
    }

    /// Answers every request to `path` like this once its other answers are used up.
    pub fn answer_always_at(&self, path: &str, answer: Answer) {
        lock(&self.state).scripts_by_path.entry(path.to_owned()).or_default().always = Some(answer);
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(socket: TcpListener, state: Arc<Mutex<State>>) {
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

async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) {
    let service = service_fn(|request| answer(request, &state));
    // Clients that break off are part of many tests.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(request: Request<Incoming>, state: &Mutex<State>) -> Result<Response<Body>, Closed> {
    let (head, body) = request.into_parts();
    // A request that breaks off in its body was not received.
    let body = to_bytes(Body::new(body), BODY_LIMIT).await.map_err(|_| Closed)?;
    let path_and_query = head.uri.to_string();
    let answer = {
        let mut state = lock(state);
        let (at, method, headers) = (Instant::now(), head.method, head.headers);
        let answer = state.next_answer(head.uri.path());
        state.requests.push(Recorded { at, method, path_and_query, headers, body, answer: answer.clone() });
        answer
    };
    match answer {
        Answer::Status(status) => Ok(respond(status, &[], Body::empty())),
        Answer::StatusWithHeaders(status, headers) => Ok(respond(status, &headers, Body::empty())),
        Answer::StatusWithBody(status, body) => Ok(respond(status, &[], Body::from(body))),
        Answer::Late(pause, status) => {
            sleep(pause).await;
            Ok(respond(status, &[], Body::empty()))
        }
        Answer::Hang => std::future::pending().await,
        Answer::SlowBody => Ok(respond(200, &[], slow_body())),
        Answer::EndlessBody => Ok(respond(200, &[], endless_body())),
        Answer::Close => Err(Closed),
    }
}

fn respond(status: u16, headers: &[(&'static str, String)], body: Body) -> Response<Body> {
    let builder = Response::builder().status(status);
    let add = |builder: http::response::Builder, (name, value): &(&'static str, String)| builder.header(*name, value);
    headers.iter().fold(builder, add).body(body).expect("a valid answer")
}

fn slow_body() -> Body {
    Body::from_stream(stream::unfold((), async |()| {
        sleep(SLOW_PAUSE).await;
        Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
    }))
}

fn endless_body() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>(ENDLESS_CHUNK)))
}

impl State {
    fn next_answer(&mut self, path: &str) -> Answer {
        let of_path = self.scripts_by_path.get_mut(path).and_then(Script::next);
        of_path.or_else(|| self.script.next()).unwrap_or(Answer::Status(200))
    }
}

impl Script {
    fn next(&mut self) -> Option<Answer> {
        self.next.pop_front().or_else(|| self.always.clone())
    }
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("close the connection")
    }
}

impl std::error::Error for Closed {}
