//! Google's Artifact Registry and Container Registry: messages of the Pub/Sub topic `gcr`, pushed or bare.
//!
//! Source: *Configure Pub/Sub notifications* of Google's documentation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Entry;
use super::field::{first_text, text, time};
use super::image::{Image, tag};
use super::report::{Action, Report};
use crate::ids::EventId;
use crate::names::{Digest, Repository};

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    match text(body, &["message", "data"]) {
        Some(data) => Some(vec![pushed(body, data)]),
        None => is_message(body).then(|| vec![entry(body)]),
    }
}

/// A message that a subscription pushed, with its data in base64.
fn pushed(body: &Value, data: &str) -> Entry {
    let json = STANDARD.decode(data).map_err(|_| "`message.data` is not base64")?;
    let message: Value = serde_json::from_slice(&json).map_err(|_| "`message.data` is not JSON")?;
    if !is_message(&message) {
        return Ok(Report::noise("a message of another topic"));
    }
    let id = first_text(body, &[&["message", "messageId"], &["message", "message_id"]]);
    let report = entry(&message)?;
    Ok(Report {
        id: id.and_then(|id| EventId::parse(id).ok()),
        time: time(body, &["message", "publishTime"]).or_else(|| time(body, &["message", "publish_time"])),
        ..report
    })
}

fn is_message(message: &Value) -> bool {
    let is_action = matches!(text(message, &["action"]), Some("INSERT" | "DELETE"));
    is_action && first_text(message, &[&["digest"], &["tag"]]).is_some()
}

/// Digest and tag are whole references; either may be empty.
fn entry(message: &Value) -> Entry {
    let action = if text(message, &["action"]) == Some("INSERT") { Action::Push } else { Action::Delete };
    let (by_tag, by_digest) = (text(message, &["tag"]).map(Image::of), text(message, &["digest"]).map(Image::of));
    let image = by_tag.or(by_digest);
    let tag = tag(&action, by_tag.and_then(|image| image.tag))?;
    let digest = by_digest.and_then(|image| Digest::parse(image.digest?).ok());
    Ok(Report {
        registry: image.and_then(|image| image.registry()),
        repository: image.and_then(|image| Repository::parse(image.path).ok()),
        ..Report::of_manifest(action, tag, digest)
    })
}
