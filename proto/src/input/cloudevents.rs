//! `CloudEvents` 1.0 about images: structured, binary or in batches; the data of registries that have a dialect
//! of their own are read as theirs.
//!
//! Source: the `CloudEvents` specification and its HTTP binding.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::field::{at, first_text, known, text, time};
use super::headers::Headers;
use super::image::{Image, tag};
use super::report::{Action, Report};
use super::{Entry, ecr, eventgrid, harbor, zot};
use crate::ids::EventId;
use crate::names::{Digest, Registry, Repository};

/// An event, wherever its attributes stood.
#[derive(Debug)]
pub(super) struct CloudEvent<'a> {
    pub(super) kind: &'a str,
    pub(super) id: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) subject: Option<&'a str>,
    pub(super) time: Option<Timestamp>,
    pub(super) data: Cow<'a, Value>,
    envelope: Option<&'a Value>,
    headers: &'a Headers,
}

impl<'a> CloudEvent<'a> {
    /// The event of a body: structured if the body has the attributes, binary if the headers have them.
    pub(super) fn of(headers: &'a Headers, body: &'a Value) -> Option<Self> {
        Self::structured(headers, body).or_else(|| Self::binary(headers, body))
    }

    fn structured(headers: &'a Headers, body: &'a Value) -> Option<Self> {
        text(body, &["specversion"])?;
        Some(Self {
            kind: text(body, &["type"])?,
            id: text(body, &["id"]),
            source: text(body, &["source"]),
            subject: text(body, &["subject"]),
            time: time(body, &["time"]),
            data: data(body),
            envelope: Some(body),
            headers,
        })
    }

    fn binary(headers: &'a Headers, body: &'a Value) -> Option<Self> {
        Some(Self {
            kind: headers.attribute("type")?,
            id: headers.attribute("id"),
            source: headers.attribute("source"),
            subject: headers.attribute("subject"),
            time: headers.attribute("time").and_then(|time| time.parse().ok()).and_then(known),
            data: Cow::Borrowed(body),
            envelope: None,
            headers,
        })
    }

    /// An attribute that the specification does not know.
    pub(super) fn extension(&self, name: &str) -> Option<Cow<'a, str>> {
        let value = match self.envelope {
            Some(envelope) => text(envelope, &[name])?,
            None => self.headers.attribute(name)?,
        };
        Some(Cow::Borrowed(value))
    }
}

/// Data that are JSON stand as they are, in a text, or in base64.
fn data(body: &Value) -> Cow<'_, Value> {
    if let Some(encoded) = text(body, &["data_base64"]) {
        let json = STANDARD.decode(encoded).ok().and_then(|json| serde_json::from_slice(&json).ok());
        return Cow::Owned(json.unwrap_or_default());
    }
    match at(body, &["data"]) {
        Some(Value::String(json)) => Cow::Owned(serde_json::from_str(json).unwrap_or_default()),
        Some(data) => Cow::Borrowed(data),
        None => Cow::Owned(Value::Null),
    }
}

/// The entries of a body. None when it is no `CloudEvent`.
pub(super) fn decode(headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    match body.as_array() {
        Some(batch) => {
            let is_one = |event: &Value| CloudEvent::structured(headers, event).is_some();
            let entries = |event| CloudEvent::structured(headers, event).map_or_else(not_one, |event| entries(&event));
            batch.iter().any(is_one).then(|| batch.iter().flat_map(entries).collect())
        }
        None => CloudEvent::of(headers, body).map(|event| entries(&event)),
    }
}

fn not_one() -> Vec<Entry> {
    vec![Err("an element of the batch is no CloudEvent")]
}

fn entries(event: &CloudEvent<'_>) -> Vec<Entry> {
    if harbor::is_harbors(event) {
        harbor::decode_cloudevent(event)
    } else if zot::is_zots(event) {
        vec![zot::entry(event)]
    } else if eventgrid::is_of_registry(event.kind) {
        vec![eventgrid::of_registry(event.kind, &event.data)]
    } else if ecr::is_ecrs(event) {
        vec![ecr::of_cloudevent(event)]
    } else {
        vec![generic(event)]
    }
}

/// What an event of this type tells: the last part of the type is what happened.
pub(super) fn action(kind: &str) -> Action {
    let verb = kind.rsplit(['.', '_', '-', '/']).next().unwrap_or_default().to_ascii_lowercase();
    match verb.as_str() {
        "push" | "pushed" | "published" | "updated" | "created" | "uploaded" => Action::Push,
        "pull" | "pulled" => Action::Pull,
        "delete" | "deleted" | "removed" => Action::Delete,
        _ => Action::Other(super::field::short(kind)),
    }
}

/// An event whose data name repository, tag and digest; what they lack is taken from its subject, `repository:tag`,
/// and from its source, if that is a URL.
fn generic(event: &CloudEvent<'_>) -> Entry {
    let data = &*event.data;
    let subject = event.subject.map(Image::of);
    let image = text(data, &["repository"]).map(Image::of).or(subject);
    let action = match action(event.kind) {
        // A type that is about something else may end like one about an image.
        Action::Push if image.is_none() => return Ok(Report::noise(event.kind)),
        action => action,
    };
    let tag = tag(&action, text(data, &["tag"]).or(subject.and_then(|subject| subject.tag)))?;
    let digest = text(data, &["digest"]).or(subject.and_then(|subject| subject.digest));
    Ok(Report {
        id: event.id.and_then(|id| EventId::parse(id).ok()),
        time: event.time,
        registry: registry(event, image),
        repository: image.and_then(|image| Repository::parse(image.path).ok()),
        media_type: first_text(data, &[&["mediaType"], &["media_type"]]).map(super::field::short),
        ..Report::of_manifest(action, tag, digest.and_then(|digest| Digest::parse(digest).ok()))
    })
}

fn registry(event: &CloudEvent<'_>, image: Option<Image<'_>>) -> Option<Registry> {
    let host = |url: &str| Registry::parse(url.split_once("://").map_or(url, |(_, rest)| rest).split('/').next()?).ok();
    let told = first_text(&event.data, &[&["registryUrl"], &["registry"]]).and_then(host);
    told.or_else(|| image?.registry()).or_else(|| event.source.filter(|source| source.contains("://")).and_then(host))
}
