//! A push can be followed through the whole house, and a monitor gets its answers.

use dockbell_testkit::receiver::Receiver;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;

use crate::calls::{push, send};
use crate::process::Home;

const TRACE: u128 = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c;
const PARENT: u64 = 0xb7ad_6b71_6920_3331;

/// All spans that a collector got.
fn spans(collector: &Receiver) -> Vec<Span> {
    let exports = collector.requests().into_iter().filter(|request| request.path_and_query == "/v1/traces");
    let exports = exports.map(|request| ExportTraceServiceRequest::decode(request.body).unwrap());
    let scopes = exports.flat_map(|export| export.resource_spans).flat_map(|resource| resource.scope_spans);
    scopes.flat_map(|scope| scope.spans).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let names: Vec<_> = spans.iter().map(|span| &span.name).collect();
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "one span {name} among {names:?}");
    found[0]
}

#[tokio::test]
async fn a_push_can_be_followed_from_the_registry_to_the_receiver() {
    let (collector, receiver) = (Receiver::start().await, Receiver::start().await);
    let home = Home::new().with("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.url(""));
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    let event = push("e-1", "team/app", "1.0").to_string();
    let traced =
        dockbell.caller.report_request(event).header("traceparent", format!("00-{TRACE:032x}-{PARENT:016x}-01"));
    assert_eq!(send(traced).await.status, 202);
    receiver.wait_for(1).await;
    // What is not sent yet is sent at the end.
    dockbell.stop_well().await;

    let spans = spans(&collector);
    let [intake, window, batch, delivery, attempt] =
        ["intake", "window", "batch", "delivery", "attempt"].map(|name| named(&spans, name));
    assert_eq!(
        (&intake.trace_id[..], &intake.parent_span_id[..]),
        (&TRACE.to_be_bytes()[..], &PARENT.to_be_bytes()[..])
    );
    let links: Vec<_> = batch.links.iter().map(|link| (&link.trace_id, &link.span_id)).collect();
    assert_eq!(links, [(&intake.trace_id, &intake.span_id)], "the batch links to what it is made of");
    for (child, parent) in [(window, intake), (batch, window), (delivery, batch), (attempt, delivery)] {
        let found = (&child.trace_id, &child.parent_span_id);
        assert_eq!(found, (&intake.trace_id, &parent.span_id), "{} follows {}", child.name, parent.name);
    }
}

#[tokio::test]
async fn a_monitor_learns_that_dockbell_lives_is_ready_and_what_it_counts() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    caller.add_webhook(("team/app", "batch", &receiver.url("/"))).await;
    caller.report(&push("e-1", "team/app", "1.0")).await;
    receiver.wait_for(1).await;
    assert_eq!(caller.admin("/livez").await.status, 200);
    let ready = caller.admin("/readyz").await;
    assert_eq!((ready.status, ready.json()), (200, json!({ "components": { "embedded": "ready" }, "ready": true })));
    for (name, label) in [
        ("dockbell_intake_duration_seconds_count", "status=\"202\""),
        ("dockbell_events_total", "result=\"accepted\""),
        ("dockbell_windows_closed_total", "reason=\"quiet\""),
        ("dockbell_attempts_total", "outcome=\"accepted\""),
    ] {
        let counted = async || Some(caller.metric(name, &[label]).await).filter(|count| *count >= 1.0);
        dockbell_testkit::wait::until(name, counted).await;
    }
    dockbell.stop_well().await;
}
