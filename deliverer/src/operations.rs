//! Operator events on their way out: to whoever listens on the bus, and to the operator's own URL.
//!
//! Both ways are independent of each other, and of what tells: a broker that is away keeps nothing from the URL, a
//! URL that hangs keeps nothing from the broker, and neither delays a delivery.

mod waiting;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Bus;
use dockbell_backends::bus::PublishError;
use dockbell_backends::repeat::until_done;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::Clock;
use dockbell_proto::operations::OperatorEvent;
use dockbell_proto::outcome::Outcome;
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, SigningSecret, TIMESTAMP_HEADER};
use dockbell_proto::target::TargetUrl;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::judge::describe;
use crate::transport::{Deadlines, Outside, Post, Transport, TransportError};
use waiting::Waiting;

/// The pauses before an event is sent again. They are short, because an event that comes late says little.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(2)];
/// How long what still waits at the end is told.
const LAST_WAIT: Duration = Duration::from_secs(2);

/// Where operator events are sent, and what they are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperatorTarget {
    /// The operator's URL. It is as trusted as the rest of the configuration, so that it may be at any address.
    pub url: TargetUrl,
    /// What each POST is signed with, after Standard Webhooks.
    pub secret: SigningSecret,
}

/// Tells operators what became of webhooks and of the fleet. Clones share one queue.
#[derive(Debug, Clone)]
pub struct Operations {
    shared: Arc<Shared>,
    /// Present for as long as somebody may tell.
    _present: mpsc::Sender<Infallible>,
}

/// What carries the events that were told; see [`Telling::run`].
#[derive(Debug)]
pub struct Telling {
    shared: Arc<Shared>,
    tellers: mpsc::Receiver<Infallible>,
}

#[derive(Debug)]
struct Shared {
    bus: Arc<dyn Bus>,
    posting: Option<Posting>,
    for_bus: Waiting,
    for_url: Waiting,
    told: Counter<u64>,
    lost: Counter<u64>,
}

#[derive(Debug)]
struct Posting {
    target: OperatorTarget,
    transport: Transport,
    clock: Arc<dyn Clock>,
}

impl Operations {
    /// Operations that are announced on `bus`, and sent to `target` if there is one.
    pub fn new(
        bus: Arc<dyn Bus>,
        clock: &Arc<dyn Clock>,
        (target, outside): (Option<OperatorTarget>, &Outside),
        meter: &Meter,
    ) -> Result<(Self, Telling), TransportError> {
        let posting = target.map(|target| Posting::new(target, outside, Arc::clone(clock))).transpose()?;
        let told = meter.u64_counter("dockbell.operator_events").with_description("Operator events, by kind").build();
        let lost = meter
            .u64_counter("dockbell.operator_events.lost")
            .with_description("Operator events that were not told, by the way they should have gone")
            .build();
        let (for_bus, for_url) = (Waiting::default(), Waiting::default());
        let shared = Arc::new(Shared { bus, posting, for_bus, for_url, told, lost });
        let (present, tellers) = mpsc::channel(1);
        Ok((Self { shared: Arc::clone(&shared), _present: present }, Telling { shared, tellers }))
    }

    /// Lets an event be told, and never waits. While nobody can be told, the latest thousand are kept; the oldest of
    /// them go first, and are counted.
    pub fn tell(&self, event: OperatorEvent) {
        self.shared.told.add(1, &[KeyValue::new("kind", event.kind.as_str())]);
        let event = Arc::new(event);
        if self.shared.posting.is_some() && self.shared.for_url.push(Arc::clone(&event)) {
            self.shared.lose("url", 1);
        }
        if self.shared.for_bus.push(event) {
            self.shared.lose("bus", 1);
        }
    }
}

impl Telling {
    /// Tells what there is to tell until shutdown is requested and every [`Operations`] is dropped; what waits then
    /// is told for two seconds more.
    pub async fn run(mut self, shutdown: Shutdown) -> Result<(), BoxError> {
        let shared = Arc::clone(&self.shared);
        let mut telling = std::pin::pin!(shared.tell_all());
        let over = async {
            shutdown.requested().await;
            while self.tellers.recv().await.is_some() {}
        };
        tokio::select! {
            () = &mut telling => {}
            () = over => {}
        }
        shared.for_bus.close();
        shared.for_url.close();
        if timeout(LAST_WAIT, telling).await.is_err() {
            let (on_bus, to_url) = (shared.for_bus.len(), shared.for_url.len());
            tracing::warn!(bus = on_bus, url = to_url, "operator events were not told before the end");
            shared.lose("bus", on_bus);
            shared.lose("url", to_url);
        }
        Ok(())
    }
}

impl Shared {
    /// Ends only once both queues are closed and empty.
    async fn tell_all(&self) {
        tokio::join!(self.announce_all(), self.post_all());
    }

    async fn announce_all(&self) {
        let failed = |error: &PublishError, pause: Duration| {
            let after_ms = pause.as_millis();
            tracing::warn!(%error, retry.after_ms = after_ms, "an operator event cannot be announced; it waits");
        };
        while let Some(event) = self.for_bus.first().await {
            until_done(|| self.bus.announce(&event), failed).await;
            self.for_bus.done(&event);
        }
    }

    async fn post_all(&self) {
        while let Some(event) = self.for_url.first().await {
            if let Some(posting) = &self.posting
                && let Err(outcome) = posting.post(&event).await
            {
                let (outcome, kind) = (describe(&outcome), event.kind.as_str());
                tracing::warn!(kind, outcome, "the operator's URL did not take an event; it is given up");
                self.lose("url", 1);
            }
            self.for_url.done(&event);
        }
    }

    fn lose(&self, way: &'static str, count: usize) {
        self.lost.add(u64::try_from(count).unwrap_or(u64::MAX), &[KeyValue::new("way", way)]);
    }
}

impl Posting {
    fn new(target: OperatorTarget, outside: &Outside, clock: Arc<dyn Clock>) -> Result<Self, TransportError> {
        let anywhere = Arc::new(AddressPolicy::permitting_all());
        let transport = Transport::new(outside, &anywhere, Deadlines::default(), Arc::clone(&clock))?;
        Ok(Self { target, transport, clock })
    }

    /// POSTs an event until it is accepted; the error is the last outcome.
    async fn post(&self, event: &OperatorEvent) -> Result<(), Outcome> {
        let body = event.encode();
        let mut pauses = PAUSES.into_iter();
        loop {
            let headers = self.headers(event, self.clock.now(), &body);
            let post = Post { url: self.target.url.clone(), headers, body: body.clone().into() };
            let outcome = self.transport.post(post).await.outcome;
            if matches!(outcome, Outcome::Accepted { .. }) {
                return Ok(());
            }
            sleep(pauses.next().ok_or(outcome)?).await;
        }
    }

    fn headers(&self, event: &OperatorEvent, now: Timestamp, body: &[u8]) -> HeaderMap {
        let values = [
            (HeaderName::from_static(ID_HEADER), event.id.clone()),
            (HeaderName::from_static(TIMESTAMP_HEADER), now.as_second().to_string()),
            (HeaderName::from_static(SIGNATURE_HEADER), self.target.secret.sign(&event.id, now, body)),
            (CONTENT_TYPE, "application/json".to_owned()),
        ];
        // An id, a number and base64 are visible ASCII.
        values.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::try_from(value).ok()?))).collect()
    }
}

#[cfg(test)]
mod tests;
