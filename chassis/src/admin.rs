//! What an orchestrator asks a process: is it alive, is it ready, what does it count.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;

/// The content type of the Prometheus text format.
///
/// Source: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What must work before the process can do its work; clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<Mutex<Conditions>>);

type Conditions = BTreeMap<&'static str, Condition>;

/// A component, with what is told about it.
#[derive(Debug, Clone)]
enum Condition {
    Ready(String),
    Unready(String),
}

impl Condition {
    fn is_ready(&self) -> bool {
        matches!(self, Self::Ready(_))
    }
}

/// One thing that is ready or not.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Without components a process is ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component, which is not ready until it says so.
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component { name, readiness: self.clone() };
        component.unready("starting");
        component
    }

    fn conditions(&self) -> MutexGuard<'_, Conditions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// The component works.
    pub fn ready(&self) {
        self.readiness.conditions().insert(self.name, Condition::Ready("ready".to_owned()));
    }

    /// The component works, and an operator should know something about it all the same. Anybody can read it.
    pub fn ready_but(&self, note: impl Display) {
        self.readiness.conditions().insert(self.name, Condition::Ready(format!("ready, but {note}")));
    }

    /// The component does not work. Anybody can read the reason, so it must not hold a secret.
    pub fn unready(&self, reason: impl Into<String>) {
        self.readiness.conditions().insert(self.name, Condition::Unready(reason.into()));
    }
}

/// The routes `/livez`, `/readyz` and `/metrics`. They need no login, so they belong on a listener of
/// their own.
pub fn router(readiness: Readiness, metrics: impl Fn() -> String + Clone + Send + Sync + 'static) -> Router {
    let metrics = move || async move { ([(header::CONTENT_TYPE, METRICS_TYPE)], metrics()) };
    Router::new()
        // A process that can answer is alive: restarting it would not bring back a broker that is away.
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(show_readiness))
        .route("/metrics", get(metrics))
        .with_state(readiness)
}

async fn show_readiness(State(readiness): State<Readiness>) -> Response {
    let components = readiness.conditions().clone();
    let is_ready = components.values().all(Condition::is_ready);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown = |(name, condition): (&'static str, Condition)| match condition {
        Condition::Ready(told) | Condition::Unready(told) => (name, told),
    };
    let components: BTreeMap<_, _> = components.into_iter().map(shown).collect();
    (status, Json(json!({ "ready": is_ready, "components": components }))).into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use tower::ServiceExt;

    use super::*;

    async fn ask(router: &Router, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = router.clone().oneshot(request).await.unwrap();
        let kind = answer.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        (status, kind.unwrap_or_default(), String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_process_is_ready_when_all_its_components_are() {
        let readiness = Readiness::new();
        let router = router(readiness.clone(), String::new);
        assert_eq!(ask(&router, "/readyz").await.0, 200);

        let (bus, store) = (readiness.component("bus"), readiness.component("store"));
        bus.ready();
        let (status, _, body) = ask(&router, "/readyz").await;
        assert_eq!((status, &*body), (503, r#"{"components":{"bus":"ready","store":"starting"},"ready":false}"#));

        store.ready();
        let (status, kind, body) = ask(&router, "/readyz").await;
        assert_eq!((status, &*body), (200, r#"{"components":{"bus":"ready","store":"ready"},"ready":true}"#));
        assert_eq!(kind, "application/json");

        store.ready_but("it forgets");
        let (status, _, body) = ask(&router, "/readyz").await;
        assert_eq!(
            (status, &*body),
            (200, r#"{"components":{"bus":"ready","store":"ready, but it forgets"},"ready":true}"#)
        );

        bus.unready("connection lost");
        assert_eq!(ask(&router, "/readyz").await.0, 503);
        assert_eq!(ask(&router, "/livez").await.0, 200);
    }

    #[tokio::test]
    async fn metrics_are_read_when_they_are_asked_for() {
        let router = router(Readiness::new(), || "dockbell_up 1\n".to_owned());
        let (status, kind, body) = ask(&router, "/metrics").await;
        assert_eq!((status, &*body), (200, "dockbell_up 1\n"));
        assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    }
}
