//! Measures how many attempts the deliverer's way out makes per second, beside a client of a well-known library.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use clap::Args;
use dockbell_chassis::crypto::Roots;
use dockbell_chassis::crypto::http_client;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_deliverer::transport::names::Names;
use dockbell_deliverer::transport::{Deadlines, Outside, Post, Transport};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::SystemClock;
use dockbell_proto::outcome::Outcome;
use dockbell_proto::target::TargetUrl;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ratio::median;
use crate::report::say;
use crate::sink::Sink;

/// As long as a small batch.
const BODY: [u8; 1200] = [b' '; 1200];
/// The least that our way out may make of what the other client makes.
const LEAST: f64 = 0.95;

/// How to measure.
#[derive(Debug, Clone, Args)]
pub(crate) struct TransportCost {
    /// Attempts under way at once
    #[arg(long, default_value_t = 128)]
    at_once: usize,
    /// Hosts that they go to
    #[arg(long, default_value_t = 64)]
    hosts: usize,
    /// Seconds of each run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Pairs of runs
    #[arg(long, default_value_t = 5)]
    pairs: usize,
}

impl TransportCost {
    /// Measures, prints, and says whether ours keeps up.
    pub(crate) async fn run(&self) -> Result<bool, BoxError> {
        let sink = Sink::start()?;
        let policy = Arc::new(AddressPolicy::permitting_all());
        let parse = |host| TargetUrl::parse(&sink.url(host), &policy).map_err(BoxError::from);
        let urls = Arc::new((0..self.hosts).map(parse).collect::<Result<Vec<_>, _>>()?);
        let outside = Outside { names: Arc::new(Names::new(Vec::new())), roots: Roots::default(), proxy: None };
        let ours = Arc::new(Transport::new(&outside, &policy, Deadlines::default(), Arc::new(SystemClock))?);
        let theirs = http_client(|| reqwest::Client::builder().no_proxy().http1_only().tcp_nodelay(true))?;
        let mut ratios = Vec::new();
        for _ in 0..self.pairs {
            let of_theirs = self.rate(&urls, &theirs, by_reqwest).await?;
            let of_ours = self.rate(&urls, &ours, by_transport).await?;
            say(&format!("  ours {of_ours:.0}/s, reqwest {of_theirs:.0}/s: × {:.2}", of_ours / of_theirs));
            ratios.push(of_ours / of_theirs);
        }
        let ratio = median(ratios.into_iter()).unwrap_or_default();
        say(&format!("median × {ratio:.2}, at least {LEAST} is promised"));
        Ok(ratio >= LEAST)
    }

    /// How many attempts per second are accepted. Each worker posts to the hosts in turn, one after the other.
    async fn rate<C: Clone + Send + 'static, F: Future<Output = bool> + Send + 'static>(
        &self,
        urls: &Arc<Vec<TargetUrl>>,
        client: &C,
        post: fn(C, TargetUrl) -> F,
    ) -> Result<f64, BoxError> {
        let (began, length) = (Instant::now(), Duration::from_secs(self.seconds));
        let mut workers = JoinSet::new();
        for worker in 0..self.at_once {
            let (urls, client) = (Arc::clone(urls), client.clone());
            workers.spawn(async move {
                let mut accepted = 0_u32;
                for url in urls.iter().cycle().skip(worker % urls.len().max(1)) {
                    if began.elapsed() >= length {
                        break;
                    }
                    accepted += u32::from(post(client.clone(), url.clone()).await);
                }
                accepted
            });
        }
        let mut accepted = 0;
        while let Some(worker) = workers.join_next().await {
            accepted += worker?;
        }
        Ok(f64::from(accepted) / began.elapsed().as_secs_f64())
    }
}

/// How many POSTs per second the receivers answer to the leanest client there is.
pub(crate) async fn sink_alone(sink: &Sink) -> Result<f64, BoxError> {
    const AT_ONCE: usize = 64;
    const LENGTH: Duration = Duration::from_secs(3);
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    sink.tell(Vec::new());
    let (began, mut workers) = (Instant::now(), JoinSet::new());
    for worker in 0..AT_ONCE {
        let (client, url) = (client.clone(), sink.url(worker).parse::<Uri>()?);
        workers.spawn(async move {
            let mut answered = 0_u32;
            while began.elapsed() < LENGTH {
                let request = Request::post(url.clone()).body(Full::from(Bytes::from_static(&BODY)))?;
                client.request(request).await?.into_body().collect().await?;
                answered += 1;
            }
            Ok::<_, BoxError>(answered)
        });
    }
    let mut answered = 0;
    while let Some(worker) = workers.join_next().await {
        answered += worker??;
    }
    Ok(f64::from(answered) / began.elapsed().as_secs_f64())
}

async fn by_transport(transport: Arc<Transport>, url: TargetUrl) -> bool {
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let post = Post { url, headers, body: Bytes::from_static(&BODY) };
    matches!(transport.post(post).await.outcome, Outcome::Accepted { .. })
}

async fn by_reqwest(client: reqwest::Client, url: TargetUrl) -> bool {
    let request = client.post(url.expose().clone()).header(CONTENT_TYPE, "application/json");
    let Ok(response) = request.body(Bytes::from_static(&BODY)).timeout(Deadlines::default().total).send().await else {
        return false;
    };
    response.status().is_success() && response.bytes().await.is_ok()
}
