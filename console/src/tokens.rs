//! The routes about tokens.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::header::LOCATION;
use http::{HeaderName, StatusCode};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_proto::ids::TokenId;
use dockbell_proto::token::{TokenHash, mint};

use crate::Console;
use crate::auth::Caller;
use crate::draft::read_only_page;
use crate::draft::token::TokenDraft;
use crate::extract::{IdInPath, JsonObject, QueryMembers};
use crate::problem::Problem;
use crate::request::NewToken;
use crate::view::{CreatedToken, PageView, TokenView};

pub(crate) fn routes() -> OpenApiRouter<Arc<Console>> {
    OpenApiRouter::new().routes(routes!(create_token, list_tokens)).routes(routes!(read_token, remove_token))
}

/// Make a token
///
/// For the owner of some repositories, or for another operator. The answer holds the token. It is shown this once: what is
/// kept is its hash.
#[utoipa::path(
    post, path = "/api/v1/tokens", tag = "tokens",
    request_body = NewToken,
    responses(
        (status = 201, description = "It is made", body = CreatedToken, headers(("Location" = String, description = "Its path"))),
        (status = 400, description = "The body is not a JSON object"),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not said to be JSON"),
        (status = 422, description = "Some members are not valid or not known; all of them are named"),
    ),
)]
async fn create_token(
    State(console): State<Arc<Console>>,
    caller: Caller,
    JsonObject(body): JsonObject,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<CreatedToken>), Problem> {
    let now = console.clock.now();
    let draft = TokenDraft::read(body, now)?;
    let id = TokenId::from_random(console.random());
    let text = mint(&id, console.random());
    let token = draft.into_token(id, TokenHash::of(text.expose()), now);
    console.store.access().put_token(&token).await?;
    caller.note_subject(&token.id);
    tracing::info!(token.id = %token.id, "a token was made");
    let location = format!("/api/v1/tokens/{}", token.id);
    let created = CreatedToken { view: TokenView::new(token, now), token: text.expose().to_owned() };
    Ok((StatusCode::CREATED, [(LOCATION, location)], Json(created)))
}

/// List tokens, oldest first
///
/// Those whose time is over are listed for another 30 days.
#[utoipa::path(
    get, path = "/api/v1/tokens", tag = "tokens",
    params(
        ("after" = Option<String>, Query, description = "Where the page starts: what the page before gave as `next`"),
        ("limit" = Option<u32>, Query, description = "How many tokens; 50, if left out", minimum = 1, maximum = 100),
    ),
    responses(
        (status = 200, description = "A page of tokens", body = PageView<TokenView>),
        (status = 422, description = "Some parameters are not valid"),
    ),
)]
async fn list_tokens(
    State(console): State<Arc<Console>>,
    QueryMembers(query): QueryMembers,
) -> Result<Json<PageView<TokenView>>, Problem> {
    let (found, now) = (console.store.access().tokens(&read_only_page(query)?).await?, console.clock.now());
    let items = found.items.into_iter().map(|token| TokenView::new(token, now)).collect();
    Ok(Json(PageView { items, next: found.next }))
}

/// Look at a token
#[utoipa::path(
    get, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The id of the token, not the token itself")),
    responses(
        (status = 200, description = "The token, without what its bearer presents", body = TokenView),
        (status = 404, description = "There is none"),
    ),
)]
async fn read_token(
    State(console): State<Arc<Console>>,
    IdInPath(id): IdInPath<TokenId>,
) -> Result<Json<TokenView>, Problem> {
    let token = console.store.access().token(&id).await?.ok_or_else(no_token)?;
    Ok(Json(TokenView::new(token, console.clock.now())))
}

/// Revoke a token
///
/// The API admits its bearer no more from now on, an intake after 10 seconds at most.
#[utoipa::path(
    delete, path = "/api/v1/tokens/{id}", tag = "tokens",
    params(("id" = String, Path, description = "The id of the token, not the token itself")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description = "There is none"),
    ),
)]
async fn remove_token(
    State(console): State<Arc<Console>>,
    IdInPath(id): IdInPath<TokenId>,
) -> Result<StatusCode, Problem> {
    if !console.store.access().remove_token(&id).await? {
        return Err(no_token());
    }
    tracing::info!(token.id = %id, "a token was revoked");
    Ok(StatusCode::NO_CONTENT)
}

fn no_token() -> Problem {
    Problem::not_found("there is no token of this id")
}
