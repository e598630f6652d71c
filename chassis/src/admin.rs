//! What an orchestrator asks a process: is it alive, is it ready, what does it count.

use std::collections::BTreeMap;
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
pub struct Readiness(Arc<Mutex<States>>);

/// Why a component is not ready; `None` when it is.
type States = BTreeMap<&'static str, Option<String>>;

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

    fn states(&self) -> MutexGuard<'_, States> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// The component works.
    pub fn ready(&self) {
        self.readiness.states().insert(self.name, None);
    }

    /// The component does not work. Anybody can read the reason, so it must not hold a secret.
    pub fn unready(&self, reason: impl Into<String>) {
        self.readiness.states().insert(self.name, Some(reason.into()));
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
    let components = readiness.states().clone();
    let is_ready = components.values().all(Option::is_none);
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let shown = |(name, reason): (&'static str, Option<String>)| (name, reason.unwrap_or_else(|| "ready".to_owned()));
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
