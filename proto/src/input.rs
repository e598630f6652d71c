//! What registries send in: every dialect ends as a list of [`Report`]s.

mod distribution;
mod field;
mod native;
mod report;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use report::{Action, Disposition, Ignored, Kind, Report};

/// The dialect of a source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InputFormat {
    /// Whatever the body shows itself to be.
    #[default]
    Auto,
    /// Dockbell's own event.
    Native,
    /// A CNCF Distribution envelope (v1 or v2), or one event of it without the envelope.
    Distribution,
}

impl InputFormat {
    /// Every format, by the name that configuration uses.
    pub const NAMES: [&str; 3] = ["auto", "native", "distribution"];

    /// The format of that name.
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "native" => Some(Self::Native),
            "distribution" => Some(Self::Distribution),
            _ => None,
        }
    }
}

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

/// Decodes a body. The result is empty for an envelope without events.
pub fn decode(format: InputFormat, body: &[u8]) -> Result<Vec<Entry>, DecodeError> {
    let value: Value = serde_json::from_slice(body).map_err(|error| DecodeError::NotJson(error.to_string()))?;
    let entries = match format {
        InputFormat::Native => native::decode(&value),
        InputFormat::Distribution => distribution::decode(&value),
        InputFormat::Auto => native::decode(&value).or_else(|| distribution::decode(&value)),
    };
    entries.ok_or_else(|| refusal(format, &value))
}

fn refusal(format: InputFormat, body: &Value) -> DecodeError {
    match native::schema(body) {
        Some(schema) if format != InputFormat::Distribution => DecodeError::UnknownSchema(schema),
        _ => DecodeError::UnknownFormat { expected: expected(format) },
    }
}

fn expected(format: InputFormat) -> &'static str {
    match format {
        InputFormat::Native => "an object with `\"schema\": \"dockbell.event/1\"`",
        InputFormat::Distribution => "an object with `events`, or one event with `action` and `target`",
        InputFormat::Auto => {
            "a distribution envelope with `events`, one event with `action` and `target`, or a native event with `schema`"
        }
    }
}

#[cfg(test)]
mod tests;
