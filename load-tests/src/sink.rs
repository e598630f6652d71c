//! The receivers of all webhooks: they answer at once or misbehave, and note what arrived when.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use dockbell_chassis::lifecycle::BoxError;
use http::{Request, Response};
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

/// Bodies of webhooks are under 1 MiB.
const BODY_LIMIT: usize = 1024 * 1024;
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
}

/// The receivers, on a thread of their own, so that nothing else of this process delays what they note. Dropping
/// it ends them.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
    end: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    /// By the number of the webhook; those that are not there accept.
    behaviours: RwLock<Vec<Behaviour>>,
    run: RwLock<Option<Run>>,
}

/// Whose arrivals are noted: what comes late of an earlier run is not.
#[derive(Debug, Clone)]
struct Run {
    name: String,
    arrivals: Arc<Arrivals>,
}

impl Sink {
    /// Returns once it listens.
    pub(crate) fn start() -> Result<Self, BoxError> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (address, state, (end, ended)) = (listener.local_addr()?, Arc::<State>::default(), oneshot::channel());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let serving = Arc::clone(&state);
        let serve = move || {
            runtime.block_on(async {
                tokio::select! {
                    served = serve(listener, serving) => if let Err(error) = served { eprintln!("sink: {error}") },
                    _ = ended => {}
                }
            });
        };
        let thread = Some(std::thread::Builder::new().name("sink".to_owned()).spawn(serve)?);
        Ok(Self { address, state, thread, end: Some(end) })
    }

    /// The URL of a webhook.
    pub(crate) fn url(&self, webhook: usize) -> String {
        format!("http://{}{PATH}{webhook}", self.address)
    }

    /// Tells how the webhooks behave from now on.
    pub(crate) fn behave(&self, behaviours: Vec<Behaviour>) {
        *self.state.behaviours.write().unwrap_or_else(PoisonError::into_inner) = behaviours;
    }

    /// Notes from now on what arrives of the run of this name.
    pub(crate) fn note_in(&self, name: &str, arrivals: Arc<Arrivals>) {
        let run = Run { name: name.to_owned(), arrivals };
        *self.state.run.write().unwrap_or_else(PoisonError::into_inner) = Some(run);
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

async fn answer(request: Request<Incoming>, state: &State) -> Result<Response<Empty<Bytes>>, Infallible> {
    let number = request.uri().path().strip_prefix(PATH).and_then(|number| number.parse().ok());
    let behaviour = state.behaviour(number.unwrap_or(usize::MAX));
    let body = Limited::new(request.into_body(), BODY_LIMIT).collect().await;
    let status = match (behaviour, body) {
        (Behaviour::Accept, Ok(body)) => {
            state.note(&body.to_bytes());
            200
        }
        (Behaviour::Accept, Err(_)) => 400,
        (Behaviour::Hang(time), _) => {
            sleep(time).await;
            200
        }
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    Ok(response)
}

impl State {
    fn behaviour(&self, webhook: usize) -> Behaviour {
        let behaviours = self.behaviours.read().unwrap_or_else(PoisonError::into_inner);
        behaviours.get(webhook).copied().unwrap_or_default()
    }

    fn note(&self, body: &[u8]) {
        let now = Instant::now();
        let run = self.run.read().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(run) = run else { return };
        for event in events(body, &run.name) {
            run.arrivals.note(event, now);
        }
    }
}

/// The event that a tag was made of.
pub(crate) fn tag(event: usize, run: &str) -> String {
    format!("{TAG}{event}.{run}")
}

/// The events of a run that a body in Docker Hub's format, or any that has members `tag`, tells.
fn events(body: &[u8], run: &str) -> Vec<usize> {
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
