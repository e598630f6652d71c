//! What receivers get: one body and its headers, in the dialect that the webhook names.

mod alin;
mod batch;
mod chat;
mod cloudevents;
mod discord;
mod distribution;
mod dockerhub;
mod harbor;
mod in_header;
mod keel;
mod quay;
mod size;
mod slack;
mod teams;

use jiff::Timestamp;

use crate::batch::{Batch, Change};
use crate::webhook::Format;

pub use in_header::in_header;

/// The `User-Agent` of attempts whose format does not prescribe another.
pub const USER_AGENT: &str = concat!("Dockbell/", env!("CARGO_PKG_VERSION"));

/// The largest body that is ever sent, in bytes (Argo CD Image Updater and Argo Events refuse more).
pub const BODY_LIMIT: usize = 1024 * 1024;

/// One POST without its signature: equal inputs yield equal bytes, on every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The headers of the format, by lower-case name. `content-length` and `host` follow from the rest.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// The body cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The content of a delivery is empty: there is nothing to say.
    #[error("the delivery holds no change")]
    Empty,
    /// The body would exceed [`BODY_LIMIT`].
    #[error("the body would exceed {BODY_LIMIT} bytes")]
    TooLarge,
}

/// Writes the POST for `content` in `format`. `first_seen` is when the repository was first seen; it
/// stands in for its date of creation where no source tells. `callback_url` is where the receiver may report
/// what came of it; empty, if nowhere.
pub fn render(
    format: Format,
    content: &Batch,
    first_seen: Timestamp,
    callback_url: &str,
) -> Result<Rendered, RenderError> {
    let change = newest(content).ok_or(RenderError::Empty)?;
    let rendered = match format {
        Format::Dockerhub => dockerhub::render(content, change, first_seen, callback_url),
        Format::Alin => alin::render(content, change),
        Format::Batch => batch::render(content),
        Format::Harbor => harbor::render(content, change, first_seen),
        Format::Quay => quay::render(content),
        Format::Keel => keel::render(content, change),
        Format::CloudEvents => cloudevents::render(content, change),
        Format::Distribution => distribution::render(content, change),
        Format::Acr => distribution::render_acr(content, change),
        Format::Slack => slack::render(content, change),
        Format::Discord => discord::render(content, change),
        Format::Teams => teams::render(content, change),
    };
    if rendered.body.len() > BODY_LIMIT { Err(RenderError::TooLarge) } else { Ok(rendered) }
}

fn newest(content: &Batch) -> Option<&Change> {
    content.changes.iter().max_by(|a, b| a.order.cmp(&b.order))
}

fn json(body: &impl serde::Serialize) -> Vec<u8> {
    #[expect(
        clippy::expect_used,
        reason = "maps with non-string keys and failing serializers do not occur in these types"
    )]
    serde_json::to_vec(body).expect("a payload has a JSON form")
}

#[cfg(test)]
mod tests;
