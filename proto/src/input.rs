//! What registries send in: every dialect ends as a list of [`Report`]s.

mod acr;
mod alibaba;
mod angos;
mod canonical;
mod cloudevents;
mod distribution;
mod dockerhub;
mod ecr;
mod eventgrid;
mod field;
mod format;
mod gar;
mod ghcr;
mod harbor;
mod headers;
mod image;
mod jfrog;
mod native;
mod quay;
mod report;
mod zot;

use serde_json::Value;

pub use format::InputFormat;
pub use headers::Headers;
pub use report::{Action, Disposition, Ignored, Kind, Report};

/// Why a body yields no reports at all. A single bad event inside a good body is no reason: it is
/// rejected alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The body is not JSON, not UTF-8, or nested deeper than any registry nests.
    #[error("the body is not JSON: {0}")]
    NotJson(String),
    /// The body is JSON of no format that this source may send.
    #[error("the body is no registry notification: expected {expected}")]
    UnknownFormat {
        /// What would have been accepted.
        expected: &'static str,
    },
    /// The body is of another version of Dockbell.
    #[error("the body has the schema {0}, which this version does not read: expected dockbell.event/1")]
    UnknownSchema(String),
}

/// One entry of a decoded body: a report, or why this one entry is none.
pub type Entry = Result<Report, &'static str>;

/// Decodes a body that came with `headers`. The result is empty for a notification of nothing, such as an envelope
/// without events.
pub fn decode(format: InputFormat, headers: &Headers, body: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let value = parse(body)?;
    read(format, headers, &value).ok_or_else(|| refusal(format, &value))
}

/// Decodes a body that may be of any format, `preferred` before all others but Dockbell's own. Its `headers` are asked
/// for where they matter.
pub fn decode_any(
    preferred: InputFormat,
    headers: impl FnOnce() -> Headers,
    body: &[u8],
) -> Result<Vec<Entry>, DecodeError> {
    if let Some(entry) = canonical::decode(body) {
        return Ok(vec![entry]);
    }
    let (headers, value) = (headers(), parse(body)?);
    let formats = [InputFormat::Native, preferred, InputFormat::Auto];
    let entries = formats.into_iter().find_map(|format| read(format, &headers, &value));
    entries.ok_or_else(|| refusal(InputFormat::Auto, &value))
}

/// The code that Azure Event Grid wants back before it sends anything to this address; none if the body does not
/// ask for it.
pub fn validation_code(format: InputFormat, body: &[u8]) -> Option<String> {
    /// Such a body has one short event.
    const LIMIT: usize = 16 * 1024;
    let may_ask = matches!(format, InputFormat::Auto | InputFormat::Eventgrid) && body.len() <= LIMIT;
    let value: Value = may_ask.then(|| serde_json::from_slice(body).ok())??;
    eventgrid::validation_code(&value).map(field::short)
}

fn parse(body: &[u8]) -> Result<Value, DecodeError> {
    serde_json::from_slice(body).map_err(|error| DecodeError::NotJson(error.to_string()))
}

/// The entries of a body of this format; none if it is of another.
fn read(format: InputFormat, headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    match format {
        InputFormat::Auto => detect(headers, body),
        InputFormat::Native => native::decode(body),
        // GitLab adds members that are not read: its `actor.user` is a token, and must go nowhere.
        InputFormat::Distribution | InputFormat::Gitlab => distribution::decode(body),
        InputFormat::Acr => acr::decode(body),
        InputFormat::Harbor => harbor::decode(body)
            .or_else(|| cloudevents::CloudEvent::of(headers, body).map(|event| harbor::decode_cloudevent(&event))),
        InputFormat::Zot => zot::decode(headers, body),
        InputFormat::Cloudevents => cloudevents::decode(headers, body),
        InputFormat::Quay => quay::decode(body),
        InputFormat::Ghcr => ghcr::decode(headers, body),
        InputFormat::Dockerhub => dockerhub::decode(body),
        InputFormat::Ecr => ecr::decode(body),
        InputFormat::Gar => gar::decode(body),
        InputFormat::Alibaba => alibaba::decode(body),
        InputFormat::Jfrog => jfrog::decode(body),
        InputFormat::Eventgrid => eventgrid::decode(body),
        InputFormat::Angos => angos::decode(headers, body),
    }
}

/// The order in which formats are tried: what says by itself what it is comes before what is only known by its
/// members.
const TRIED: [InputFormat; 14] = [
    InputFormat::Native,
    InputFormat::Cloudevents,
    InputFormat::Ghcr,
    InputFormat::Eventgrid,
    InputFormat::Acr,
    InputFormat::Distribution,
    InputFormat::Harbor,
    InputFormat::Quay,
    InputFormat::Ecr,
    InputFormat::Gar,
    InputFormat::Jfrog,
    InputFormat::Dockerhub,
    InputFormat::Alibaba,
    InputFormat::Angos,
];

fn detect(headers: &Headers, body: &Value) -> Option<Vec<Entry>> {
    TRIED.into_iter().find_map(|format| read(format, headers, body))
}

fn refusal(format: InputFormat, body: &Value) -> DecodeError {
    match native::schema(body) {
        Some(schema) if matches!(format, InputFormat::Auto | InputFormat::Native) => DecodeError::UnknownSchema(schema),
        _ => DecodeError::UnknownFormat { expected: format.expected() },
    }
}

#[cfg(test)]
mod tests;
