//! Dockbell's own event as its own intake writes it, read without a tree of values in between.
//!
//! Most of what is on the bus is such an event. It is read at once only where nothing about it is unusual: every
//! member is known, has its right type and stands there once. Anything else, such as an escaped character, is left
//! to [`super::native`], which says what is wrong with it, so that both read the same.

use serde::Deserialize;

use super::Entry;
use super::field::short;
use super::native::optional;
use super::report::{Action, Kind, Report};
use crate::event::{EVENT_SCHEMA, Reference};
use crate::ids::{EventId, SourceName};
use crate::names::{Digest, Registry, Repository, Tag};
use crate::trace::TraceContext;

/// The members of an event, as far as they are texts that stand in the body as they are.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canonical<'a> {
    schema: &'a str,
    id: Option<&'a str>,
    source: Option<&'a str>,
    registry: Option<&'a str>,
    repository: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
    media_type: Option<&'a str>,
    size: Option<u64>,
    pusher: Option<&'a str>,
    time: Option<&'a str>,
    received_at: Option<&'a str>,
    #[serde(borrow)]
    references: Option<Vec<Descriptor<'a>>>,
    truncated: Option<bool>,
    #[serde(borrow)]
    trace: Option<Trace<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Descriptor<'a> {
    digest: Option<&'a str>,
    media_type: Option<&'a str>,
    size: Option<u64>,
    platform: Option<&'a str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Trace<'a> {
    traceparent: Option<&'a str>,
    tracestate: Option<&'a str>,
}

/// The entry of such a body; none if it is of another kind, or unusual.
pub(super) fn decode(body: &[u8]) -> Option<Entry> {
    serde_json::from_slice::<Canonical<'_>>(body).ok().filter(|event| event.schema == EVENT_SCHEMA).map(report)
}

fn report(event: Canonical<'_>) -> Entry {
    if event.repository.is_empty() {
        return Err("`repository` is missing");
    }
    let (traceparent, tracestate) = event.trace.map_or((None, None), |trace| (trace.traceparent, trace.tracestate));
    Ok(Report {
        action: Action::Push,
        kind: Kind::Manifest,
        id: event.id.and_then(|id| EventId::parse(id).ok()),
        time: optional(event.time, |text| text.parse().ok(), "`time` is not an RFC 3339 time")?,
        registry: optional(event.registry, |text| Registry::parse(text).ok(), "`registry` is not a host")?,
        repository: Some(Repository::parse(event.repository).map_err(|_| "`repository` is not a repository name")?),
        tag: optional(event.tag, |text| Tag::parse(text).ok(), "`tag` is not a tag")?,
        digest: optional(event.digest, |text| Digest::parse(text).ok(), "`digest` is not a digest")?,
        media_type: short_text(event.media_type),
        size: event.size,
        pusher: short_text(event.pusher),
        references: event.references.iter().flatten().filter_map(reference).collect(),
        truncated: event.truncated.unwrap_or_default(),
        metadata: None,
        received_at: event.received_at.and_then(|text| text.parse().ok()),
        source: event.source.and_then(|name| SourceName::parse(name).ok()),
        trace: TraceContext::from_headers(filled(traceparent), filled(tracestate)),
    })
}

fn reference(descriptor: &Descriptor<'_>) -> Option<Reference> {
    Some(Reference {
        digest: Digest::parse(descriptor.digest?).ok()?,
        media_type: short_text(descriptor.media_type),
        size: descriptor.size,
        platform: short_text(descriptor.platform),
    })
}

fn short_text(text: Option<&str>) -> Option<String> {
    text.map(short).filter(|text| !text.is_empty())
}

fn filled(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::native;
    use super::*;

    fn event() -> Value {
        json!({
            "schema": "dockbell.event/1", "id": "e-1", "source": "lab", "registry": "Hub.test", "repository": "team/app",
            "tag": "1.0", "digest": format!("sha256:{:064x}", 7), "media_type": "application/vnd.oci.image.index.v1+json",
            "size": 700, "pusher": "alice", "time": "2026-01-02T03:04:05Z", "received_at": "2026-01-02T03:04:05.000001Z",
            "references": [
                {"digest": format!("sha256:{:064x}", 8), "media_type": "a/b", "size": 1, "platform": "linux/arm64"},
                {"digest": "none"},
            ],
            "truncated": true, "trace": {"traceparent": "00-1-2-01", "tracestate": "a=b"},
        })
    }

    fn both(body: &Value) -> (Option<Entry>, Option<Vec<Entry>>) {
        (decode(body.to_string().as_bytes()), native::decode(body))
    }

    #[test]
    fn what_an_intake_writes_is_read_at_once() {
        let (entry, entries) = both(&event());
        assert!(entry.as_ref().is_some_and(Result::is_ok), "{entry:?}");
        assert_eq!(entry.map(|entry| vec![entry]), entries);
    }

    #[test]
    fn what_is_unusual_is_left_to_others() {
        for unusual in [
            r#"{"schema":"dockbell.event/2","repository":"a"}"#,
            r#"{"schema":{"dockbell.event/1":null},"repository":"a"}"#,
            r#"{"schema":"dockbell.event/1"}"#,
            r#"{"schema":"dockbell.event/1","repository":"a","more":[]}"#,
            r#"{"schema":"dockbell.event/1","repository":"a","repository":"b"}"#,
            r#"{"schema":"dockbell.event/1","repository":"\u0061"}"#,
            r#"{"schema":"dockbell.event/1","repository":"a","size":"7"}"#,
            r#"{"schema":"dockbell.event/1","repository":"a","metadata":{}}"#,
        ] {
            assert!(decode(unusual.as_bytes()).is_none(), "{unusual}");
        }
    }

    proptest! {
        /// A member is missing, or has any value.
        #[test]
        fn both_ways_of_reading_agree(changes in proptest::collection::vec((any::<prop::sample::Index>(), value()), 0..4)) {
            let mut body = event();
            for (member, value) in changes {
                let members = body.as_object_mut().unwrap();
                let name = members.keys().nth(member.index(members.len())).unwrap().clone();
                match value {
                    None => drop(members.remove(&name)),
                    Some(value) => drop(members.insert(name, value)),
                }
                prop_assume!(!members.is_empty());
            }
            if let (Some(entry), entries) = both(&body) {
                prop_assert_eq!(Some(vec![entry]), entries);
            }
        }
    }

    fn value() -> impl Strategy<Value = Option<Value>> {
        prop_oneof![
            Just(None),
            Just(Some(Value::Null)),
            any::<u32>().prop_map(|number| Some(number.into())),
            any::<bool>().prop_map(|flag| Some(flag.into())),
            "[a-z:/. \u{7f}é]{0,9}".prop_map(|text| Some(text.into())),
            Just(Some("x".repeat(300).into())),
            Just(Some(json!([{"platform": "linux/amd64"}]))),
            Just(Some(json!({"traceparent": "é"}))),
        ]
    }
}
