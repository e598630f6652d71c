//! The routes about webhooks.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use serde_json::Value;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::store::{Page, PageRequest};
use dockbell_proto::filter::Filter;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::SigningKey;
use dockbell_proto::webhook::{Webhook, WebhookPatch};

use crate::auth::Caller;
use crate::draft::chain::require_reports;
use crate::draft::options::require_sense;
use crate::draft::proofs::require_agreement;
use crate::draft::tls::require_use;
use crate::draft::{PatchDraft, WebhookDraft, WebhookQuery, reading};
use crate::extract::{IdInPath, JsonObject, QueryMembers};
use crate::problem::{MemberProblem, Problem};
use crate::standing::note_switch;
use crate::view::{CreatedWebhook, PageView, TestAsked, WebhookView};
use crate::{Console, NewWebhook, WebhookChange, publish, sample};

/// How many pages are looked through for one, if not everything is the caller's.
const PAGES_LOOKED_AT: u32 = 20;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(create_webhook, list_webhooks))
        .routes(routes!(read_webhook, change_webhook, remove_webhook))
        .routes(routes!(test_webhook))
}

/// Make a webhook
///
/// The answer holds the signing secret of the webhook. It is shown this once.
#[utoipa::path(
    post, path = "/api/v1/webhooks", tag = "webhooks",
    request_body = NewWebhook,
    responses(
        (status = 201, description = "It is made", body = CreatedWebhook, headers(("Location" = String, description = "Its path"))),
        (status = 400, description = "The body is not a JSON object"),
        (status = 409, description = "There are too many webhooks on this pattern"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 422, description = "Some members are not valid or not known; all of them are named"),
    ),
)]
async fn create_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<CreatedWebhook>), Problem> {
    let draft = WebhookDraft::read(body, (&console.targets, &console.policy))?;
    caller.require(&draft.pattern)?;
    require_room(&console, &draft.pattern).await?;
    let id = WebhookId::from_random(console.random());
    let secret = SigningSecret::from_random(console.random());
    let key = SigningKey::from_random(console.random());
    let webhook = draft.into_webhook(id, (secret, key), console.clock.now());
    require_agreement(&webhook)?;
    require_sense(&webhook)?;
    require_use(&console, &webhook)?;
    require_reports(&console, &caller, &webhook).await?;
    console.store.put_webhook(&webhook).await?;
    caller.note_subject(&webhook.id);
    caller.note_pattern(&webhook.pattern);
    tracing::info!(webhook.id = %webhook.id, webhook.pattern = %webhook.pattern, "a webhook was made");
    let location = format!("/api/v1/webhooks/{}", webhook.id);
    let secret = webhook.proofs.secret.current.expose();
    let webhook = shown(&console, &webhook).await?;
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(CreatedWebhook { webhook, secret })))
}

/// List webhooks, oldest first
///
/// Those that the token reaches. Many may have to be looked at to find some: a page may be short, or empty, and still have a
/// next one. Those on exactly one pattern are found at once.
#[utoipa::path(
    get, path = "/api/v1/webhooks", tag = "webhooks",
    params(
        ("repository" = Option<String>, Query, description = "Only webhooks that are set on exactly this: `team/app`, `team/*` or `*`"),
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many entries; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "A page of webhooks", body = PageView<WebhookView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_webhooks(
    State(console): State<Arc<Console>>,
    caller: Caller,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<WebhookView>>, Problem> {
    let WebhookQuery { pattern, page } = WebhookQuery::read(query)?;
    let found = match pattern {
        Some(pattern) => {
            caller.require(&pattern)?;
            cut_page(console.store.webhooks_on(&pattern).await?, &page)
        }
        None => reached(&console, &caller, page).await?,
    };
    let mut items = Vec::with_capacity(found.items.len());
    for webhook in &found.items {
        items.push(shown(&console, webhook).await?);
    }
    Ok(Json(PageView { items, next: found.next }))
}

/// Look at a webhook
#[utoipa::path(
    get, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 200, description = "The webhook", body = WebhookView),
        (status = 404, description = "There is none"),
    ),
)]
async fn read_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<Json<WebhookView>, Problem> {
    let webhook = find(&console, &caller, &id).await?;
    Ok(Json(shown(&console, &webhook).await?))
}

