//! What callers of our listeners present.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The token of an `Authorization: Bearer` header; never an empty one.
///
/// Source: RFC 6750, section 2.1, and RFC 9110, section 11.1, by which the scheme has no case.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let token = token.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_a_bearer_token_that_is_not_empty_counts() {
        let presented = |value| {
            bearer(&HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))])).map(str::to_owned)
        };
        for value in ["Bearer canary", "bearer canary", "BEARER  canary "] {
            assert_eq!(presented(value).as_deref(), Some("canary"), "{value:?}");
        }
        for value in ["", "canary", "Bearer", "Bearer ", "Basic canary"] {
            assert_eq!(presented(value), None, "{value:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
    }
}
