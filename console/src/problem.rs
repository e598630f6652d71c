//! What a caller is told when a request does not succeed: problem details after RFC 9457.

use std::borrow::Cow;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_backends::bus::{BusError, PublishError};
use dockbell_backends::store::StoreError;

/// The media type of problem details.
pub(crate) const PROBLEM_JSON: &str = "application/problem+json";
/// When to come back while a server of ours is away, in seconds: about as long as a reconnect takes.
const RETRY_AFTER_S: &str = "5";

/// Problem details (RFC 9457).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({
    "type": "urn:dockbell:problem:invalid", "title": "Unprocessable Entity", "status": 422,
    "detail": "some members are not valid",
    "errors": [{ "member": "name", "problem": "name must be given" }],
}))]
pub struct Problem {
    /// Which kind of problem it is; it stays the same from version to version.
    #[serde(rename = "type")]
    #[schema(value_type = String, format = "uri-reference")]
    pub kind: Cow<'static, str>,
    /// The kind in words.
    #[schema(value_type = String)]
    pub title: Cow<'static, str>,
    /// The status of the answer.
    pub status: u16,
    /// What is wrong this time, for a person to read.
    pub detail: String,
    /// Every member (of the body, or of the query) that is not valid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<MemberProblem>,
}

/// One member that is not valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberProblem {
    /// Its name.
    pub member: String,
    /// What is wrong with it: a sentence that names the member, and never holds its value.
    pub problem: String,
}

impl Problem {
    pub(crate) fn unauthorized() -> Self {
        let detail = "this needs a token that is valid, as `Authorization: Bearer <token>`";
        Self::new("unauthorized", StatusCode::UNAUTHORIZED, detail)
    }

    pub(crate) fn forbidden(detail: impl Into<String>) -> Self {
        Self::new("forbidden", StatusCode::FORBIDDEN, detail)
    }

    pub(crate) fn out_of_reach(pattern: &str) -> Self {
        Self::forbidden(format!("this token does not reach {pattern}"))
    }

    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new("not-found", StatusCode::NOT_FOUND, detail)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let detail = "this path does not take this method; the header `Allow` names those it takes";
        Self::new("method-not-allowed", StatusCode::METHOD_NOT_ALLOWED, detail)
    }

    pub(crate) fn malformed(detail: impl Into<String>) -> Self {
        Self::new("malformed", StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn unsupported_media_type() -> Self {
        let detail = "the body must be JSON, with `Content-Type: application/json`";
        Self::new("unsupported-media-type", StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    pub(crate) fn too_large() -> Self {
        let detail = format!("the body must not exceed {} bytes", crate::BODY_LIMIT);
        Self::new("too-large", StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    pub(crate) fn invalid(errors: Vec<MemberProblem>) -> Self {
        let problem = Self::new("invalid", StatusCode::UNPROCESSABLE_ENTITY, "some members are not valid");
        Self { errors, ..problem }
    }

    pub(crate) fn too_many_webhooks(pattern: &str, limit: usize) -> Self {
        let detail = format!(
            "there are already {limit} webhooks on {pattern}, the most that one pattern may have; remove one first",
        );
        Self::new("too-many-webhooks", StatusCode::CONFLICT, detail)
    }

    pub(crate) fn too_many_secrets(webhook: &str, next_end: Option<Timestamp>) -> Self {
        let next_end = next_end.map(|at| format!("; the next of them ends at {at:.0}")).unwrap_or_default();
        let detail = format!("too many secrets of before still sign for the webhook {webhook}{next_end}");
        Self::new("too-many-secrets", StatusCode::CONFLICT, detail)
    }

    pub(crate) fn webhook_gone(webhook: &str) -> Self {
        let detail = format!("the webhook {webhook} was removed, so nothing can be delivered to it again");
        Self::new("webhook-gone", StatusCode::CONFLICT, detail)
    }

    pub(crate) fn webhook_disabled(webhook: &str) -> Self {
        let detail = format!("the webhook {webhook} is disabled, so nothing is sent to it; enable it first");
        Self::new("webhook-disabled", StatusCode::CONFLICT, detail)
    }

    pub(crate) fn callback_conflict() -> Self {
        let detail = "something else was reported here before, and that stands";
        Self::new("callback-conflict", StatusCode::CONFLICT, detail)
    }

    pub(crate) fn callback_expired() -> Self {
        Self::new("callback-expired", StatusCode::GONE, "the time in which this could be reported is over")
    }

    pub(crate) fn ending() -> Self {
        Self::new("ending", StatusCode::SERVICE_UNAVAILABLE, "this process ends; try again in a few seconds")
    }

    fn bus_away(error: &dyn std::error::Error) -> Self {
        tracing::warn!(%error, "a request to the console failed");
        Self::new("bus-away", StatusCode::SERVICE_UNAVAILABLE, "the bus is away; try again in a few seconds")
    }

    fn new(kind: &str, status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            kind: format!("urn:dockbell:problem:{kind}").into(),
            title: status.canonical_reason().unwrap_or_default().into(),
            status: status.as_u16(),
            detail: detail.into(),
            errors: Vec::new(),
        }
    }
}

/// Logs the reason, which is the operator's business, and tells the caller to come back.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "a request to the console failed");
        Self::new("store-away", StatusCode::SERVICE_UNAVAILABLE, "the store is away; try again in a few seconds")
    }
}

/// Logs the reason, which is the operator's business, and tells the caller to come back.
impl From<PublishError> for Problem {
    fn from(error: PublishError) -> Self {
        Self::bus_away(&error)
    }
}

/// Logs the reason, which is the operator's business, and tells the caller to come back.
impl From<BusError> for Problem {
    fn from(error: BusError) -> Self {
        Self::bus_away(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
        }
        response
    }
}