/// Change a webhook
///
/// The body is a JSON merge patch (RFC 7396): what it leaves out stays. A null `registry` makes it any; a header
/// whose value is null goes; a member of the policy whose value is null is as for all webhooks, an option as the format
/// has it by default, a member of the filter lets everything through. With another format the options of the one before go. Enabling a webhook makes it healthy.
#[utoipa::path(
    patch, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    request_body = WebhookChange,
    responses(
        (status = 200, description = "The webhook as it is now", body = WebhookView),
        (status = 400, description = "The body is not a JSON object"),
        (status = 404, description = "There is none"),
        (status = 409, description = "There are too many webhooks on the new pattern"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 422, description = "Some members are not valid or not known; all of them are named"),
    ),
)]
async fn change_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
    JsonObject(body): JsonObject,
) -> Result<Json<WebhookView>, Problem> {
    let PatchDraft { patch, filter, after, options, headers, proofs, tls, policy } =
        PatchDraft::read(body, &console.targets)?;
    let current = find(&console, &caller, &id).await?;
    if let Some(pattern) = patch.pattern.as_ref().filter(|pattern| **pattern != current.pattern) {
        caller.require(pattern)?;
        require_room(&console, pattern).await?;
    }
    let format = patch.format.unwrap_or(current.format);
    let filter = filter.map(|filter| changed_filter(&filter, &current)).transpose()?;
    let after = after.map(|after| after.apply(current.after.as_ref())).transpose()?;
    let is_chained = after.is_some();
    let options = options.map(|options| options.apply(&current, format)).transpose()?;
    let headers = headers.map(|headers| headers.apply(&current.headers)).transpose()?;
    let tls = tls.map(|tls| tls.apply(&current.tls)).transpose()?;
    let policy = policy.map(|policy| policy.apply(&current.policy, &console.policy)).transpose()?;
    let proofs = proofs.into_patch(SigningKey::from_random(console.random()));
    let (patch, now) =
        (WebhookPatch { filter, after, options, headers, proofs, tls, policy, ..patch }, console.clock.now());
    let wanted = current.patched(&patch, now);
    require_agreement(&wanted)?;
    require_sense(&wanted)?;
    require_use(&console, &wanted)?;
    if is_chained || patch.pattern.is_some() || patch.registry.is_some() {
        require_reports(&console, &caller, &wanted).await?;
    }
    if patch.enabled == Some(true) && !current.enabled {
        // Before it rings: what it failed at was before somebody mended it.
        console.store.reset_health(&id).await?;
    }
    let changed = console.store.patch_webhook(&id, &patch, now).await?;
    let webhook = changed.ok_or_else(no_webhook)?;
    tracing::info!(webhook.id = %id, webhook.pattern = %webhook.pattern, "a webhook was changed");
    if webhook.enabled != current.enabled {
        note_switch(&console, &webhook).await?;
    }
    Ok(Json(shown(&console, &webhook).await?))
}

/// Remove a webhook
///
/// Its health and history go with it.
#[utoipa::path(
    delete, path = "/api/v1/webhooks/{id}", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 204, description = "It is removed"),
        (status = 404, description = "There is none"),
    ),
)]
async fn remove_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<StatusCode, Problem> {
    // Removing what is gone ends what a removal before may have left.
    if !reaches(&console, &caller, &id).await? || !console.store.remove_webhook(&id).await? {
        return Err(no_webhook());
    }
    tracing::info!(webhook.id = %id, "a webhook was removed");
    Ok(StatusCode::NO_CONTENT)
}

/// Test a webhook
///
/// Sends it a made-up push of the tag `dockbell-test`, on the same way as any other. What comes of it can be looked
/// up as a delivery.
#[utoipa::path(
    post, path = "/api/v1/webhooks/{id}/test", tag = "webhooks",
    params(("id" = String, Path, description = "The webhook")),
    responses(
        (status = 202, description = "The delivery is on its way", body = TestAsked),
        (status = 404, description = "There is no such webhook"),
        (status = 409, description = "The webhook is disabled"),
    ),
)]
async fn test_webhook(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<WebhookId>,
) -> Result<(StatusCode, Json<TestAsked>), Problem> {
    let webhook = find(&console, &caller, &id).await?;
    if !webhook.enabled {
        return Err(Problem::webhook_disabled(id.as_str()));
    }
    let delivery = DeliveryId::from_random(console.random());
    let asked = TestAsked { delivery: delivery.to_string() };
    publish::ask_for(&*console.bus, sample::delivery(&webhook, delivery, console.clock.now())).await?;
    tracing::info!(webhook.id = %id, delivery.id = asked.delivery, "a test delivery was asked for");
    Ok((StatusCode::ACCEPTED, Json(asked)))
}

