//! Compares what is read from a recorded body with what is written beside it.
//!
//! A file of expectations is an object: for the name of each recording either `{"error": true}`, or the list of the
//! reports in it, or, for a recorded sequence of bodies, `notifications_after_coalescing`.

use std::time::Duration;

use dockbell_producer::decode::decode_body;
use dockbell_producer::fold::fold;
use dockbell_producer::window::{Closed, WindowPolicy, Windows};
use dockbell_proto::batch::Change;
use dockbell_proto::input::{Action, Entry, Headers, InputFormat, Kind, Report, decode};
use dockbell_testkit::sample::moment;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::harness::source;
use super::recording::Recording;

/// Every difference between what a recording of this format says and what is expected of it.
pub(crate) fn differences(recording: &Recording, format: InputFormat, expected: &Value) -> Vec<String> {
    if let Some(notifications) = expected.get("notifications_after_coalescing") {
        return difference("notifications", &notifications_of(&recording.body), notifications).into_iter().collect();
    }
    let decoded = decode(format, &Headers::of(recording.headers()), &recording.body);
    if expected["error"] == true {
        return decoded.is_ok().then(|| "it is read although it is no notification".to_owned()).into_iter().collect();
    }
    match decoded {
        Ok(entries) => differences_of(&entries, expected.as_array().expect("a list of reports")),
        Err(error) => vec![error.to_string()],
    }
}

fn differences_of(entries: &[Entry], expected: &[Value]) -> Vec<String> {
    let entries: Vec<_> = entries.iter().filter(|entry| !is_noise(entry)).collect();
    if entries.len() != expected.len() {
        return vec![format!("{} reports instead of {}", entries.len(), expected.len())];
    }
    let pairs = entries.iter().zip(expected);
    pairs
        .flat_map(|(entry, expected)| match entry {
            Ok(report) => differences_of_report(report, expected),
            Err(reason) => vec![format!("a rejection instead of a report: {reason}")],
        })
        .collect()
}

/// What is about no repository is expected of nothing, and is counted all the same.
fn is_noise(entry: &Entry) -> bool {
    entry.as_ref().is_ok_and(|report| matches!(report.action, Action::Other(_)) && report.repository.is_none())
}

fn differences_of_report(report: &Report, expected: &Value) -> Vec<String> {
    let members = [
        ("action", json!(action(&report.action))),
        ("registry", json!(report.registry)),
        ("repository", json!(report.repository)),
        ("tag", json!(report.tag)),
        ("digest_strict", json!(report.digest)),
        ("media_type", json!(report.media_type)),
        ("size", json!(report.size)),
        ("pusher", json!(report.pusher)),
        ("time", json!(report.time)),
        ("id", json!(report.id)),
        ("notify", json!(report.notifies())),
    ];
    let mut found: Vec<String> = members
        .iter()
        .filter_map(|(name, read)| difference(name, read, &expected_value(name, &expected[*name])))
        .collect();
    found.extend(expected.get("layers").and_then(|expected| difference("layers", &json!(layers(report)), expected)));
    let more = [("references", json!(report.references)), ("metadata", json!(report.metadata))];
    let told = more.iter().filter_map(|(name, read)| difference(name, read, expected.get(*name)?));
    found.extend(told);
    // Not every expectation says what kind of thing it is about.
    found.extend(expected.get("kind").and_then(|expected| difference("kind", &json!(kind(report.kind)), expected)));
    found
}

pub(crate) fn difference(name: &str, read: &Value, expected: &Value) -> Option<String> {
    (read != expected).then(|| format!("{name} is {read} instead of {expected}"))
}

/// How many references are no config.
fn layers(report: &Report) -> usize {
    let is_config = |media_type: &str| media_type.contains("config") || media_type.contains("container.image.v1");
    report.references.iter().filter(|reference| !reference.media_type.as_deref().is_some_and(is_config)).count()
}

/// A time in UTC, so that equal instants are equal texts; anything else as it is. Without a zone a time is China's,
/// because only Alibaba's have none.
pub(crate) fn expected_value(name: &str, value: &Value) -> Value {
    let of_text = |text: &str| {
        let civil = || jiff::tz::offset(8).to_timestamp(text.parse().ok()?).ok();
        text.parse::<Timestamp>().ok().or_else(civil)
    };
    let time = match value {
        _ if name != "time" => None,
        Value::String(text) => of_text(text),
        Value::Number(number) => number.as_i64().and_then(|seconds| Timestamp::from_second(seconds).ok()),
        _ => None,
    };
    time.map_or_else(|| value.clone(), |time| json!(time))
}

fn action(action: &Action) -> &str {
    match action {
        Action::Push => "push",
        Action::Pull => "pull",
        Action::Mount => "mount",
        Action::Delete => "delete",
        Action::Other(name) => name,
    }
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Manifest => "manifest",
        Kind::Blob => "blob",
        Kind::Tag => "tag",
        Kind::Unknown => "unknown",
    }
}

/// What a recorded sequence comes to: every body goes in when it came, and what closes is folded.
fn notifications_of(sequence: &[u8]) -> Value {
    let sequence: Value = serde_json::from_slice(sequence).unwrap();
    let (source, mut windows) = (source("registry", InputFormat::Auto), Windows::new(WindowPolicy::default()));
    let mut notifications = Vec::new();
    for delivery in sequence["deliveries"].as_array().unwrap() {
        let Some(body) = delivery.get("body").filter(|body| !body.is_null()) else { continue };
        let now = Duration::from_secs_f64(delivery["at_s"].as_f64().unwrap());
        let closed = windows.close_due(now);
        notifications.extend(leave(&mut windows, closed));
        for event in decode_body(&source, (&Headers::default(), body.to_string().as_bytes()), moment).unwrap().events {
            let closed = windows.push(event, 1000, (), (now, moment())).closed;
            notifications.extend(leave(&mut windows, closed));
        }
    }
    let closed = windows.close_all();
    notifications.extend(leave(&mut windows, closed));
    Value::Array(notifications)
}

fn leave(windows: &mut Windows<()>, closed: Vec<Closed<()>>) -> Vec<Value> {
    let leave = |closed: Closed<()>| {
        windows.confirmed(closed.number, closed.shares.len());
        let batch = fold(&closed.events, moment(), moment()).batch;
        let changes = |batch: dockbell_proto::batch::Batch| {
            batch.changes.iter().map(|change| notification(batch.repository.as_str(), change)).collect()
        };
        batch.map_or_else(Vec::new, changes)
    };
    closed.into_iter().flat_map(leave).collect()
}

fn notification(repository: &str, change: &Change) -> Value {
    json!({"repository": repository, "tag": change.tag, "digest": change.digest, "media_type": change.media_type})
}
