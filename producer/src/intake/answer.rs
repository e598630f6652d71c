//! What the intake answers.

use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use dockbell_proto::credential::Proof;
use serde::Serialize;
use serde_json::json;

use crate::decode::Decoded;

/// How many different problems an answer names.
const PROBLEMS_LIMIT: usize = 5;

/// What a body came to.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Pushes of manifests, now durable.
    pub(super) accepted: usize,
    /// Noise.
    pub(super) ignored: usize,
    /// Entries that ought to be events and are none.
    pub(super) rejected: usize,
    /// Why they are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) problems: Vec<&'static str>,
}

impl Counts {
    pub(super) fn of(decoded: &Decoded) -> Self {
        let mut problems = decoded.rejected.clone();
        problems.sort_unstable();
        problems.dedup();
        problems.truncate(PROBLEMS_LIMIT);
        Self {
            accepted: decoded.events.len(),
            ignored: decoded.ignored.len(),
            rejected: decoded.rejected.len(),
            problems,
        }
    }
}

/// An answer of the intake.
#[derive(Debug)]
pub(super) enum Answer {
    Accepted(Counts),
    /// Event Grid may send: it gets its code back.
    Validation(String),
    /// A sender of `CloudEvents` may send.
    Permission(Vec<(HeaderName, HeaderValue)>),
    UnknownSource,
    Unproven(Proof),
    /// A token is presented, and there is no store that knows any.
    NoTokens,
    /// The store that knows them is away.
    TokensAway,
    NotForIngest,
    NotPost,
    Encoded,
    TooSlow,
    TooLarge,
    Broken,
    NoNotification(String),
    NotDurable,
}

impl Answer {
    fn status_and_detail(&self) -> (StatusCode, &str) {
        match self {
            Self::Accepted(_) => (StatusCode::ACCEPTED, ""),
            Self::Validation(_) | Self::Permission(_) => (StatusCode::OK, ""),
            Self::UnknownSource => {
                (StatusCode::NOT_FOUND, "no source of this name is configured; see `sources` in the configuration")
            }
            Self::Unproven(proof) => unproven(proof),
            Self::NoTokens => (
                StatusCode::UNAUTHORIZED,
                "this intake knows no tokens, because `redis.url` is not set; send the secret of the source",
            ),
            Self::TokensAway => {
                (StatusCode::SERVICE_UNAVAILABLE, "the store that knows the token is away; send the events again")
            }
            Self::NotForIngest => (StatusCode::FORBIDDEN, "this needs a token that permits to ingest"),
            Self::NotPost => (StatusCode::METHOD_NOT_ALLOWED, "send notifications by POST"),
            Self::Encoded => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the body without Content-Encoding"),
            Self::TooSlow => (StatusCode::REQUEST_TIMEOUT, "the body took more than 10 s to arrive"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 4 MiB"),
            Self::Broken => (StatusCode::BAD_REQUEST, "the body broke off"),
            Self::NoNotification(problem) => (StatusCode::BAD_REQUEST, problem),
            Self::NotDurable => {
                (StatusCode::SERVICE_UNAVAILABLE, "the events could not be made durable in time; send them again")
            }
        }
    }

    fn header(&self) -> Option<(HeaderName, &'static str)> {
        match self {
            Self::Unproven(Proof::Bearer | Proof::Authorization) | Self::NoTokens => Some((WWW_AUTHENTICATE, "Bearer")),
            Self::Unproven(Proof::Basic { .. }) => Some((WWW_AUTHENTICATE, "Basic realm=\"dockbell\"")),
            Self::NotPost => Some((ALLOW, "POST")),
            Self::NotDurable | Self::TokensAway => Some((RETRY_AFTER, "1")),
            _ => None,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        match self {
            Self::Accepted(counts) => (StatusCode::ACCEPTED, axum::Json(counts)).into_response(),
            Self::Validation(code) => axum::Json(json!({"validationResponse": code})).into_response(),
            Self::Permission(headers) => (HeaderMap::from_iter(headers), ()).into_response(),
            refusal => refusal.into_problem(),
        }
    }
}

impl Answer {
    fn into_problem(self) -> Response {
        let (status, detail) = self.status_and_detail();
        let problem = json!({"type": "about:blank", "title": status.canonical_reason(), "status": status.as_u16(), "detail": detail});
        let mut response = (status, [(CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response();
        if let Some((name, value)) = self.header() {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// What is missing is told by its place alone. There is no scheme for a signature or a path, which a 401 would have to
/// name.
fn unproven(proof: &Proof) -> (StatusCode, &'static str) {
    match proof {
        Proof::Bearer => (StatusCode::UNAUTHORIZED, "send the secret of the source as `Authorization: Bearer …`"),
        Proof::Basic { .. } => {
            (StatusCode::UNAUTHORIZED, "send user and secret of the source as `Authorization: Basic …`")
        }
        Proof::Authorization => (StatusCode::UNAUTHORIZED, "send the secret of the source as `Authorization`"),
        Proof::Signature => {
            (StatusCode::FORBIDDEN, "sign the body with the secret of the source in `X-Hub-Signature-256`")
        }
        Proof::Path => (StatusCode::FORBIDDEN, "put the secret of the source behind its name: `/ingest/NAME/SECRET`"),
    }
}
