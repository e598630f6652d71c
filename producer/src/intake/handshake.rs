//! What senders ask before they send anything.

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};

/// A sender's origin has the length of a host.
const ORIGIN_LIMIT: usize = 255;

/// The headers that let a sender of `CloudEvents` send; none if the request does not ask for it. Who may really send is
/// decided by the secret, so every origin may, at any rate.
///
/// Source: *HTTP 1.1 Web Hooks for Event Delivery* of the `CloudEvents` project, section 4.
pub(super) fn permission(method: &Method, headers: &HeaderMap) -> Option<Vec<(HeaderName, HeaderValue)>> {
    let origin = headers.get("webhook-request-origin").filter(|origin| origin.len() <= ORIGIN_LIMIT)?;
    let permission = [
        ("webhook-allowed-origin", origin.clone()),
        ("webhook-allowed-rate", HeaderValue::from_static("*")),
        ("allow", HeaderValue::from_static("POST, OPTIONS")),
    ];
    let named = permission.map(|(name, value)| (HeaderName::from_static(name), value));
    (*method == Method::OPTIONS).then(|| named.to_vec())
}