fn changed_filter(changes: &Value, current: &Webhook) -> Result<Filter, Problem> {
    reading::filter(changes, &current.filter)
        .map_err(|problem| Problem::invalid(vec![MemberProblem { member: "filter".to_owned(), problem }]))
}

/// The webhook of this id, if the caller reaches it. Whatever they do to it is noted as done to its repositories.
pub(crate) async fn find(console: &Console, caller: &Caller, id: &WebhookId) -> Result<Webhook, Problem> {
    let found = console.store.webhook(id).await?.filter(|webhook| caller.reaches(&webhook.pattern));
    let webhook = found.ok_or_else(no_webhook)?;
    caller.note_pattern(&webhook.pattern);
    Ok(webhook)
}

/// Whether the caller reaches the webhook of this id. One that is gone is reached by operators alone.
pub(crate) async fn reaches(console: &Console, caller: &Caller, id: &WebhookId) -> Result<bool, Problem> {
    let Some(webhook) = console.store.webhook(id).await? else { return Ok(caller.is_operator()) };
    caller.note_pattern(&webhook.pattern);
    Ok(caller.reaches(&webhook.pattern))
}

/// Whether a list of what is owed to this webhook, or to all, may hold anything for the caller. Who does not reach all must
/// say which one.
pub(crate) async fn may_list(console: &Console, caller: &Caller, webhook: Option<&WebhookId>) -> Result<bool, Problem> {
    match webhook {
        Some(id) => reaches(console, caller, id).await,
        None if caller.is_operator() => Ok(true),
        None => {
            let problem = "webhook must be given, because the token does not reach everything".to_owned();
            Err(Problem::invalid(vec![MemberProblem { member: "webhook".to_owned(), problem }]))
        }
    }
}

/// A page of the webhooks that the caller reaches. It may be short, and have a next one all the same: only so many are
/// looked at.
async fn reached(console: &Console, caller: &Caller, page: PageRequest) -> Result<Page<Webhook>, Problem> {
    let (mut items, mut after) = (Vec::new(), page.after);
    for _ in 0..PAGES_LOOKED_AT {
        let limit = page.limit.saturating_sub(u32::try_from(items.len()).unwrap_or(u32::MAX));
        let found = console.store.webhooks(&PageRequest { after, limit }).await?;
        items.extend(found.items.into_iter().filter(|webhook| caller.reaches(&webhook.pattern)));
        after = found.next;
        if after.is_none() || items.len() >= page.limit as usize {
            break;
        }
    }
    Ok(Page { items, next: after })
}

pub(crate) fn no_webhook() -> Problem {
    Problem::not_found("there is no webhook of this id")
}

pub(crate) async fn shown(console: &Console, webhook: &Webhook) -> Result<WebhookView, Problem> {
    Ok(WebhookView::new(webhook, &console.store.health(&webhook.id).await?, console.clock.now()))
}

/// Two callers at once may get past it together: the limit keeps a push cheap, one more does no harm.
async fn require_room(console: &Console, pattern: &Pattern) -> Result<(), Problem> {
    let count = console.store.webhooks_on(pattern).await?.len();
    let limit = console.webhooks_per_pattern;
    if count < limit { Ok(()) } else { Err(Problem::too_many_webhooks(&pattern.to_string(), limit)) }
}

/// A page of the webhooks on one pattern; there are few, so that the store gives all of them at once. A place
/// whose webhook is gone counts as the first.
fn cut_page(webhooks: Vec<Webhook>, page: &PageRequest) -> Page<Webhook> {
    let is_last_shown = |webhook: &Webhook| page.after.as_deref() == Some(webhook.id.as_str());
    let start = webhooks.iter().position(is_last_shown).map_or(0, |place| place + 1);
    let mut rest = webhooks.into_iter().skip(start);
    let items: Vec<Webhook> = rest.by_ref().take(page.limit as usize).collect();
    let next = rest.next().and(items.last()).map(|webhook| webhook.id.to_string());
    Page { items, next }
}
