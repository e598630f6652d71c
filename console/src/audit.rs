//! The route of the audit trail.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Console;
use crate::draft::read_only_page;
use crate::extract::QueryMembers;
use crate::problem::Problem;
use crate::view::{AuditedView, PageView};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(list_audit))
}

/// List who changed what, newest first
///
/// Every change that was made through the API, without the values that were given. The last 20,000 are kept.
#[utoipa::path(
    get, path = "/api/v1/audit", tag = "tokens",
    params(
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many changes; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "A page of changes", body = PageView<AuditedView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_audit(
    State(console): State<Arc<Console>>,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<AuditedView>>, Problem> {
    let found = console.store.access().audit(&read_only_page(query)?).await?;
    Ok(Json(PageView { items: found.items.into_iter().map(AuditedView::from).collect(), next: found.next }))
}
