//! What others ask of a running Dockbell: a registry, a person with the API, a monitor.

use std::net::SocketAddr;

use dockbell_chassis::crypto::http_client;
use dockbell_testkit::wait::{self, DEADLINE};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

/// Calls one Dockbell.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) intake: String,
    pub(crate) admin: String,
    pub(crate) admin_token: String,
    pub(crate) ingest_token: String,
    pub(crate) http: Client,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: String,
    pub(crate) body: String,
}

/// A webhook that was just made.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) id: String,
    pub(crate) secret: String,
}

impl Caller {
    pub(crate) fn new((intake, admin): (SocketAddr, SocketAddr), admin_token: String, ingest_token: String) -> Self {
        let http = http_client(|| Client::builder().no_proxy().timeout(DEADLINE)).unwrap();
        let (intake, admin) = (format!("http://{intake}"), format!("http://{admin}"));
        Self { intake, admin, admin_token, ingest_token, http }
    }

    /// The request by which the default source reports `body`.
    pub(crate) fn report_request(&self, body: impl Into<reqwest::Body>) -> RequestBuilder {
        let request = self.http.post(format!("{}/ingest/registry", self.intake));
        request.bearer_auth(&self.ingest_token).body(body)
    }

    /// Reports a body that must be taken; again, as registries do, while the intake cannot make it durable in time.
    pub(crate) async fn report(&self, body: &Value) {
        let taken = async || {
            let answer = send(self.report_request(body.to_string())).await;
            assert!(matches!(answer.status, 202 | 503), "{}", answer.body);
            (answer.status == 202).then_some(())
        };
        wait::until("the intake to take a report", taken).await;
    }

    /// Calls the API.
    pub(crate) async fn api(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.http.request(method, format!("{}/api/v1/{path}", self.intake));
        let request = request.bearer_auth(&self.admin_token);
        let json = |body: Value| {
            request.try_clone().unwrap().header("content-type", "application/json").body(body.to_string())
        };
        send(body.map_or_else(|| request.try_clone().unwrap(), json)).await
    }

    /// Reads what the API has at `path`.
    pub(crate) async fn read(&self, path: &str) -> Value {
        let answer = self.api(Method::GET, path, None).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Makes a webhook of `members`, named after its format.
    pub(crate) async fn add_webhook(&self, (repository, format, url): (&str, &str, &str)) -> Made {
        let members = json!({ "name": format, "repository": repository, "format": format, "url": url });
        let answer = self.api(Method::POST, "webhooks", Some(members)).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        let made = answer.json();
        let member = |name: &str| made[name].as_str().unwrap().to_owned();
        Made { id: member("id"), secret: member("secret") }
    }

    /// What is at `path` of the admin listener.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        send(self.http.get(format!("{}{path}", self.admin))).await
    }

    /// The sum of the samples of a metric that carry all of `labels`, such as `result="accepted"`.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let metrics = self.admin("/metrics").await;
        assert_eq!(metrics.status, 200);
        let sample = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            let (own_name, own_labels) = series.split_once('{').unwrap_or((series, ""));
            let fits = own_name == name && labels.iter().all(|label| own_labels.contains(label));
            fits.then(|| value.parse::<f64>().unwrap())
        };
        metrics.body.lines().filter_map(sample).sum()
    }
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

/// Sends a request that must be answered.
pub(crate) async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    Answer { status, content_type: content_type.unwrap_or_default(), body: response.text().await.unwrap() }
}

/// A push of `tag` in Dockbell's own format.
pub(crate) fn push(id: &str, repository: &str, tag: &str) -> Value {
    json!({
        "schema": "dockbell.event/1", "id": id, "registry": "hub.test", "repository": repository, "tag": tag,
        "digest": dockbell_testkit::sample::digest(1), "pusher": "alice",
    })
}
