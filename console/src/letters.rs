//! The routes about dead letters.

mod decide;
mod find;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::store::marks::Decision;

pub(crate) use find::Found;

use crate::Console;
use crate::auth::Caller;
use crate::draft::letters::{LetterPosition, LetterQuery, LetterSelection};
use crate::extract::{IdInPath, QueryMembers};
use crate::problem::Problem;
use crate::view::PageView;
use crate::view::letters::{DeadLetterView, LettersDecided, RevivalAsked};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new()
        .routes(routes!(list_dead_letters))
        .routes(routes!(read_dead_letter))
        .routes(routes!(revive_dead_letter))
        .routes(routes!(discard_dead_letter))
        .routes(routes!(revive_dead_letters))
        .routes(routes!(discard_dead_letters))
}

/// List dead letters, oldest first
///
/// Those that were revived or discarded are left out unless `mark` asks for them. Many letters may have to be looked
/// at to find some: a page may be short, or empty, and still have a next one.
#[utoipa::path(
    get, path = "/api/v1/dead-letters", tag = "dead letters",
    params(
        ("webhook" = Option<String>, Query, description = "Only deliveries to this webhook; must be given, unless the token is an operator's"),
        ("delivery" = Option<String>, Query, description = "Only this delivery"),
        ("queue" = Option<String>, Query, description = "Only messages of this queue: `events`, `deliveries` or `redeliveries`"),
        ("since" = Option<String>, Query, description = "Only what was given up at this time or later, as `2026-01-02T03:04:05Z`"),
        ("until" = Option<String>, Query, description = "Only what was given up at this time or before"),
        ("mark" = Option<String>, Query, description = "`none` (if left out), `revived`, `discarded` or `any`"),
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many entries; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "A page of dead letters, without headers, bodies and attempts", body = PageView<DeadLetterView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_dead_letters(
    State(console): State<Arc<Console>>,
    caller: Caller,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<DeadLetterView>>, Problem> {
    let query = LetterQuery::read(query)?;
    let (found, next) = find::page(&console, &caller, &query).await?;
    let items = found.iter().map(DeadLetterView::listed).collect();
    Ok(Json(PageView { items, next: next.map(|position| position.to_string()) }))
}

/// Look at a dead letter
#[utoipa::path(
    get, path = "/api/v1/dead-letters/{id}", tag = "dead letters",
    params(("id" = String, Path, description = "The position of the dead letter")),
    responses(
        (status = 200, description = "The dead letter, with the last attempt of its delivery as far as that is recorded", body = DeadLetterView),
        (status = 404, description = "There is none at this position any more"),
    ),
)]
async fn read_dead_letter(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(LetterPosition(position)): IdInPath<LetterPosition>,
) -> Result<Json<DeadLetterView>, Problem> {
    let found = find::at(&console, &caller, position).await?;
    let recorded = match found.delivery() {
        Some(delivery) => console.store.delivery(&delivery.id).await?,
        None => None,
    };
    let last = recorded.and_then(|mut recorded| recorded.attempts.pop());
    Ok(Json(DeadLetterView::whole(&found, last)))
}

/// Revive a dead letter
///
/// A delivery is sent again like a redelivery: it keeps its id, and is sent although it was settled or overtaken. What
/// could not be read is published to its queue again, unchanged.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/revive", tag = "dead letters",
    params(("id" = String, Path, description = "The position of the dead letter")),
    responses(
        (status = 202, description = "It is on its way", body = RevivalAsked),
        (status = 404, description = "There is none at this position any more"),
        (status = 409, description = "Its webhook was removed or is disabled"),
    ),
)]
async fn revive_dead_letter(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(LetterPosition(position)): IdInPath<LetterPosition>,
) -> Result<(StatusCode, Json<RevivalAsked>), Problem> {
    let found = find::at(&console, &caller, position).await?;
    let request = decide::revive(&console, &found).await?;
    let delivery = found.delivery().map(|delivery| delivery.id.to_string());
    Ok((StatusCode::ACCEPTED, Json(RevivalAsked { position, delivery, request })))
}

