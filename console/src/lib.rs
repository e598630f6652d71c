//! The console: the REST API with which people set webhooks and look at deliveries.

mod audit;
mod auth;
mod callbacks;
mod deliveries;
mod draft;
mod extract;
mod letters;
mod openapi;
mod operators;
mod problem;
mod publish;
mod replay;
mod request;
mod roles;
mod rotation;
mod sample;
mod sealing;
mod standing;
mod strays;
mod tokens;
mod view;
mod webhooks;

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::DefaultBodyLimit;
use axum::routing::any;
use axum::{Extension, Router, middleware};
use rand::RngExt as _;
use rand::distr::{Distribution, StandardUniform};
use rand::rngs::StdRng;

use dockbell_backends::{Bus, Store};
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::clock::Clock;
use dockbell_proto::policy::Policy;
use dockbell_proto::token::TokenHash;

pub use operators::Operators;
pub use problem::{MemberProblem, Problem};
pub use request::{CallbackReport, NewToken, NewWebhook, Period, WebhookChange};
pub use roles::{Needs, ROUTES, Route};
pub use sealing::reseal_page;
pub use view::letters::{DeadLetterView, LettersDecided, RevivalAsked, StrayView, StraysReplayed};
pub use view::{
    AfterView, AttemptView, AuditedView, AuthorizationView, CallbackView, ChangeView, CreatedToken, CreatedWebhook,
    DeliveryView, Discarded, FilterView, HealthView, PageView, PolicyView, ProofsView, PublicKeys, RedeliveryAsked,
    Replayed, Resealed, StandingChangeView, StandingView, TestAsked, TlsView, TokenView, WebhookView,
};

/// The largest body of a request, in bytes: room for a webhook with every header at its limit, and then some.
pub const BODY_LIMIT: usize = 256 * 1024;

/// What the console works with.
#[derive(Debug)]
pub struct Console {
    /// Where webhooks and the history are.
    pub store: Arc<dyn Store>,
    /// Where redeliveries go.
    pub bus: Arc<dyn Bus>,
    /// Where operators are told what owners do.
    pub operators: Operators,
    /// The time of day.
    pub clock: Arc<dyn Clock>,
    /// Which addresses a webhook may name.
    pub targets: Arc<AddressPolicy>,
    /// Whether a webhook may have its receiver believed whatever that shows.
    pub allows_skip_verify: bool,
    /// The delivery policy of webhooks that have none of their own.
    pub policy: Policy,
    /// The most webhooks on one and the same pattern: a push is owed to all of them at once.
    pub webhooks_per_pattern: usize,
    /// Whether receivers are told where to report.
    pub takes_callbacks: bool,
    /// The hash of what the operator presents.
    pub admin_token: TokenHash,
    /// Where ids and signing secrets come from: it must be seeded by the operating system.
    pub rng: Mutex<StdRng>,
}

impl Console {
    fn random<T>(&self) -> T
    where
        StandardUniform: Distribution<T>,
    {
        // Nothing panics while it holds the lock, and a generator cannot be left half changed.
        self.rng.lock().unwrap_or_else(PoisonError::into_inner).random()
    }
}

/// Everything below `/api`, and the public keys below `/.well-known`, to be merged with other routes. What each asks of its
/// caller says [`ROUTES`]; whatever is not there asks for a token, whether it exists or not.
pub fn router(console: Console) -> Router {
    let console = Arc::new(console);
    let webhooks = webhooks::routes().merge(standing::routes()).merge(rotation::routes());
    let deliveries = deliveries::routes().merge(callbacks::routes());
    let given_up = letters::routes().merge(strays::routes());
    let operators = sealing::routes().merge(tokens::routes()).merge(audit::routes());
    let described = openapi::describe(webhooks.merge(deliveries).merge(given_up).merge(operators));
    let (mut routes, document) = described.split_for_parts();
    for path in roles::NOWHERE {
        routes = routes.route(path, any(|| async { Problem::not_found("there is nothing at this path") }));
    }
    routes
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .layer(Extension(Arc::new(document)))
        // Every path below `/api` has a route, so that none gets around this; an unlayered fallback is left to
        // the router that this one is merged into.
        .route_layer(middleware::from_fn_with_state(Arc::clone(&console), auth::authorise))
        .with_state(console)
}
