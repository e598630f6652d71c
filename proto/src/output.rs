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
mod template;

use jiff::Timestamp;

use crate::batch::{Batch, Change};
use crate::options::Options;
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
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Rendered {
    /// JSON, sent as Dockbell.
    fn json(payload: &impl serde::Serialize) -> Self {
        Self::typed("application/json", json(payload))
    }

    /// No body, sent as Dockbell.
    fn empty() -> Self {
        Self { headers: vec![("user-agent".to_owned(), USER_AGENT.to_owned())], body: Vec::new() }
    }

    /// A body of this media type, sent as Dockbell.
    fn typed(content_type: &str, body: Vec<u8>) -> Self {
        Self::sent_as(USER_AGENT, content_type, body)
    }

    /// A body of this media type, sent as somebody else.
    fn sent_as(user_agent: &str, content_type: &str, body: Vec<u8>) -> Self {
        let headers = [("content-type", content_type), ("user-agent", user_agent)];
        Self { headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(), body }
    }
}

/// The body cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// The content of a delivery is empty: there is nothing to say.
    #[error("the delivery holds no change")]
    Empty,
    /// The body would exceed [`BODY_LIMIT`].
    #[error("the body would exceed {BODY_LIMIT} bytes")]
    TooLarge,
    /// The template of the webhook's owner cannot be carried out; the text says why.
    #[error("template: {0}")]
    Template(String),
}

/// Writes the POST for `content` in `format` with these options. `first_seen` is when the repository was first seen; it
/// stands in for its date of creation where no source tells. `callback_url` is where the receiver may report what came of
/// it; empty, if nowhere.
pub fn render(
    format: Format,
    options: &Options,
    content: &Batch,
    (first_seen, callback_url): (Timestamp, &str),
) -> Result<Rendered, RenderError> {
    let change = newest(content).ok_or(RenderError::Empty)?;
    let rendered = match format {
        Format::Dockerhub => dockerhub::render(options, content, change, (first_seen, callback_url)),
        Format::Alin => alin::render(options, content, change),
        Format::Batch => batch::render(content),
        Format::Harbor => harbor::render(content, change, first_seen),
        Format::Quay => quay::render(content),
        Format::Keel => keel::render(content, change),
        Format::CloudEvents => cloudevents::render(options, content, change),
        Format::Distribution => distribution::render(options, content, change),
        Format::Acr => distribution::render_acr(content, change),
        Format::Slack => slack::render(content, change),
        Format::Discord => discord::render(content, change),
        Format::Teams => teams::render(content, change),
        Format::Template => template::render(options, content, change)?,
        Format::Empty => Rendered::empty(),
    };
    if rendered.body.len() > BODY_LIMIT { Err(RenderError::TooLarge) } else { Ok(rendered) }
}

pub(crate) fn newest(content: &Batch) -> Option<&Change> {
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
