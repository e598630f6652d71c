//! The route that seals the secrets of all webhooks under the key that seals now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::Store;
use dockbell_backends::store::{PageRequest, StoreError};

use crate::Console;
use crate::draft::read_only_page;
use crate::extract::QueryMembers;
use crate::problem::Problem;
use crate::view::Resealed;

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(reseal_secrets))
}

/// Seal secrets under the current key
///
/// Seals the secrets of a page of webhooks, oldest first, under the first key of the file of keys, where another key or none
/// does. Nothing else changes. It may be repeated, and webhooks may be changed meanwhile. Give `next` as `after` until there is none; then
/// the other keys are needed no more.
#[utoipa::path(
    post, path = "/api/v1/secrets/reseal", tag = "secrets",
    params(
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many webhooks; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "They are sealed", body = Resealed),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn reseal_secrets(
    State(console): State<Arc<Console>>,
    QueryMembers(query): QueryMembers,
) -> Result<Json<Resealed>, Problem> {
    let page = read_only_page(query)?;
    let (resealed, next) = reseal_page(&*console.store, page.after, page.limit).await?;
    tracing::info!(resealed, "secrets were sealed");
    Ok(Json(Resealed { resealed, next }))
}

/// Seals the secrets of a page of webhooks, `limit` of them at most, where that is not done. Returns of how many it had to be, and where the next page
/// starts.
pub async fn reseal_page(
    store: &dyn Store,
    after: Option<String>,
    limit: u32,
) -> Result<(u32, Option<String>), StoreError> {
    let page = store.webhooks(&PageRequest { after, limit }).await?;
    let mut resealed = 0;
    for webhook in &page.items {
        resealed += u32::from(store.reseal(&webhook.id).await?);
    }
    Ok((resealed, page.next))
}
