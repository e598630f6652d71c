//! The small payload of image, layers and sizes, with the tag in a header of its own.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::Serialize;

use super::in_header::in_header;
use super::{Rendered, json, size};
use crate::batch::{Batch, Change, config_and_layers};
use crate::names::Digest;
use crate::options::{ImageHost, Options, TagHeader};

/// The header that names the tag, unless the owner chose another.
const TAG_HEADER: &str = "x-alin-webhook";
/// The others, the same on every POST.
const HEADERS: [(&str, &str); 5] = [
    ("user-agent", "WebHook Handler"),
    ("accept-encoding", "gzip, deflate"),
    ("accept", "*/*"),
    ("connection", "keep-alive"),
    ("content-type", "application/json"),
];

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

pub(super) fn render(options: &Options, content: &Batch, change: &Change) -> Rendered {
    let host = options.host.as_ref().map_or(content.registry.as_str(), ImageHost::as_str);
    let payload = Payload {
        image: format!("{host}/{}:{}", content.repository, change.tag),
        image_size: size::of_blobs(change),
        layers: layers(change),
        repository: content.repository.as_str(),
        repository_size: size::of_all(change),
        event: "push",
        timestamp: content.closed_at,
    };
    // A name that does not fit a header must not keep its body from arriving.
    let name = options.header.as_ref().map_or(TAG_HEADER, TagHeader::as_str);
    let tag = header_value(content, change).map(|value| (name.to_owned(), value));
    let headers = HEADERS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(tag).collect();
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
