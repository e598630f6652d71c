//! `sink`: a receiver of webhooks for a Dockbell that runs elsewhere, which counts and measures.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clap::Args;
use dockbell_chassis::config::process_environment;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_proto::clock::{Clock as _, SystemClock};
use dockbell_proto::signature::{ID_HEADER, SIGNATURE_HEADER, Signed, SigningSecret, TIMESTAMP_HEADER};
use hdrhistogram::Histogram;
use tokio::time::{Instant, interval, sleep_until};

use super::{Behaviour, Observe, Post, Sink};
use crate::arrivals::{histogram, micros};
use crate::interrupt::interrupted;
use crate::report::say;
use crate::stamp;
use crate::troubles::Trouble;

/// Where the secret of the webhooks stands: a command line can be read by everybody on the machine.
const SECRET: &str = "DOCKBELL_WEBHOOK_SECRET";
const TOLD_EVERY: Duration = Duration::from_secs(1);
/// Ids that are remembered, to know again what comes twice.
const MOST_IDS: usize = 2_000_000;

/// Where to listen, and what to do with requests.
#[derive(Debug, Clone, Args)]
pub(crate) struct SinkCommand {
    /// Where to listen; every path is taken
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9000")]
    listen: SocketAddr,
    /// Ends after so many seconds [default: with Ctrl-C]
    #[arg(long)]
    seconds: Option<u64>,
    /// The share of requests that is late, hangs or is refused
    #[arg(long, default_value_t = 1.0)]
    share: f64,
    /// From which second on
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Until which second [default: the end]
    #[arg(long)]
    to: Option<u64>,
    /// Accepts them, so many milliseconds later
    #[arg(long, conflicts_with_all = ["hang", "refuse"])]
    late_ms: Option<u64>,
    /// Answers them when nobody waits any more
    #[arg(long, conflicts_with = "refuse")]
    hang: bool,
    /// Answers them with this status
    #[arg(long, value_name = "STATUS")]
    refuse: Option<u16>,
}

/// What has come.
#[derive(Debug)]
struct Counter {
    secret: Option<SigningSecret>,
    counts: Mutex<Counts>,
}

#[derive(Debug)]
struct Counts {
    requests: usize,
    accepted: usize,
    unsigned: usize,
    /// Deliveries that were accepted again.
    repeated: usize,
    ids: HashSet<String>,
    /// Of pushes that tell when they were due.
    all: Histogram<u64>,
    recent: Histogram<u64>,
}

impl SinkCommand {
    /// Listens, prints, and says whether every signature was right.
    pub(crate) async fn run(self) -> Result<bool, BoxError> {
        let trouble = self.trouble()?;
        let secret = process_environment().remove(SECRET).filter(|secret| !secret.is_empty());
        let secret = secret.map(|secret| SigningSecret::parse(&secret)).transpose();
        let secret = secret.map_err(|error| format!("the variable {SECRET} is wrong: {error}"))?;
        let listening = Sink::listen(&[self.listen]);
        let sink = listening.map_err(|error| format!("cannot listen on {}: {error}", self.listen))?;
        let verifies = if secret.is_some() { "verifies signatures" } else { "verifies no signatures" };
        say(&format!("listening on http://{}/, {verifies} ({SECRET}); Ctrl-C ends it", self.listen));
        let counter = Arc::new(Counter::new(secret));
        sink.tell(vec![Arc::<Counter>::clone(&counter)]);
        let start = Instant::now();
        tokio::select! {
            () = ail(&sink, trouble, start) => {}
            () = tell(&counter, start) => {}
            _ = interrupted() => {}
            () = end(self.seconds, start) => {}
        }
        counter.sum_up()
    }

    /// What ails requests, if anything does.
    fn trouble(&self) -> Result<Option<Trouble>, String> {
        let Self { share, from, late_ms, hang, refuse, .. } = *self;
        if late_ms.is_none() && !hang && refuse.is_none() {
            return Ok(None);
        }
        let trouble = Trouble { share, from, to: self.to.unwrap_or(u64::MAX), late_ms, hang, refuse };
        trouble.check(self.seconds.unwrap_or(u64::MAX))?;
        Ok(Some(trouble))
    }
}

/// Lets requests ail as told, and never returns.
async fn ail(sink: &Sink, trouble: Option<Trouble>, start: Instant) {
    if let Some(trouble) = trouble {
        end(Some(trouble.from), start).await;
        sink.behave_often(trouble.share, trouble.behaviour());
        end(Some(trouble.to), start).await;
        sink.behave_often(0.0, Behaviour::Accept);
    }
    std::future::pending::<()>().await;
}

