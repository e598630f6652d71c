//! Who may do what: every route, and what it asks of its caller.

use http::Method;

/// What a route asks of its caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// A token, whichever.
    Token,
    /// A token that permits to read some repositories.
    Read,
    /// A token that permits to write some repositories.
    Write,
    /// An operator's token.
    Operator,
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Its method; `HEAD` counts as `GET`.
    pub method: Method,
    /// Its path, with the names of its parameters.
    pub path: &'static str,
    /// The name of the operation in the description of the API.
    pub operation: &'static str,
    /// What it asks.
    pub needs: Needs,
}

/// The paths that lead nowhere: they are there so that strangers do not learn which others do.
pub(crate) const NOWHERE: [&str; 3] = ["/api", "/api/", "/api/{*rest}"];

/// Every route. What is missing here is the operator's alone.
pub static ROUTES: [Route; 31] = [
    route(Method::GET, "/api/v1/openapi.json", "read_openapi", Needs::Nothing),
    route(Method::GET, "/.well-known/webhook-keys/{id}", "read_public_keys", Needs::Nothing),
    // Its ticket is what lets a receiver report.
    route(Method::POST, "/api/v1/callbacks/{id}", "take_callback", Needs::Nothing),
    route(Method::POST, "/api/v1/webhooks", "create_webhook", Needs::Write),
    route(Method::GET, "/api/v1/webhooks", "list_webhooks", Needs::Read),
    route(Method::GET, "/api/v1/webhooks/{id}", "read_webhook", Needs::Read),
    route(Method::PATCH, "/api/v1/webhooks/{id}", "change_webhook", Needs::Write),
    route(Method::DELETE, "/api/v1/webhooks/{id}", "remove_webhook", Needs::Write),
    route(Method::POST, "/api/v1/webhooks/{id}/test", "test_webhook", Needs::Write),
    route(Method::GET, "/api/v1/webhooks/{id}/standing", "read_standing", Needs::Read),
    route(Method::POST, "/api/v1/webhooks/{id}/resume", "resume_webhook", Needs::Write),
    route(Method::POST, "/api/v1/webhooks/{id}/replay", "replay_skipped", Needs::Write),
    route(Method::POST, "/api/v1/webhooks/{id}/discard-skipped", "discard_skipped", Needs::Write),
    route(Method::POST, "/api/v1/webhooks/{id}/rotate", "rotate_secret", Needs::Write),
    route(Method::GET, "/api/v1/deliveries", "list_deliveries", Needs::Read),
    route(Method::GET, "/api/v1/deliveries/{id}", "read_delivery", Needs::Read),
    route(Method::POST, "/api/v1/deliveries/{id}/redeliver", "redeliver", Needs::Write),
    route(Method::GET, "/api/v1/dead-letters", "list_dead_letters", Needs::Read),
    route(Method::GET, "/api/v1/dead-letters/{id}", "read_dead_letter", Needs::Read),
    route(Method::POST, "/api/v1/dead-letters/{id}/revive", "revive_dead_letter", Needs::Write),
    route(Method::POST, "/api/v1/dead-letters/{id}/discard", "discard_dead_letter", Needs::Write),
    route(Method::POST, "/api/v1/dead-letters/revive", "revive_dead_letters", Needs::Write),
    route(Method::POST, "/api/v1/dead-letters/discard", "discard_dead_letters", Needs::Write),
    route(Method::GET, "/api/v1/unrouted", "list_unrouted", Needs::Operator),
    route(Method::POST, "/api/v1/unrouted/replay", "replay_unrouted", Needs::Operator),
    route(Method::POST, "/api/v1/secrets/reseal", "reseal_secrets", Needs::Operator),
    route(Method::POST, "/api/v1/tokens", "create_token", Needs::Operator),
    route(Method::GET, "/api/v1/tokens", "list_tokens", Needs::Operator),
    route(Method::GET, "/api/v1/tokens/{id}", "read_token", Needs::Operator),
    route(Method::DELETE, "/api/v1/tokens/{id}", "remove_token", Needs::Operator),
    route(Method::GET, "/api/v1/audit", "list_audit", Needs::Operator),
];

const fn route(method: Method, path: &'static str, operation: &'static str, needs: Needs) -> Route {
    Route { method, path, operation, needs }
}

/// The route of a request.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Route> {
    let asks = |of: &Method| *of == *method || (*of == Method::GET && *method == Method::HEAD);
    ROUTES.iter().find(|route| asks(&route.method) && route.path == path)
}

/// What a request asks of its caller: by default, to be an operator.
pub(crate) fn needs(route: Option<&Route>, path: &str) -> Needs {
    match route {
        Some(route) => route.needs,
        None if NOWHERE.contains(&path) => Needs::Token,
        None => Needs::Operator,
    }
}
