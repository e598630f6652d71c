//! What CNCF Distribution and Azure Container Registry send of a push: an envelope of one event, or the bare event.
//!
//! Source: `notifications/event.go` of Distribution; `container-registry-webhook-reference.md` of Azure's documentation.

use jiff::Timestamp;
use serde::Serialize;

use super::{Rendered, json};
use crate::batch::{Batch, Change};
use crate::ids::EventId;
use crate::names::{Digest, Registry, Repository, Tag};
use crate::options::{EnvelopeVersion, Options};

/// The media type of envelopes since Distribution 3.
const ENVELOPE: &str = "application/vnd.docker.distribution.events.v2+json";
/// The one before. The members are the same.
const OLD_ENVELOPE: &str = "application/vnd.docker.distribution.events.v1+json";
/// Kargo answers others with an error.
const AZURE: &str = "AzureContainerRegistry/1.0";
/// What reported the push, without a version: equal events make equal bodies in every release.
const REPORTER: &str = "Dockbell";

#[derive(Serialize)]
struct Envelope<'a> {
    events: [Event<'a>; 1],
}

#[derive(Serialize)]
struct Event<'a> {
    id: &'a str,
    timestamp: Timestamp,
    action: &'static str,
    target: Target<'a>,
    request: Request<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    surroundings: Option<Surroundings<'a>>,
}

#[derive(Serialize)]
struct Target<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: &'a str,
    /// The same twice: older consumers read only the second.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    size: Option<Size>,
    repository: &'a Repository,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    tag: &'a Tag,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<Referred<'a>>,
}

#[derive(Serialize)]
struct Size {
    size: u64,
    length: u64,
}

#[derive(Serialize)]
struct Referred<'a> {
    #[serde(rename = "mediaType")]
    media_type: &'a str,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
}

#[derive(Serialize)]
struct Request<'a> {
    id: &'a str,
    host: &'a Registry,
    method: &'static str,
    useragent: &'static str,
}

/// What Azure does not send.
#[derive(Serialize)]
struct Surroundings<'a> {
    actor: Actor<'a>,
    source: Source<'a>,
}

#[derive(Serialize)]
struct Actor<'a> {
    name: &'a str,
}

#[derive(Serialize)]
struct Source<'a> {
    addr: &'a Registry,
}

/// The envelope of Distribution.
pub(super) fn render(options: &Options, content: &Batch, change: &Change) -> Rendered {
    let surroundings = Surroundings {
        actor: Actor { name: change.pusher.as_deref().unwrap_or_default() },
        source: Source { addr: &content.registry },
    };
    let event = Event { surroundings: Some(surroundings), ..event(content, change) };
    let url = manifest_url(content, change);
    let target = Target { url: Some(url), references: references(change), ..event.target };
    let media_type = if options.version == Some(EnvelopeVersion::V1) { OLD_ENVELOPE } else { ENVELOPE };
    Rendered::typed(media_type, json(&Envelope { events: [Event { target, ..event }] }))
}

/// The bare event of Azure.
pub(super) fn render_acr(content: &Batch, change: &Change) -> Rendered {
    Rendered::sent_as(AZURE, "application/json", json(&event(content, change)))
}

fn event<'a>(content: &'a Batch, change: &'a Change) -> Event<'a> {
    let id = change.event_ids.last().map(EventId::as_str).unwrap_or_default();
    Event {
        id,
        timestamp: change.pushed_at,
        action: "push",
        target: Target {
            media_type: change.media_type.as_deref().unwrap_or_default(),
            digest: change.digest.as_ref().map_or("", Digest::as_str),
            size: change.size.map(|size| Size { size, length: size }),
            repository: &content.repository,
            url: None,
            tag: &change.tag,
            references: Vec::new(),
        },
        request: Request { id, host: &content.registry, method: "PUT", useragent: REPORTER },
        surroundings: None,
    }
}

/// Absolute, and that of a manifest: Jenkins finds the registry in it. Registries name the digest.
fn manifest_url(content: &Batch, change: &Change) -> String {
    let reference = change.digest.as_ref().map_or(change.tag.as_str(), Digest::as_str);
    format!("https://{}/v2/{}/manifests/{reference}", content.registry, content.repository)
}

/// Config and layers of an image, or the manifests of an index.
fn references(change: &Change) -> Vec<Referred<'_>> {
    let blobs = change.blobs.iter().map(|blob| (&blob.media_type, &blob.digest, blob.size));
    let children = change.children.iter().map(|child| (&child.media_type, &child.digest, child.size));
    let all = blobs.chain(children);
    all.map(|(media_type, digest, size)| Referred {
        media_type: media_type.as_deref().unwrap_or_default(),
        digest,
        size,
    })
    .collect()
}
