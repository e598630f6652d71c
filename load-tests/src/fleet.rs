//! A fleet of our processes on a private broker and store, as an operator runs it.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dockbell_backends::keyring::new_key;
use dockbell_chassis::crypto::http_client;
use dockbell_chassis::lifecycle::BoxError;
use dockbell_testkit::rabbitmq::Node;
use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::program::{Program, Start, until};

const ADMIN_TOKEN: &str = "the-admin-token";
pub(crate) const INGEST_TOKEN: &str = "the-ingest-token";
const CALL: Duration = Duration::from_secs(30);
/// A registry does not wait for longer.
const REPORT: Duration = Duration::from_secs(5);
const READY: Duration = Duration::from_mins(1);
const ANY_PORT: [&str; 2] = ["--admin-listen", "127.0.0.1:0"];
const ANY_PORTS: [&str; 4] = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];

/// What the processes of a fleet share.
#[derive(Debug, Clone)]
pub(crate) struct Fleet {
    environment: BTreeMap<String, String>,
    folder: PathBuf,
    /// How often a process of each name was started, so that logs do not overwrite each other.
    starts: Arc<Mutex<BTreeMap<String, usize>>>,
    http: Client,
}

impl Fleet {
    /// A fleet on these servers, whose logs go to `folder`. Empty URLs are as none.
    pub(crate) fn new(amqp_url: &str, redis_url: &str, folder: &Path) -> Result<Self, BoxError> {
        let path = folder.display().to_string();
        let keys = folder.join("keys");
        fs::write(&keys, new_key())?;
        let keys = keys.display().to_string();
        let environment = [
            ("DOCKBELL_ADMIN_TOKEN", ADMIN_TOKEN),
            ("DOCKBELL_AMQP_URL", amqp_url),
            ("DOCKBELL_INGEST_TOKEN", INGEST_TOKEN),
            // One generator is every registry there is, and every owner of a webhook.
            ("DOCKBELL_LIMITS_API_PER_ADDRESS", "0"),
            ("DOCKBELL_LIMITS_API_PER_TOKEN", "0"),
            ("DOCKBELL_LIMITS_INTAKE_PER_ADDRESS", "0"),
            ("DOCKBELL_LIMITS_INTAKE_PER_TOKEN", "0"),
            ("DOCKBELL_LOG_FORMAT", "json"),
            ("DOCKBELL_REDIS_URL", redis_url),
            ("DOCKBELL_SECRETS_KEY_FILE", &keys),
            ("DOCKBELL_TARGETS_ALLOW", "127.0.0.0/8"),
            ("TMPDIR", &path),
        ];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let http = http_client(|| Client::builder().no_proxy().timeout(CALL))?;
        Ok(Self { environment, folder: folder.to_owned(), starts: Arc::default(), http })
    }

    /// Sets variables for the processes that start from now on.
    pub(crate) fn set<'a>(&mut self, variables: impl IntoIterator<Item = (&'a str, &'a str)>) {
        self.environment.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    pub(crate) async fn producer(&self) -> Result<Program, BoxError> {
        self.start("dockbell-producer", &ANY_PORTS).await
    }

    pub(crate) async fn deliverer(&self) -> Result<Program, BoxError> {
        self.start("dockbell-deliverer", &ANY_PORT).await
    }

    pub(crate) async fn console(&self) -> Result<Program, BoxError> {
        self.start("dockbell", &[&["console"][..], &ANY_PORTS].concat()).await
    }

    /// Everything in one process, on a data folder.
    pub(crate) async fn up(&self) -> Result<Program, BoxError> {
        self.start("dockbell", &[&["up", "--data", "data"][..], &ANY_PORTS].concat()).await
    }

    async fn start(&self, program: &str, arguments: &[&str]) -> Result<Program, BoxError> {
        let number = {
            let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
            let number = starts.entry(program.to_owned()).or_default();
            *number += 1;
            *number
        };
        let name = format!("{program}-{number}");
        let (environment, folder) = (&self.environment, self.folder.as_path());
        Program::start(Start { program, arguments, environment, folder, name }).await
    }

    /// Waits until a process is ready. The error tells what it says of itself.
    pub(crate) async fn until_ready(&self, program: &Program) -> Result<(), BoxError> {
        let told = Mutex::new(String::new());
        let ready = || async {
            let answer = self.http.get(format!("http://{}/readyz", program.admin)).send().await.ok()?;
            let is_ready = answer.status().is_success();
            *told.lock().unwrap_or_else(PoisonError::into_inner) = answer.text().await.unwrap_or_default();
            is_ready.then_some(())
        };
        let waited = until(&format!("{} to be ready", program.name), READY, ready).await;
        waited.map_err(|error| {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            format!("{error}; it says of itself: {told} (--logs FOLDER keeps its log)").into()
        })
    }

    /// Calls the API of the console that listens there, and returns what it answers.
    pub(crate) async fn call(
        &self,
        console: SocketAddr,
        (method, path): (Method, &str),
        body: Option<Value>,
    ) -> Result<Value, BoxError> {
        let request = self.http.request(method, format!("http://{console}/api/v1/{path}")).bearer_auth(ADMIN_TOKEN);
        let request = match body {
            Some(body) => request.header("content-type", "application/json").body(body.to_string()),
            None => request,
        };
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            return Err(format!("the API answered {status} at {path}: {text}").into());
        }
        Ok(serde_json::from_str(&text).unwrap_or_default())
    }

    /// Makes a webhook, and returns its id and its secret.
    pub(crate) async fn add_webhook(
        &self,
        console: SocketAddr,
        (repository, format, url): (&str, &str, &str),
    ) -> Result<(String, String), BoxError> {
        let members = json!({ "name": repository, "repository": repository, "format": format, "url": url });
        let made = self.call(console, (Method::POST, "webhooks"), Some(members)).await?;
        let member = |name: &str| made.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok((member("id").ok_or("a webhook without an id")?, member("secret").ok_or("a webhook without a secret")?))
    }

    /// What a process tells its monitors at `path`.
    pub(crate) async fn admin(&self, program: &Program, path: &str) -> Result<String, BoxError> {
        Ok(self.http.get(format!("http://{}{path}", program.admin)).send().await?.text().await?)
    }

    /// Reports an event to a producer as a registry does, and says whether it was taken.
    pub(crate) async fn report(&self, intake: SocketAddr, event: &Value) -> Result<bool, BoxError> {
        let request = self.http.post(format!("http://{intake}/ingest/registry")).bearer_auth(INGEST_TOKEN);
        let answer = request.timeout(REPORT).body(event.to_string()).send().await?;
        match answer.status().as_u16() {
            202 => Ok(true),
            503 => Ok(false),
            status => Err(format!("a good event was answered with {status}").into()),
        }
    }
}

/// The URL of a virtual host of `node` for our processes.
pub(crate) fn amqp_url(node: &Node, host: &str) -> String {
    Node::url(node.port(), host)
}
