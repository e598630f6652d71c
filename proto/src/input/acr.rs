//! Webhooks of Azure Container Registry: one distribution event without its envelope, or a ping.
//!
//! Source: *Azure Container Registry webhook reference* of Microsoft's documentation.

use serde_json::Value;

use super::Entry;
use super::distribution::{is_event, report};
use super::field::text;
use super::report::{Kind, Report};

/// The entries of a body. None when it is of another dialect.
pub(super) fn decode(body: &Value) -> Option<Vec<Entry>> {
    if is_event(body) {
        return Some(vec![entry(body)]);
    }
    (text(body, &["action"]) == Some("ping")).then(|| vec![Ok(Report::noise("ping"))])
}

/// Azure tells of nothing but manifests, and of some no more than the digest.
fn entry(event: &Value) -> Entry {
    let report = report(event)?;
    let kind = if report.kind == Kind::Unknown && report.digest.is_some() { Kind::Manifest } else { report.kind };
    Ok(Report { kind, ..report })
}
