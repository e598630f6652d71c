//! Who may call: the bearer of the admin token, except for what the table of public routes names.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderValue, Method};

use dockbell_chassis::authorization::bearer;
use dockbell_proto::callback;
use dockbell_proto::secret::Secret;

use crate::Console;
use crate::openapi::DOCUMENT_PATH;
use crate::problem::Problem;
use crate::rotation::KEYS_PATH;

/// The routes that need no token, besides those of the public keys and of callbacks.
const PUBLIC: [(Method, &str); 1] = [(Method::GET, DOCUMENT_PATH)];

/// Lets a request through that is public or presents the admin token. It runs before anything else looks at
/// the request, so that strangers learn nothing, not even which paths exist.
pub(crate) async fn require_token(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    if !is_public(&request) && !presents(request.headers(), &console.admin_token) {
        return Problem::unauthorized().into_response();
    }
    let mut response = next.run(request).await;
    // Answers hold secrets and what is true only now.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn is_public(request: &Request) -> bool {
    let (method, path) = (request.method(), request.uri().path());
    let is_listed = PUBLIC.iter().any(|(public, listed)| public == method && *listed == path);
    let is_key = method == Method::GET && path.starts_with(KEYS_PATH);
    // Its ticket is what lets a receiver report.
    let is_callback = method == Method::POST && path.starts_with(callback::PATH);
    is_listed || is_key || is_callback
}

/// An empty token lets nobody in.
fn presents(headers: &HeaderMap, token: &Secret) -> bool {
    bearer(headers).is_some_and(|presented| token.matches(presented))
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    #[test]
    fn only_the_whole_token_lets_in() {
        let cases = [
            ("Bearer canary", true),
            ("bearer canary", true),
            ("Bearer canar", false),
            ("Bearer canary2", false),
            ("Basic canary", false),
            ("canary", false),
            ("Bearer", false),
            ("Bearer ", false),
        ];
        for (value, lets_in) in cases {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(presents(&headers, &Secret::new("canary")), lets_in, "{value}");
            assert!(!presents(&headers, &Secret::new("")), "{value}");
        }
        assert!(!presents(&HeaderMap::new(), &Secret::new("")));
    }
}