/// Returns at a second; never, if there is none.
async fn end(second: Option<u64>, start: Instant) {
    match second.and_then(|second| start.checked_add(Duration::from_secs(second))) {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// Tells what came, every second, without an end.
async fn tell(counter: &Counter, start: Instant) {
    let (mut ticks, mut before) = (interval(TOLD_EVERY), 0);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let line = {
            let mut counts = counter.counts();
            let came = counts.requests - before;
            before = counts.requests;
            let line = format!("{:>5} s: {came} requests{}", start.elapsed().as_secs(), latency(&counts.recent));
            counts.recent.reset();
            line
        };
        say(&line);
    }
}

/// A histogram in words; nothing of none.
fn latency(latencies: &Histogram<u64>) -> String {
    if latencies.is_empty() {
        return String::new();
    }
    let at = |quantile| Duration::from_micros(latencies.value_at_quantile(quantile)).as_secs_f64() * 1e3;
    let [median, p90, p99, p999, longest] = [0.5, 0.9, 0.99, 0.999, 1.0].map(at);
    format!(", latency median {median:.1} ms, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, longest {longest:.1}")
}

impl Counter {
    fn new(secret: Option<SigningSecret>) -> Self {
        let (all, recent, ids) = (histogram(), histogram(), HashSet::new());
        let counts = Counts { requests: 0, accepted: 0, unsigned: 0, repeated: 0, ids, all, recent };
        Self { secret, counts: Mutex::new(counts) }
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the sum of all, and says whether every signature was right.
    fn sum_up(&self) -> Result<bool, BoxError> {
        let counts = self.counts();
        let Counts { requests, accepted, unsigned, repeated, .. } = *counts;
        say(&format!(
            "{requests} requests, {accepted} accepted, {repeated} of them again, {unsigned} with a wrong signature{}",
            latency(&counts.all)
        ));
        if counts.ids.len() >= MOST_IDS {
            say(&format!("only the first {MOST_IDS} were known again"));
        }
        if requests == 0 {
            return Err("nothing came".into());
        }
        Ok(unsigned == 0)
    }
}

impl Observe for Counter {
    fn note(&self, post: &Post<'_>) {
        let header = |name: &str| post.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (id, now) = (header(ID_HEADER), SystemClock.now());
        let (timestamp, signature) = (header(TIMESTAMP_HEADER), header(SIGNATURE_HEADER));
        let signed = Signed { id, timestamp, signature, body: post.body };
        let is_wrong = self.secret.as_ref().is_some_and(|secret| secret.verify(&signed, now).is_err());
        let stamps = stamp::find(&stamp::text_of(post), None);
        let mut counts = self.counts();
        counts.requests += 1;
        counts.unsigned += usize::from(is_wrong);
        if !post.is_accepted {
            return;
        }
        counts.accepted += 1;
        if !id.is_empty() && counts.ids.len() < MOST_IDS && !counts.ids.insert(id.to_owned()) {
            counts.repeated += 1;
        }
        for stamp in stamps {
            let late = Duration::try_from(now.duration_since(stamp.due)).unwrap_or_default();
            counts.all.saturating_record(micros(late));
            counts.recent.saturating_record(micros(late));
        }
    }
}

#[cfg(test)]
mod tests {
    use dockbell_testkit::sample;
    use http::HeaderMap;

    use super::*;

    fn post(counter: &Counter, secret: &SigningSecret, body: &[u8]) {
        let now = SystemClock.now();
        let mut headers = HeaderMap::new();
        let mut insert = |name: &'static str, value: String| headers.insert(name, value.parse().unwrap());
        insert(ID_HEADER, "msg_1".to_owned());
        insert(TIMESTAMP_HEADER, now.as_second().to_string());
        insert(SIGNATURE_HEADER, secret.sign("msg_1", now, body));
        counter.note(&Post { webhook: 0, headers: &headers, body, is_accepted: true, at: Instant::now() });
    }

    #[test]
    fn it_counts_what_comes_again_and_what_is_signed_with_another_secret() {
        let (mine, other) = (SigningSecret::from_random([1; 32]), SigningSecret::from_random([2; 32]));
        let counter = Counter::new(Some(mine.clone()));
        post(&counter, &mine, b"a");
        assert!(counter.sum_up().unwrap());
        post(&counter, &other, b"a");
        assert!(!counter.sum_up().unwrap());
        let counts = counter.counts();
        assert_eq!((counts.requests, counts.repeated, counts.unsigned), (2, 1, 1));
    }

    #[test]
    fn latency_counts_from_the_time_that_a_push_carries() {
        let (secret, counter) = (SigningSecret::from_random([1; 32]), Counter::new(None));
        let stamp = |due| stamp::Written(stamp::Stamp { event: 1, due }, "r1").to_string();
        post(&counter, &secret, stamp(SystemClock.now() - Duration::from_secs(2)).as_bytes());
        assert!(counter.counts().all.max().abs_diff(2_000_000) < 500_000, "{}", counter.counts().all.max());
        post(&counter, &secret, stamp(sample::moment()).as_bytes());
        assert_eq!(counter.counts().all.len(), 2);
    }
}
