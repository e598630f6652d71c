//! The deliverer's settings.

mod operations;
mod policy;
mod targets;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::bus::Queue;
use dockbell_chassis::config::Reader;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::callback::public_url::PublicUrl;
use dockbell_proto::policy::Policy;

use crate::operations::OperatorTarget;
use crate::pull::Share;
use crate::transport::Deadlines;
use crate::transport::names::PORT;
use crate::transport::proxy::Proxy;
use dockbell_chassis::crypto::Roots;

/// What the deliverer is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Which addresses may be reached.
    pub targets: Arc<AddressPolicy>,
    /// Where receivers reach the API; without it they are told of nowhere to report.
    pub public_url: Option<PublicUrl>,
    /// Whether a webhook may have its receiver believed whatever that shows.
    pub allows_skip_verify: bool,
    /// The name servers to ask; those of the system, if none.
    pub name_servers: Vec<SocketAddr>,
    /// Who may vouch for receivers, besides those whom the system trusts.
    pub roots: Roots,
    /// Through whom receivers are reached; directly, if none.
    pub proxy: Option<Arc<Proxy>>,
    /// How long an attempt may take.
    pub deadlines: Deadlines,
    /// The delivery policy of webhooks that have none of their own.
    pub policy: Policy,
    /// Where operator events are sent; nowhere, if none.
    pub operations: Option<OperatorTarget>,
    /// How much of the fresh batches is worked on at once.
    pub fresh: Share,
    /// How much of the waiting deliveries is worked on at once.
    pub waiting: Share,
}

impl Settings {
    /// Reads the settings. What is wrong is noted in `reader`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            targets: Arc::new(targets::read(reader)),
            allows_skip_verify: reader.flag("targets.allow_skip_verify", false),
            public_url: read_public_url(reader),
            name_servers: read_name_servers(reader),
            roots: read_roots(reader),
            proxy: targets::read_proxy(reader),
            deadlines: read_deadlines(reader),
            policy: policy::read(reader),
            operations: operations::read(reader),
            fresh: read_share(reader, Queue::Deliveries, ("delivery.attempts", 1024), ("delivery.prefetch", 2048)),
            waiting: read_share(
                reader,
                Queue::Redeliveries,
                ("delivery.retry_attempts", 256),
                ("delivery.retry_prefetch", 512),
            ),
        }
    }
}

fn read_public_url(reader: &mut Reader) -> Option<PublicUrl> {
    let url = PublicUrl::parse(&reader.text("public_url")?);
    url.map_err(|error| reader.reject("public_url", error.to_string())).ok()
}

fn read_name_servers(reader: &mut Reader) -> Vec<SocketAddr> {
    let expected = "an IP address with an optional port, such as 10.0.0.53, 127.0.0.1:5353 or [fd00::53]:53";
    let parse = |text: &str| {
        let address = || text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, PORT));
        text.parse::<SocketAddr>().ok().or_else(address).filter(|server| server.port() != 0)
    };
    reader.get_list("dns.servers", expected, parse).unwrap_or_default()
}

fn read_roots(reader: &mut Reader) -> Roots {
    let key = "targets.ca_file";
    let Some(path) = reader.text(key) else { return Roots::default() };
    let read = std::fs::read(&path).map_err(|error| format!("the file {path} cannot be read: {error}"));
    let roots = read.and_then(|pem| Roots::read(&pem).map_err(|error| format!("the file {path} {error}")));
    roots.unwrap_or_else(|problem| {
        reader.reject(key, problem);
        Roots::default()
    })
}

fn read_deadlines(reader: &mut Reader) -> Deadlines {
    let default = Deadlines::default();
    let total = reader.duration("delivery.timeout", default.total);
    let connect = reader.duration("delivery.connect_timeout", default.connect.min(total));
    // A message must be settled long before a broker takes its consumer for dead.
    if total.is_zero() || total > Duration::from_mins(1) {
        reader.reject("delivery.timeout", "must be more than 0s and at most 1m");
    }
    if connect.is_zero() || connect > total {
        reader.reject("delivery.connect_timeout", "must be more than 0s and at most delivery.timeout");
    }
    Deadlines { connect, total }
}

fn read_share(
    reader: &mut Reader,
    queue: Queue,
    (attempts_key, attempts): (&str, u16),
    (prefetch_key, prefetch): (&str, u16),
) -> Share {
    let attempts = reader.count(attempts_key, attempts, 1..=10_000);
    let prefetch = reader.count(prefetch_key, prefetch, 1..=u16::MAX);
    let positive = |number| NonZeroU16::new(number).unwrap_or(NonZeroU16::MIN);
    Share { queue, prefetch: positive(prefetch), attempts: positive(attempts) }
}
