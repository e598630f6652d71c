//! Who calls, what they may do, and what they did.

use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::CACHE_CONTROL;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use tracing::Instrument as _;

use dockbell_chassis::authorization::bearer;
use dockbell_chassis::limits::ClientAddress;
use dockbell_proto::audit::{Actor, Audited};
use dockbell_proto::ids::AuditId;
use dockbell_proto::pattern::Pattern;
use dockbell_proto::token::{Permission, Scope, Token, TokenHash, id_in};

use crate::Console;
use crate::problem::Problem;
use crate::roles::{self, Needs, Route};

/// Whoever was let in, and what is known of the change that they are making.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    actor: Actor,
    scope: Arc<Scope>,
    change: Arc<Mutex<Change>>,
}

/// What the audit trail will say of a change.
#[derive(Debug, Default)]
struct Change {
    subject: Option<String>,
    pattern: Option<Pattern>,
    members: Vec<String>,
}

impl Caller {
    fn new(actor: Actor, scope: Scope) -> Self {
        Self { actor, scope: Arc::new(scope), change: Arc::default() }
    }

    /// Whoever presents the operator's own token.
    fn operator() -> Self {
        Self::new(Actor::Operator, Scope::Operator)
    }

    fn bearer(token: Token) -> Self {
        Self::new(Actor::Token { id: token.id, name: token.name }, token.scope)
    }

    /// Whether everything is theirs.
    pub(crate) fn is_operator(&self) -> bool {
        *self.scope == Scope::Operator
    }

    /// Whether what is set on this pattern is theirs.
    pub(crate) fn reaches(&self, pattern: &Pattern) -> bool {
        self.scope.covers(pattern)
    }

    /// Refuses to set something on a pattern that is not theirs. They named it themselves, so that they may be told.
    pub(crate) fn require(&self, pattern: &Pattern) -> Result<(), Problem> {
        if self.reaches(pattern) { Ok(()) } else { Err(Problem::out_of_reach(&pattern.to_string())) }
    }

    fn meets(&self, needs: Needs) -> Result<(), Problem> {
        let permission = match needs {
            Needs::Nothing | Needs::Token => return Ok(()),
            Needs::Read => Permission::Read,
            Needs::Write => Permission::Write,
            Needs::Operator if self.is_operator() => return Ok(()),
            Needs::Operator => return Err(Problem::forbidden("this is for operators alone")),
        };
        if self.scope.permits(permission) {
            return Ok(());
        }
        Err(Problem::forbidden(format!("this needs a token that permits to {}", permission.as_str())))
    }

    /// Notes which thing is being changed.
    pub(crate) fn note_subject(&self, id: &impl ToString) {
        self.note(|change| change.subject = Some(id.to_string()));
    }

    /// Notes on which repositories it is set.
    pub(crate) fn note_pattern(&self, pattern: &Pattern) {
        self.note(|change| change.pattern = Some(pattern.clone()));
    }

    /// Notes which members were given.
    pub(crate) fn note_members<'a>(&self, members: impl IntoIterator<Item = &'a String>) {
        self.note(|change| change.members = members.into_iter().cloned().collect());
    }

    fn note(&self, note: impl FnOnce(&mut Change)) {
        note(&mut self.change.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn noted(&self) -> Change {
        std::mem::take(&mut self.change.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A handler that asks for its caller is never reached by a stranger.
impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::unauthorized)
    }
}

/// Lets a request through if its caller may make it, and keeps what it changed. It runs before anything else looks at
/// the request, so that strangers learn nothing, not even which paths exist.
pub(crate) async fn authorise(State(console): State<Arc<Console>>, mut request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().cloned();
    let path = path.as_ref().map_or("", MatchedPath::as_str);
    let route = roles::find(request.method(), path);
    let needs = roles::needs(route, path);
    let caller = match console.admit(request.headers(), needs).await {
        Ok(caller) => caller,
        Err(problem) => return problem.into_response(),
    };
    let audited = route.filter(|_| is_change(request.method())).zip(caller.clone());
    if let Some(caller) = caller {
        request.extensions_mut().insert(caller);
    }
    let mut response = match audited {
        Some((route, caller)) => change(console, (route, caller), request, next).await,
        None => next.run(request).await,
    };
    // Answers hold secrets and what is true only now.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Makes a change and keeps it, even if its caller hangs up meanwhile: who could make one without a trace would.
async fn change(
    console: Arc<Console>,
    (route, caller): (&'static Route, Caller),
    request: Request,
    next: Next,
) -> Response {
    let address = request.extensions().get::<ClientAddress>().copied();
    let making = async move {
        let response = next.run(request).await;
        if response.status().is_success() {
            console.keep(route, &caller, address).await;
        }
        response
    };
    #[expect(clippy::disallowed_methods, reason = "it must outlive its caller, and is awaited unless that hangs up")]
    let made = tokio::spawn(making.in_current_span());
    match made.await {
        Ok(response) => response,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The process ends.
            Err(_) => Problem::ending().into_response(),
        },
    }
}

/// Writes a change to the log, for whoever keeps that.
fn tell(change: &Audited) {
    let by = match &change.actor {
        Actor::Operator => "operator",
        Actor::Token { id, .. } => id.as_str(),
    };
    let shown = |value: Option<String>| value.unwrap_or_default();
    tracing::info!(
        target: "dockbell::audit",
        {
            change.id = %change.id,
            change.by = by,
            change.address = shown(change.address.map(|address| address.to_string())),
            change.action = change.action,
            change.subject = shown(change.subject.clone()),
            change.repository = shown(change.pattern.as_ref().map(ToString::to_string)),
            change.members = change.members.join(","),
        },
        "a change was made"
    );
}

fn is_change(method: &Method) -> bool {
    !method.is_safe()
}

impl Console {
    /// Who calls, if they may; nobody in particular, where that does not matter.
    async fn admit(&self, headers: &HeaderMap, needs: Needs) -> Result<Option<Caller>, Problem> {
        if needs == Needs::Nothing {
            return Ok(None);
        }
        let caller = self.caller(headers).await?;
        caller.meets(needs)?;
        Ok(Some(caller))
    }

    async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        let presented = bearer(headers).ok_or_else(Problem::unauthorized)?;
        let hash = TokenHash::of(presented);
        if self.admin_token.matches(&hash) {
            return Ok(Caller::operator());
        }
        let id = id_in(presented).ok_or_else(Problem::unauthorized)?;
        let token = self.store.access().token(&id).await?;
        let token = token.filter(|token| token.admits(&hash, self.clock.now()));
        token.map(Caller::bearer).ok_or_else(Problem::unauthorized)
    }

    /// Adds what was done to the audit trail. It is done already: where the store does not take it, the log has it.
    async fn keep(&self, route: &Route, caller: &Caller, address: Option<ClientAddress>) {
        let Change { subject, pattern, members } = caller.noted();
        let change = Audited {
            id: AuditId::from_random(self.random()),
            at: self.clock.now(),
            actor: caller.actor.clone(),
            address: address.map(|ClientAddress(address)| address),
            action: route.operation.to_owned(),
            subject,
            pattern,
            members,
        };
        tell(&change);
        if let Err(error) = self.store.access().note(&change).await {
            tracing::error!(change.id = %change.id, %error, "a change is missing in the audit trail; the log has it");
        }
    }
}
