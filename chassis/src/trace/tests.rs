use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use tracing::subscriber::DefaultGuard;
use tracing::{debug_span, info_span, subscriber};
use tracing_subscriber::layer::SubscriberExt;

use super::*;
use crate::lifecycle::{Lifecycle, Signals};
use crate::telemetry::filter::of_traces;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const OTHER: &str = "00-1bf7651916cd43dd8448eb211c80319d-c7ad6b7169203332-01";

struct Traced {
    exporter: InMemorySpanExporter,
    _provider: SdkTracerProvider,
    _guard: DefaultGuard,
}

fn traced() -> Traced {
    traced_where(true)
}

fn traced_where(is_collected: bool) -> Traced {
    use tracing_subscriber::Layer;

    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer =
        tracing_opentelemetry::layer().with_tracer(provider.tracer("test")).with_filter(of_traces(is_collected));
    let guard = subscriber::set_default(tracing_subscriber::registry().with(layer));
    Traced { exporter, _provider: provider, _guard: guard }
}

impl Traced {
    fn span(&self, name: &str) -> SpanData {
        let spans = self.exporter.get_finished_spans().unwrap();
        spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name} in {spans:?}")).clone()
    }
}

#[test]
fn a_span_continues_the_trace_of_its_headers() {
    let traced = traced();
    let span = info_span!("receive");
    continue_from(&span, PARENT, "vendor=1");
    let (traceparent, tracestate) = span.in_scope(current_context);
    drop(span);
    assert!(traceparent.starts_with(&format!("00-{TRACE}-")) && traceparent.ends_with("-01"), "{traceparent}");
    assert_ne!(traceparent, PARENT);
    assert_eq!(tracestate, "vendor=1");

    let receive = traced.span("receive");
    assert_eq!(receive.span_context.trace_id().to_string(), TRACE);
    assert_eq!(receive.parent_span_id.to_string(), "b7ad6b7169203331");
    assert!(receive.parent_span_is_remote);
}

#[test]
fn a_span_at_debug_is_traced_where_somebody_collects_it_and_there_alone() {
    for is_collected in [true, false] {
        let traced = traced_where(is_collected);
        info_span!("receive").in_scope(|| {
            let leaf = debug_span!("leaf");
            assert_eq!(leaf.is_disabled(), !is_collected);
            continue_from(&leaf, PARENT, "");
        });
        let names: Vec<_> = traced.exporter.get_finished_spans().unwrap().into_iter().map(|span| span.name).collect();
        let expected: &[&str] = if is_collected { &["leaf", "receive"] } else { &["receive"] };
        assert_eq!(names, expected);
    }
}

#[test]
fn a_span_links_to_the_traces_it_serves() {
    let traced = traced();
    let span = info_span!("close");
    link(&span, PARENT, "");
    // Links may also come late.
    span.in_scope(|| link(&Span::current(), OTHER, ""));
    drop(span);
    let close = traced.span("close");
    let linked: Vec<String> = close.links.iter().map(|link| link.span_context.trace_id().to_string()).collect();
    assert_eq!(linked, [TRACE, "1bf7651916cd43dd8448eb211c80319d"]);
    assert_ne!(close.span_context.trace_id().to_string(), TRACE);
}

#[test]
fn headers_that_are_not_valid_change_nothing() {
    let traced = traced();
    let outer = info_span!("outer");
    outer.in_scope(|| {
        let span = info_span!("inner");
        for header in ["", "nonsense", "00-00000000000000000000000000000000-0000000000000000-01", "ff-é"] {
            continue_from(&span, header, "");
            link(&span, header, "");
        }
    });
    drop(outer);
    let (outer, inner) = (traced.span("outer"), traced.span("inner"));
    assert_eq!(inner.parent_span_id, outer.span_context.span_id());
    assert!(inner.links.is_empty());
}

#[test]
fn without_a_span_there_is_no_context() {
    assert_eq!(current_context(), (String::new(), String::new()));
    let _traced = traced();
    assert_eq!(current_context(), (String::new(), String::new()));
}

#[test]
fn a_span_that_is_not_traced_passes_on_the_one_around_it() {
    let _traced = traced_where(false);
    info_span!("outer").in_scope(|| {
        let outer = current_context();
        let inner = tracing::debug_span!("inner").in_scope(current_context);
        assert_eq!(inner, outer);
    });
}

#[tokio::test]
async fn spans_below_a_task_of_the_process_are_roots() {
    let traced = traced();
    let lifecycle = Lifecycle::new();
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("intake", async move {
        info_span!("receive").in_scope(|| {});
        shutdown.request();
        Ok(())
    });
    lifecycle.run(Signals::catch().unwrap(), Duration::from_secs(5)).await.unwrap();
    assert_eq!(traced.span("receive").parent_span_id.to_string(), "0000000000000000");
    assert_eq!(traced.exporter.get_finished_spans().unwrap().len(), 1);
}
