//! The demo's receiver: verifies what arrives and says it in a line.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, Signed, SigningSecret, TIMESTAMP_HEADER};
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::player::Plays;

/// A bound port that nobody serves yet.
pub(super) struct Receiver {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the receiver knows.
struct Knowledge {
    secrets: HashMap<String, SigningSecret>,
    plays: Plays,
}

impl Receiver {
    pub(super) async fn bind() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        Ok(Self { address: listener.local_addr()?, listener })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers 200 to everything until `shutdown`, and says what came. `secrets` are found by path.
    pub(super) async fn run(
        self,
        secrets: HashMap<String, SigningSecret>,
        plays: Plays,
        shutdown: Shutdown,
    ) -> Result<(), BoxError> {
        let knowledge = Arc::new(Knowledge { secrets, plays });
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                accepted = self.listener.accept() => {
                    let (stream, _) = accepted?;
                    connections.spawn(serve(stream, Arc::clone(&knowledge)));
                }
                Some(_) = connections.join_next() => {}
            }
        }
    }
}

/// Serves one connection. When it breaks, the deliverer opens another.
async fn serve(stream: TcpStream, knowledge: Arc<Knowledge>) {
    let service = service_fn(|request| received(request, Arc::clone(&knowledge)));
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

async fn received(request: Request<Incoming>, knowledge: Arc<Knowledge>) -> Result<Response<Empty<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    // The deliverer is ours and sends bounded bodies.
    if let Ok(body) = body.collect().await {
        knowledge.tell(head.uri.path(), &head.headers, &body.to_bytes());
    }
    Ok(Response::new(Empty::new()))
}

impl Knowledge {
    fn tell(&self, path: &str, headers: &HeaderMap, body: &[u8]) {
        let payload: Value = serde_json::from_slice(body).unwrap_or_default();
        let format = path.trim_start_matches('/');
        let tag = tag(headers, &payload);
        let took =
            self.plays.since(&tag).map_or_else(String::new, |took| format!("  {} ms after the push", took.as_millis()));
        let signature = if self.verifies(path, headers, body) { "signature verified" } else { "SIGNATURE WRONG" };
        super::say(&format!(
            "  received {format:<12} demo/app:{tag:<6} {:<28} {signature}{took}",
            summary(format, &payload)
        ));
    }

    fn verifies(&self, path: &str, headers: &HeaderMap, body: &[u8]) -> bool {
        let header = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, timestamp, signature) = (header(ID_HEADER), header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER));
        let signed = Signed { id, timestamp, signature, body };
        self.secrets.get(path).is_some_and(|secret| secret.verify(&signed, SystemClock.now()).is_ok())
    }
}

/// Where the formats have their tag, but for the one that has it in a header.
const TAGS: [&str; 9] = [
    "/push_data/tag",
    "/changes/0/tag",
    "/event_data/resources/0/tag",
    "/updated_tags/0",
    "/tag",
    "/data/tag",
    "/events/0/target/tag",
    "/target/tag",
    "/attachments/0/content/body/1/inlines/0/text",
];
/// Where messages name it between backticks.
const LISTS: [&str; 2] = ["/blocks/1/text/text", "/embeds/0/description"];

/// The tag that a payload of any of the formats is about.
fn tag(headers: &HeaderMap, payload: &Value) -> String {
    let in_header = headers.get("x-alin-webhook").and_then(|value| value.to_str().ok()?.rsplit(':').next());
    let in_body = || TAGS.iter().find_map(|pointer| payload.pointer(pointer)?.as_str());
    let in_list = || LISTS.iter().find_map(|pointer| payload.pointer(pointer)?.as_str()?.split('`').nth(1));
    in_header.or_else(in_body).or_else(in_list).unwrap_or_default().to_owned()
}

/// A few words on what the payload says.
fn summary(format: &str, payload: &Value) -> String {
    let count = |pointer| payload.pointer(pointer).and_then(Value::as_array).map_or(0, Vec::len);
    match format {
        "dockerhub" => format!("{} images", count("/push_data/images")),
        "alin" => format!("{} layers, {} bytes", count("/layers"), payload.get("image_size").unwrap_or(&Value::Null)),
        "harbor" => format!("{} resource", count("/event_data/resources")),
        "quay" => format!("{} updated tag", count("/updated_tags")),
        "keel" => "a name and a tag".to_owned(),
        "cloudevents" | "distribution" | "acr" => "an event".to_owned(),
        "slack" | "discord" | "teams" => "a message".to_owned(),
        _ => format!("{} change, {} platforms", count("/changes"), count("/changes/0/children")),
    }
}
