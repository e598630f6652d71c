//! The small payload of image, layers and sizes, with the tag in a header of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::in_header::in_header;
use super::{Rendered, json, size};
use crate::batch::{Batch, Change, config_and_layers};
use crate::names::Digest;

#[derive(Serialize)]
struct Payload<'a> {
    image: String,
    image_size: u64,
    layers: Vec<&'a Digest>,
    repository: &'a str,
    repository_size: u64,
    event: &'static str,
    timestamp: Timestamp,
}

pub(super) fn render(content: &Batch, change: &Change) -> Rendered {
    let payload = Payload {
        image: format!("{}/{}:{}", content.registry, content.repository, change.tag),
        image_size: size::of_blobs(change),
        layers: layers(change),
        repository: content.repository.as_str(),
        repository_size: size::of_all(change),
        event: "push",
        timestamp: content.closed_at,
    };
    let mut headers = vec![
        ("user-agent", "WebHook Handler".to_owned()),
        ("accept-encoding", "gzip, deflate".to_owned()),
        ("accept", "*/*".to_owned()),
        ("connection", "keep-alive".to_owned()),
        ("content-type", "application/json".to_owned()),
    ];
    // A name that does not fit a header must not keep its body from arriving.
    headers.extend(header_value(content, change).map(|value| ("x-alin-webhook", value)));
    Rendered { headers, body: json(&payload) }
}

/// The digests of the layers, each once, in the order of the manifests.
fn layers(change: &Change) -> Vec<&Digest> {
    let manifests = std::iter::once(&change.blobs).chain(change.children.iter().map(|child| &child.blobs));
    let mut seen = BTreeSet::new();
    let layers = manifests.flat_map(|blobs| config_and_layers(blobs).1);
    layers.map(|layer| &layer.digest).filter(|digest| seen.insert(*digest)).collect()
}

/// `<username>/<repository>:<tag>`.
fn header_value(content: &Batch, change: &Change) -> Option<String> {
    Some(format!("{}:{}", in_header(&content.repository)?, change.tag))
}
