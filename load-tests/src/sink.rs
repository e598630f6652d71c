//! The receivers of all webhooks: they answer at once or misbehave, and note what arrived when.

pub(crate) mod command;

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::lifecycle::BoxError;
use http::header::RETRY_AFTER;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::arrivals::Arrivals;
use crate::troubles::falls_on;

/// Bodies of webhooks are under 1 MiB.
const BODY_LIMIT: usize = 1024 * 1024;
/// Addresses of the loopback network, 127.0.1.1 and on.
const HOSTS: u8 = 200;
/// What the path of a webhook begins with; its number follows.
const PATH: &str = "/w/";
/// What a tag begins with; the number of its event follows, and then the run.
pub(crate) const TAG: &str = "e";

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Behaviour {
    /// Accepts it.
    #[default]
    Accept,
    /// Accepts it so late that nobody waits for it.
    Hang(Duration),
    /// Answers with this status, and that it may be tried again soon.
    Refuse(u16),
    /// Accepts it, and takes this long to say so.
    Late(Duration),
    /// Closes the connection without an answer.
    Close,
}

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Post<'a> {
    /// The number of the webhook.
    pub(crate) webhook: usize,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a [u8],
    pub(crate) is_accepted: bool,
    pub(crate) at: Instant,
}

/// Who is told of every request, before it is answered.
pub(crate) trait Observe: fmt::Debug + Send + Sync {
    fn note(&self, post: &Post<'_>);
}

/// The receiver was told to close the connection.
#[derive(Debug)]
struct Closed;

/// The receivers, on a thread of their own, so that nothing else of this process delays what they note. Dropping
/// it ends them.
#[derive(Debug)]
pub(crate) struct Sink {
    addresses: Vec<SocketAddr>,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// By the number of the webhook; those that are not there accept.
    behaviours: RwLock<Vec<Behaviour>>,
    /// What happens to a share of the requests to the others.
    often: RwLock<(f64, Behaviour)>,
    /// Requests so far.
    count: AtomicUsize,
    observers: RwLock<Vec<Arc<dyn Observe>>>,
    /// Requests that are being answered.
    under_way: AtomicUsize,
}

/// The run whose arrivals are noted; what comes late of any other is passed over.
#[derive(Debug)]
struct Run {
    name: String,
    arrivals: Arc<Arrivals>,
}

impl Sink {
    /// Returns once it listens on addresses of the loopback network.
    pub(crate) fn start() -> Result<Self, BoxError> {
        let any_port = |host| (Ipv4Addr::new(127, 0, 1, host), 0).into();
        Self::listen(&(1..=HOSTS).map(any_port).collect::<Vec<_>>())
    }

    /// Returns once it listens on these addresses.
    pub(crate) fn listen(addresses: &[SocketAddr]) -> Result<Self, BoxError> {
        let listener = |address: &SocketAddr| {
            let listener = std::net::TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            Ok::<_, std::io::Error>(listener)
        };
        let listeners = addresses.iter().map(listener).collect::<Result<Vec<_>, _>>()?;
        let addresses = listeners.iter().map(std::net::TcpListener::local_addr).collect::<Result<Vec<_>, _>>()?;
        let (state, (end, ended)) = (Arc::<State>::default(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&state);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    served = serve_all(listeners, serving) => if let Err(error) = served { eprintln!("sink: {error}") },
                    _ = ended => {}
                }
            });
        };
        let thread = Some(std::thread::Builder::new().name("sink".to_owned()).spawn(serve)?);
        Ok(Self { addresses, state, thread, end: Some(end) })
    }

    /// The URL of a webhook, on a host of its own as long as there are enough: webhooks of one host share its sockets.
    pub(crate) fn url(&self, webhook: usize) -> String {
        let host = webhook.checked_rem(self.addresses.len()).and_then(|host| self.addresses.get(host));
        host.map_or_else(String::new, |address| format!("http://{address}{PATH}{webhook}"))
    }

    /// Tells how the webhooks behave from now on.
    pub(crate) fn behave(&self, behaviours: Vec<Behaviour>) {
        *self.state.behaviours.write().unwrap_or_else(PoisonError::into_inner) = behaviours;
    }

    /// Tells how one of them behaves from now on.
    pub(crate) fn behave_at(&self, webhook: usize, behaviour: Behaviour) {
        let mut behaviours = self.state.behaviours.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = behaviours.get_mut(webhook) {
            *known = behaviour;
        }
    }

    /// Tells what happens to a share of all requests from now on, whichever webhook they are for.
    pub(crate) fn behave_often(&self, share: f64, behaviour: Behaviour) {
        *self.state.often.write().unwrap_or_else(PoisonError::into_inner) = (share, behaviour);
    }

    /// Notes from now on what arrives of these runs, by their names, and of no others.
    pub(crate) fn note_in<'a>(&self, runs: impl IntoIterator<Item = (&'a str, &'a Arc<Arrivals>)>) {
        let run = |(name, arrivals): (&str, &Arc<Arrivals>)| -> Arc<dyn Observe> {
            Arc::new(Run { name: name.to_owned(), arrivals: Arc::clone(arrivals) })
        };
        self.tell(runs.into_iter().map(run).collect());
    }

    /// Tells these of every request from now on, and no others.
    pub(crate) fn tell(&self, observers: Vec<Arc<dyn Observe>>) {
        *self.state.observers.write().unwrap_or_else(PoisonError::into_inner) = observers;
    }

    /// How many requests are being answered.
    pub(crate) fn under_way(&self) -> usize {
        self.state.under_way.load(Ordering::Relaxed)
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.end.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the sink ended abnormally");
        }
    }
}

