//! The parts of a request, each refused with problem details.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::auth::Caller;
use crate::problem::Problem;

/// A body that is a JSON object, its members not yet read.
pub(crate) struct JsonObject(pub(crate) Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type());
        }
        let caller = request.extensions().get::<Caller>().cloned();
        let body = Bytes::from_request(request, state).await.map_err(|rejection| refuse_body(&rejection))?;
        // The parser's own message quotes no text of the body, only where it stopped.
        let value = serde_json::from_slice(&body)
            .map_err(|error| Problem::malformed(format!("the body is not JSON: {error}")))?;
        match value {
            Value::Object(members) => {
                if let Some(caller) = &caller {
                    caller.note_members(members.keys());
                }
                Ok(Self(members))
            }
            _ => Err(Problem::malformed("the body must be a JSON object")),
        }
    }
}

pub(crate) fn refuse_body(rejection: &BytesRejection) -> Problem {
    match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(),
        _ => Problem::malformed("the body could not be read to its end"),
    }
}

/// `application/json`, or a type that builds on it such as `application/merge-patch+json`.
fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// The id in the path. A text that cannot be an id is the id of nothing.
pub(crate) struct IdInPath<T>(pub(crate) T);

impl<S: Send + Sync, T: TryFrom<String>> FromRequestParts<S> for IdInPath<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text = Path::<String>::from_request_parts(parts, state).await.ok();
        if let (Some(caller), Some(Path(text))) = (parts.extensions.get::<Caller>(), &text) {
            caller.note_subject(text);
        }
        let id = text.and_then(|Path(text)| T::try_from(text).ok());
        id.map(Self).ok_or_else(|| Problem::not_found("there is nothing of this id"))
    }
}

/// The members of the query, in their order, not yet read.
pub(crate) struct QueryMembers(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for QueryMembers {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(members)) => Ok(Self(members)),
            Err(_) => Err(Problem::malformed("the query cannot be read")),
        }
    }
}