/// Discard a dead letter
///
/// It is left out of lists from then on, and can still be looked at and revived.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/{id}/discard", tag = "dead letters",
    params(("id" = String, Path, description = "The position of the dead letter")),
    responses(
        (status = 204, description = "It is discarded"),
        (status = 404, description = "There is none at this position any more"),
    ),
)]
async fn discard_dead_letter(
    State(console): State<Arc<Console>>,
    caller: Caller,
    IdInPath(LetterPosition(position)): IdInPath<LetterPosition>,
) -> Result<StatusCode, Problem> {
    let found = find::at(&console, &caller, position).await?;
    decide::mark(&console, &[&found], Decision::Discarded).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Revive dead letters
///
/// Those of one page that carry no mark; go on with `next` and `until`, so that what is given up again meanwhile is not
/// revived again. A delivery is sent once, however often it was given up.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/revive", tag = "dead letters",
    params(
        ("webhook" = Option<String>, Query, description = "Deliveries to this webhook; must be given, unless the token is an operator's"),
        ("delivery" = Option<String>, Query, description = "This delivery"),
        ("queue" = Option<String>, Query, description = "Messages of this queue: `events`, `deliveries` or `redeliveries`"),
        ("since" = Option<String>, Query, description = "What was given up at this time or later, as `2026-01-02T03:04:05Z`"),
        ("until" = Option<String>, Query, description = "What was given up at this time or before; now, if left out"),
        ("all" = Option<bool>, Query, description = "`true` for all of them; needed if nothing else says which"),
        ("after" = Option<String>, Query, description = "Where to go on: what the call before gave as `next`"),
    ),
    responses(
        (status = 202, description = "They are on their way, but for those that are skipped", body = LettersDecided),
        (status = 422, description = "Some parameters are not valid, or nothing says which letters"),
    ),
)]
async fn revive_dead_letters(
    State(console): State<Arc<Console>>,
    caller: Caller,
    QueryMembers(query): QueryMembers,
) -> Result<(StatusCode, Json<LettersDecided>), Problem> {
    let LetterSelection { query, until } = LetterSelection::read(query, console.clock.now())?;
    let (found, next) = find::page(&console, &caller, &query).await?;
    let (done, skipped) = decide::revive_all(&console, &found).await?;
    let next = next.map(|position| position.to_string());
    Ok((StatusCode::ACCEPTED, Json(LettersDecided { done, skipped, until, next })))
}

/// Discard dead letters
///
/// Those of one page that carry no mark; go on with `next` and `until`.
#[utoipa::path(
    post, path = "/api/v1/dead-letters/discard", tag = "dead letters",
    params(
        ("webhook" = Option<String>, Query, description = "Deliveries to this webhook; must be given, unless the token is an operator's"),
        ("delivery" = Option<String>, Query, description = "This delivery"),
        ("queue" = Option<String>, Query, description = "Messages of this queue: `events`, `deliveries` or `redeliveries`"),
        ("since" = Option<String>, Query, description = "What was given up at this time or later, as `2026-01-02T03:04:05Z`"),
        ("until" = Option<String>, Query, description = "What was given up at this time or before; now, if left out"),
        ("all" = Option<bool>, Query, description = "`true` for all of them; needed if nothing else says which"),
        ("after" = Option<String>, Query, description = "Where to go on: what the call before gave as `next`"),
    ),
    responses(
        (status = 200, description = "They are discarded", body = LettersDecided),
        (status = 422, description = "Some parameters are not valid, or nothing says which letters"),
    ),
)]
async fn discard_dead_letters(
    State(console): State<Arc<Console>>,
    caller: Caller,
    QueryMembers(query): QueryMembers,
) -> Result<Json<LettersDecided>, Problem> {
    let LetterSelection { query, until } = LetterSelection::read(query, console.clock.now())?;
    let (found, next) = find::page(&console, &caller, &query).await?;
    decide::mark(&console, &found.iter().collect::<Vec<_>>(), Decision::Discarded).await?;
    let next = next.map(|position| position.to_string());
    Ok(Json(LettersDecided { done: found.len(), skipped: 0, until, next }))
}
