//! The routes about strays: what others published and nothing was bound to take.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Console;
use crate::draft::letters::read_limit;
use crate::extract::QueryMembers;
use crate::problem::Problem;
use crate::view::PageView;
use crate::view::letters::{StrayView, StraysReplayed};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(list_unrouted)).routes(routes!(replay_unrouted))
}

/// List strays, oldest first
///
/// They stay where they are. Only a broker that others publish to has any. There are no further pages: replay the first ones to see more.
#[utoipa::path(
    get, path = "/api/v1/unrouted", tag = "strays",
    params(("limit" = Option<u32>, Query, description = "How many entries; 50, if left out", minimum = 1, maximum = 100)),
    responses(
        (status = 200, description = "The first strays", body = PageView<StrayView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_unrouted(
    State(console): State<Arc<Console>>,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<StrayView>>, Problem> {
    let strays = console.bus.unrouted(read_limit(query)?).await?;
    Ok(Json(PageView { items: strays.into_iter().map(StrayView::from).collect(), next: None }))
}

/// Replay strays
///
/// The first ones are published again, to where what others publish goes. One may come twice if this is broken off.
#[utoipa::path(
    post, path = "/api/v1/unrouted/replay", tag = "strays",
    params(("limit" = Option<u32>, Query, description = "How many at most; 50, if left out", minimum = 1, maximum = 100)),
    responses(
        (status = 200, description = "They are on their way", body = StraysReplayed),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn replay_unrouted(
    State(console): State<Arc<Console>>,
    QueryMembers(query): QueryMembers,
) -> Result<Json<StraysReplayed>, Problem> {
    let replayed = console.bus.replay_unrouted(read_limit(query)?).await?;
    tracing::info!(replayed, "strays were replayed");
    Ok(Json(StraysReplayed { replayed }))
}
