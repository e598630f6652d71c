//! `dockbell listen`: a receiver for people who want to see what a webhook sends, and whether it verifies.

mod judge;

use std::convert::Infallible;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::output::BODY_LIMIT;
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::PublicKey;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::{present, webhooks};

/// The most connections at once; more wait until one ends.
const CONNECTIONS: usize = 64;
/// How long a client may take to send its headers.
const HEADER_LIMIT: Duration = Duration::from_secs(10);

/// What to listen for, and how to answer.
#[derive(Debug, clap::Args)]
pub(crate) struct Listen {
    /// The address to listen on; everybody who reaches it is answered
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    address: IpAddr,
    /// The port to listen on; 0 is any
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// A signing secret (whsec_...) that signatures may be made with; may be given several times
    #[arg(long = "secret", value_name = "SECRET", value_parser = webhooks::secret)]
    secrets: Vec<Secret>,
    /// A public key (whpk_...) that signatures of version v1a may fit; may be given several times
    #[arg(long = "public-key", value_name = "KEY", value_parser = PublicKey::parse)]
    public_keys: Vec<PublicKey>,
    /// The status to answer with
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = status)]
    answer: StatusCode,
}

/// What signatures are judged by.
#[derive(Debug)]
struct Known {
    secrets: Vec<SigningSecret>,
    public_keys: Vec<PublicKey>,
}

/// A status that an answer can end with.
fn status(text: &str) -> Result<StatusCode, &'static str> {
    let status = text.parse().ok().filter(|status: &StatusCode| !status.is_informational());
    status.ok_or("expected a status from 200 to 999")
}

/// A receiver that is bound, before it answers.
struct Receiver<W> {
    socket: TcpListener,
    answering: Arc<Answering<W>>,
}

struct Answering<W> {
    known: Known,
    answer: StatusCode,
    output: Mutex<W>,
}

impl Listen {
    /// Listens until the process is ended, or nobody reads the output any more.
    pub(crate) async fn run(self, output: impl Write + Send + 'static) -> io::Result<()> {
        let receiver = self.bind(output).await?;
        let address = receiver.socket.local_addr()?;
        receiver.answering.write(&format!("listening on http://{address}/; Ctrl-C ends it\n"))?;
        receiver.serve().await
    }

    async fn bind<W>(self, output: W) -> io::Result<Receiver<W>> {
        let parsed = self.secrets.iter().map(|secret| SigningSecret::parse(secret.expose()));
        let secrets =
            parsed.collect::<Result<_, _>>().map_err(|error| io::Error::new(ErrorKind::InvalidInput, error))?;
        let socket = TcpListener::bind(SocketAddr::new(self.address, self.port)).await?;
        let known = Known { secrets, public_keys: self.public_keys };
        let answering = Answering { known, answer: self.answer, output: Mutex::new(output) };
        Ok(Receiver { socket, answering: Arc::new(answering) })
    }
}

impl<W: Write + Send + 'static> Receiver<W> {
    async fn serve(self) -> io::Result<()> {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.socket.accept(), if connections.len() < CONNECTIONS => {
                    connections.spawn(converse(accepted?.0, Arc::clone(&self.answering)));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Serves one connection. When it breaks, its client opens another.
async fn converse<W: Write + Send + 'static>(stream: TcpStream, answering: Arc<Answering<W>>) {
    let service = service_fn(|request| received(request, Arc::clone(&answering)));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
    builder.serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn received<W: Write>(
    request: Request<Incoming>,
    answering: Arc<Answering<W>>,
) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let answer = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => {
            // Who cannot read the output ends the process; the answer does not depend on it.
            answering.write(&answering.shown(&head, &body.to_bytes())).ok();
            answering.answer
        }
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
    };
    let mut response = Response::new(Empty::new());
    *response.status_mut() = answer;
    Ok(response)
}

impl<W: Write> Answering<W> {
    fn write(&self, text: &str) -> io::Result<()> {
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(text.as_bytes())?;
        output.flush()
    }
}

impl<W> Answering<W> {
    /// A request, in full: what a person set up to be sent here is theirs to see.
    fn shown(&self, head: &http::request::Parts, body: &[u8]) -> String {
        let mut text = format!("\n{} {}\n", head.method, present::plain(&head.uri.to_string()));
        let mut line = |line: &str| writeln!(text, "{line}").unwrap_or_default();
        for (name, value) in &head.headers {
            line(&format!("{name}: {}", present::plain(&String::from_utf8_lossy(value.as_bytes()))));
        }
        line("");
        for of_body in pretty(body).lines() {
            line(&if of_body.is_empty() { String::new() } else { present::plain(of_body) });
        }
        line("");
        for (name, finding) in judge::judge(&self.known, &head.headers, body, SystemClock.now()) {
            line(&format!("{name}: {finding}"));
        }
        line(&format!("answered {}", self.answer));
        text
    }
}

/// JSON with a member on each line; anything else as it is.
fn pretty(body: &[u8]) -> String {
    let json = serde_json::from_slice::<Value>(body).ok().and_then(|value| serde_json::to_string_pretty(&value).ok());
    json.unwrap_or_else(|| String::from_utf8_lossy(body).into_owned())
}

#[cfg(test)]
mod tests;
