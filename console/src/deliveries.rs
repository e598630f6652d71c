//! The routes about deliveries.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::store::DeliveryRecord;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::webhook::Webhook;

use crate::auth::Caller;
use crate::draft::read_history_query;
use crate::extract::{IdInPath, QueryMembers};
use crate::problem::Problem;
use crate::view::{DeliveryView, PageView, RedeliveryAsked};
use crate::webhooks::{may_list, reaches};
use crate::{Console, callbacks, publish};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(list_deliveries)).routes(routes!(read_delivery)).routes(routes!(redeliver))
}

/// List deliveries, newest first
#[utoipa::path(
    get, path = "/api/v1/deliveries", tag = "deliveries",
    params(
        ("webhook" = Option<String>, Query, description = "Only deliveries to this webhook; must be given, unless the token is an operator's"),
        ("state" = Option<String>, Query, description = "Only deliveries in this state: `delivered`, `retrying`, `parked`, `dead`, `superseded`, `unchanged`, `skipped` or `expired`"),
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many entries; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "A page of deliveries, without their attempts", body = PageView<DeliveryView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_deliveries(
    State(console): State<Arc<Console>>,
    caller: Caller,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<DeliveryView>>, Problem> {
    let query = read_history_query(query)?;
    if !may_list(&console, &caller, query.webhook.as_ref()).await? {
        return Ok(Json(PageView { items: Vec::new(), next: None }));
    }
    let found = console.store.history(&query).await?;
    let items = found.items.into_iter().map(DeliveryView::from).collect();
    Ok(Json(PageView { items, next: found.next }))
}

/// Look at a delivery and its attempts
#[utoipa::path(
    get, path = "/api/v1/deliveries/{id}", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery")),
    responses(
        (status = 200, description = "The delivery", body = DeliveryView),
        (status = 404, description = "None is recorded"),
    ),
)]
async fn read_delivery(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<DeliveryId>,
) -> Result<Json<DeliveryView>, Problem> {
    let record = find(&console, &caller, &id).await?;
    let callbacks = callbacks::of(&console, &record).await?;
    Ok(Json(DeliveryView { callbacks, ..record.into() }))
}

/// Send a delivery again
///
/// It keeps its id; its attempts carry the number of the request.
#[utoipa::path(
    post, path = "/api/v1/deliveries/{id}/redeliver", tag = "deliveries",
    params(("id" = String, Path, description = "The delivery")),
    responses(
        (status = 202, description = "It is on its way", body = RedeliveryAsked),
        (status = 404, description = "None is recorded"),
        (status = 409, description = "Its webhook was removed or is disabled"),
    ),
)]
async fn redeliver(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(id): IdInPath<DeliveryId>,
) -> Result<(StatusCode, Json<RedeliveryAsked>), Problem> {
    let recorded = find(&console, &caller, &id).await?.delivery;
    require_addressee(&recorded.webhook, console.store.webhook(&recorded.webhook).await?.as_ref())?;
    let request = publish::again(&console, &recorded).await?;
    tracing::info!(delivery.id = %id, delivery.request = request, "a redelivery was asked for");
    Ok((StatusCode::ACCEPTED, Json(RedeliveryAsked { id: id.to_string(), request })))
}

/// A deliverer drops what is owed to a webhook that is disabled or gone: the caller should hear of it now. A store
/// forgets the history of a webhook that it removes, so *gone* is mostly told as *not recorded*; what remains is a
/// removal between two reads.
pub(crate) fn require_addressee(id: &WebhookId, webhook: Option<&Webhook>) -> Result<(), Problem> {
    match webhook {
        None => Err(Problem::webhook_gone(id.as_str())),
        Some(webhook) if !webhook.enabled => Err(Problem::webhook_disabled(id.as_str())),
        Some(_) => Ok(()),
    }
}

/// The delivery of this id, if the caller reaches its webhook.
async fn find(console: &Console, caller: &Caller, id: &DeliveryId) -> Result<DeliveryRecord, Problem> {
    let record = console.store.delivery(id).await?.ok_or_else(publish::unrecorded)?;
    if reaches(console, caller, &record.delivery.webhook).await? { Ok(record) } else { Err(publish::unrecorded()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    use dockbell_proto::webhook::Format;
    use dockbell_testkit::sample::webhook;

    #[test]
    fn only_a_webhook_that_is_there_and_rings_is_an_addressee() {
        let rings = webhook(1, "team/app", Format::Batch, "https://receiver.test/");
        let disabled = Webhook { enabled: false, ..rings.clone() };
        let kind = |webhook| require_addressee(&rings.id, webhook).map_err(|problem| (problem.status, problem.kind));
        assert_eq!(kind(Some(&rings)), Ok(()));
        assert_eq!(kind(Some(&disabled)), Err((409, "urn:dockbell:problem:webhook-disabled".into())));
        assert_eq!(kind(None), Err((409, "urn:dockbell:problem:webhook-gone".into())));
    }
}