async fn serve_all(listeners: Vec<std::net::TcpListener>, state: Arc<State>) -> Result<(), BoxError> {
    let mut serving = JoinSet::new();
    for listener in listeners {
        serving.spawn(serve(listener, Arc::clone(&state)));
    }
    while let Some(served) = serving.join_next().await {
        served??;
    }
    Ok(())
}

async fn serve(listener: std::net::TcpListener, state: Arc<State>) -> Result<(), BoxError> {
    let listener = TcpListener::from_std(listener)?;
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let (stream, _) = accepted?;
                stream.set_nodelay(true)?;
                connections.spawn(converse(stream, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request| answer(request, &state));
    // Clients break off what hangs.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn answer(request: Request<Incoming>, state: &State) -> Result<Response<Empty<Bytes>>, Closed> {
    let _under_way = UnderWay::begin(&state.under_way);
    let number = request.uri().path().strip_prefix(PATH).and_then(|number| number.parse().ok());
    let webhook = number.unwrap_or(usize::MAX);
    let behaviour = state.behaviour(webhook);
    let (head, body) = request.into_parts();
    // A request that breaks off in its body was not received.
    let body = Limited::new(body, BODY_LIMIT).collect().await.map_err(|_| Closed)?.to_bytes();
    let is_accepted = matches!(behaviour, Behaviour::Accept | Behaviour::Late(_));
    state.note(&Post { webhook, headers: &head.headers, body: &body, is_accepted, at: Instant::now() });
    match behaviour {
        Behaviour::Accept => Ok(Response::new(Empty::new())),
        Behaviour::Hang(time) | Behaviour::Late(time) => {
            sleep(time).await;
            Ok(Response::new(Empty::new()))
        }
        Behaviour::Refuse(status) => {
            let response = Response::builder().status(status).header(RETRY_AFTER, "1");
            Ok(response.body(Empty::new()).unwrap_or_default())
        }
        Behaviour::Close => Err(Closed),
    }
}

impl State {
    fn behaviour(&self, webhook: usize) -> Behaviour {
        let behaviours = self.behaviours.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(behaviour) = behaviours.get(webhook) {
            return *behaviour;
        }
        let (share, behaviour) = *self.often.read().unwrap_or_else(PoisonError::into_inner);
        let is_of_share = falls_on(self.count.fetch_add(1, Ordering::Relaxed), share);
        if is_of_share { behaviour } else { Behaviour::Accept }
    }

    fn note(&self, post: &Post<'_>) {
        for observer in self.observers.read().unwrap_or_else(PoisonError::into_inner).iter() {
            observer.note(post);
        }
    }
}

impl Observe for Run {
    fn note(&self, post: &Post<'_>) {
        if post.is_accepted {
            for event in events(post.body, &self.name) {
                self.arrivals.note(event, post.at);
            }
        }
    }
}

/// Counts a request while it is answered, also if its client breaks off.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn begin(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("close the connection")
    }
}

impl std::error::Error for Closed {}

/// The event that a tag was made of.
pub(crate) fn tag(event: usize, run: &str) -> String {
    format!("{TAG}{event}.{run}")
}

/// The events of a run that a body in Docker Hub's format, or any that has members `tag`, tells.
pub(crate) fn events(body: &[u8], run: &str) -> Vec<usize> {
    let text = String::from_utf8_lossy(body);
    let tags = text.split("\"tag\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let event = |tag: &str| tag.strip_prefix(TAG)?.strip_suffix(run)?.strip_suffix('.')?.parse().ok();
    tags.filter_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_of_this_run_alone_are_found_in_a_body() {
        let body = format!(r#"{{"a":{{"tag":"{}"}},"b":{{"tag":"{}"}},"tag":"latest"}}"#, tag(17, "a1"), tag(4, "b1"));
        assert_eq!(events(body.as_bytes(), "a1"), [17]);
        assert_eq!(events(body.as_bytes(), "b1"), [4]);
        assert!(events(b"{}", "a1").is_empty());
    }
}
