//! The route by which receivers report what came of a delivery that they took.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{FromRequest as _, Request, State};
use serde_json::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::store::DeliveryRecord;
use dockbell_proto::address::AddressPolicy;
use dockbell_proto::callback::ticket::Ticket;
use dockbell_proto::callback::{
    CONTEXT_LIMIT, Callback, CallbackId, CallbackState, DESCRIPTION_LIMIT, Report, TARGET_URL_LIMIT,
};
use dockbell_proto::target::TargetUrl;

use crate::Console;
use crate::extract::{IdInPath, refuse_body};
use crate::problem::{MemberProblem, Problem};
use crate::request::CallbackReport;
use crate::view::CallbackView;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(take_callback))
}

/// Report what came of a delivery
///
/// For receivers, at the `callback_url` of what they got, within ten days; no token is asked for. The first report
/// stands, and may be repeated. A body that is no JSON by its type is read all the same.
#[utoipa::path(
    post, path = "/api/v1/callbacks/{id}", tag = "deliveries", security(()),
    params(("id" = String, Path, description = "What the `callback_url` ends with: a secret")),
    request_body = CallbackReport,
    responses(
        (status = 200, description = "It was reported, now or before", body = CallbackView),
        (status = 400, description = "The body is no JSON object"),
        (status = 404, description = "There is no such callback URL"),
        (status = 409, description = "Something else was reported before"),
        (status = 410, description = "The time is over"),
        (status = 413, description = "The body is too large"),
        (status = 422, description = "Some members are not valid"),
        (status = 503, description = "The store is away"),
    ),
)]
async fn take_callback(
    State(console): State<Arc<Console>>,
    IdInPath(ticket): IdInPath<Ticket>,
    request: Request,
) -> Result<Json<CallbackView>, Problem> {
    // Strangers are told off before their bodies are read.
    require_genuine(&console, &ticket).await?;
    let body = Bytes::from_request(request, &()).await.map_err(|rejection| refuse_body(&rejection))?;
    let members: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Problem::malformed(format!("the body is not a JSON object: {error}")))?;
    let report = read(&members).map_err(Problem::invalid)?;
    let Ticket { webhook, id, until, .. } = ticket;
    let callback = Callback { id, webhook, report, at: console.clock.now(), until };
    let stands = console.store.keep_callback(&callback).await?;
    if stands.report != callback.report {
        return Err(Problem::callback_conflict());
    }
    let (webhook, delivery, state) = (&stands.webhook, &stands.id.delivery, stands.report.state.as_str());
    tracing::info!(webhook.id = %webhook, delivery.id = %delivery, callback.state = state, "a receiver reported what came of a delivery");
    Ok(Json(stands.into()))
}

/// A webhook that is gone has no callbacks, and a secret that signs no more vouches for none.
async fn require_genuine(console: &Console, ticket: &Ticket) -> Result<(), Problem> {
    let (webhook, now) = (console.store.webhook(&ticket.webhook).await?, console.clock.now());
    let is_genuine = webhook.is_some_and(|webhook| ticket.is_genuine(webhook.proofs.secret.signing(now)));
    match (is_genuine, ticket.until > now) {
        (false, _) => Err(Problem::not_found("there is nothing of this id")),
        (true, false) => Err(Problem::callback_expired()),
        (true, true) => Ok(()),
    }
}

/// Reads the members that Docker Hub documents; others are ignored, as receivers send what they like.
fn read(members: &Map<String, Value>) -> Result<Report, Vec<MemberProblem>> {
    let mut errors = Vec::new();
    let state = members.get("state").and_then(Value::as_str).and_then(CallbackState::parse);
    if state.is_none() {
        errors.push(("state", "must be success, failure or error".to_owned()));
    }
    let mut text = |name: &'static str, limit: usize| match members.get(name) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) if text.chars().count() <= limit => {
            Some(text.clone()).filter(|text| !text.is_empty())
        }
        Some(_) => {
            errors.push((name, format!("must be a text of at most {limit} characters")));
            None
        }
    };
    let (description, context) = (text("description", DESCRIPTION_LIMIT), text("context", CONTEXT_LIMIT));
    let target_url = text("target_url", TARGET_URL_LIMIT);
    // People will click on it.
    let is_url = |url: &String| TargetUrl::parse(url, &AddressPolicy::permitting_all()).is_ok();
    if target_url.as_ref().is_some_and(|url| !is_url(url)) {
        errors.push(("target_url", "must be an http or https URL without user name and fragment".to_owned()));
    }
    match state {
        Some(state) if errors.is_empty() => Ok(Report { state, description, context, target_url }),
        _ => Err(errors.into_iter().map(|(member, problem)| told(member, &problem)).collect()),
    }
}

fn told(member: &str, problem: &str) -> MemberProblem {
    MemberProblem { member: member.to_owned(), problem: format!("{member} {problem}") }
}

/// What was reported of a recorded delivery, by request.
pub(crate) async fn of(console: &Console, record: &DeliveryRecord) -> Result<Vec<CallbackView>, Problem> {
    let attempted = record.attempts.iter().map(|attempt| attempt.request);
    let requests: BTreeSet<u32> = attempted.chain([record.delivery.request]).collect();
    let id = |request| CallbackId { delivery: record.delivery.id.clone(), request };
    let ids: Vec<CallbackId> = requests.into_iter().map(id).collect();
    let found = console.store.callbacks(&ids).await?;
    Ok(found.into_iter().flatten().map(CallbackView::from).collect())
}
