//! The description of the API, generated from the routes themselves.

use std::sync::Arc;

use axum::{Extension, Json};
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{
    Array, Content, ContentBuilder, HeaderBuilder, Object, OpenApi, Ref, RefOr, Response, ResponseBuilder,
    SecurityRequirement,
};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use dockbell_backends::bus::Queue;
use dockbell_proto::callback::CallbackState;
use dockbell_proto::filter::Kind;
use dockbell_proto::options::KNOWN;
use dockbell_proto::outcome::DeliveryState;
use dockbell_proto::proof::Scheme;
use dockbell_proto::token::Permission;
use dockbell_proto::webhook::Format;

use crate::problem::{PROBLEM_JSON, Problem};

/// The name of the security scheme.
const BEARER: &str = "bearer";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Dockbell",
        description = "Set webhooks on the repositories of a container registry, look at what was delivered, and \
                       have it delivered again.\n\nEvery problem is told as problem details (RFC 9457): 400 if a body \
                       cannot be read at all, 422 with all wrong members at once if it can."
    ),
    tags(
        (name = "webhooks", description = "Where the pushes of some repositories are sent"),
        (name = "deliveries", description = "What was sent, and what came of it"),
        (name = "dead letters", description = "What was given up, and bringing it back"),
        (name = "strays", description = "What others published and nothing was bound to take"),
        (name = "secrets", description = "How the secrets of webhooks are kept"),
        (name = "tokens", description = "Who may call, and who changed what"),
        (name = "description", description = "This description"),
    ),
    components(schemas(Problem)),
)]
struct Description;

/// Adds the description itself to the routes, and to the description what every route has in common.
pub(crate) fn describe<S: Clone + Send + Sync + 'static>(routes: OpenApiRouter<S>) -> OpenApiRouter<S> {
    let mut described = OpenApiRouter::with_openapi(Description::openapi()).merge(routes).routes(routes!(read_openapi));
    complete(described.get_openapi_mut());
    described
}

/// Describe this API
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "description", security(()),
    responses((status = 200, description = "The description", body = Object)),
)]
async fn read_openapi(Extension(document): Extension<Arc<OpenApi>>) -> Json<OpenApi> {
    Json(OpenApi::clone(&document))
}

fn complete(document: &mut OpenApi) {
    let components = document.components.get_or_insert_default();
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token: of the operator, or one that was made for some repositories"));
    components.security_schemes.insert(BEARER.to_owned(), SecurityScheme::Http(scheme.build()).into());
    let common = [
        ("Unauthorized", unauthorized()),
        ("Forbidden", forbidden()),
        ("TooMany", too_many()),
        ("Unavailable", unavailable()),
    ];
    for (name, response) in common {
        components.responses.insert(name.to_owned(), response.into());
    }
    document.security = Some(vec![SecurityRequirement::new(BEARER, Vec::<String>::new())]);
    for operation in document.paths.paths.values_mut().flat_map(operations) {
        give_problems_their_content(operation);
        let mut add = |status: &str, name| {
            let response = RefOr::Ref(Ref::from_response_name(name));
            operation.responses.responses.insert(status.to_owned(), response);
        };
        add("429", "TooMany");
        // An operation that names its own security is public.
        if operation.security.is_none() {
            add("401", "Unauthorized");
            add("403", "Forbidden");
            add("503", "Unavailable");
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.post, &mut item.patch, &mut item.delete].into_iter().flatten()
}

/// Every answer from 400 on is a problem; the routes only say when it is given.
fn give_problems_their_content(operation: &mut Operation) {
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (status.as_str() >= "400", response) {
            response.content.insert(PROBLEM_JSON.to_owned(), problem_content().into());
        }
    }
}

fn unauthorized() -> Response {
    let header = HeaderBuilder::new().description(Some("Always `Bearer`"));
    problem("The token is missing, wrong, revoked or expired").header("WWW-Authenticate", header.build()).build()
}

fn forbidden() -> Response {
    problem("The token does not permit this, or does not reach these repositories").build()
}

fn too_many() -> Response {
    to_be_tried_again("There were too many requests of this address or token")
}

fn unavailable() -> Response {
    to_be_tried_again("The store or the bus is away")
}

fn to_be_tried_again(description: &str) -> Response {
    let header = HeaderBuilder::new().description(Some("When to try again, in seconds"));
    problem(description).header("Retry-After", header.build()).build()
}

fn problem(description: &str) -> ResponseBuilder {
    ResponseBuilder::new().description(description).content(PROBLEM_JSON, problem_content())
}

fn problem_content() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build()
}

/// The names of the formats.
pub(crate) fn format_schema() -> Object {
    names(Format::ALL.map(Format::as_str))
}

/// The kinds of what is pushed.
pub(crate) fn kinds_schema() -> Array {
    Array::new(names(Kind::ALL.map(Kind::as_str)))
}

/// The options of all formats.
pub(crate) fn options_schema() -> Object {
    options(Type::Object.into(), Into::into)
}

/// A change of them.
pub(crate) fn options_change_schema() -> Object {
    let or_null = |kind| SchemaType::from_iter([kind, Type::Null]);
    options(or_null(Type::Object), or_null)
}

fn options(schema_type: SchemaType, member: impl Fn(Type) -> SchemaType) -> Object {
    let mut object = ObjectBuilder::new().schema_type(schema_type);
    for known in KNOWN {
        let about = format!("`{}`: {}", known.format.as_str(), known.about);
        let option = ObjectBuilder::new().schema_type(member(Type::String)).description(Some(about));
        object = object.property(known.name, option);
    }
    object.additional_properties(Some(AdditionalProperties::FreeForm(false))).build()
}

/// The names of the ways to sign.
pub(crate) fn signatures_schema() -> Array {
    Array::new(names(Scheme::ALL.map(Scheme::as_str)))
}

/// The names of the states of a delivery.
pub(crate) fn state_schema() -> Object {
    names(DeliveryState::NAMES)
}

/// The words for outcomes.
pub(crate) fn outcome_schema() -> Object {
    names(["accepted", "refused", "timed_out", "unreachable", "hindered", "blocked", "superseded", "withheld"])
}

/// The words for verdicts.
pub(crate) fn verdict_schema() -> Object {
    names(["delivered", "retry", "dead", "superseded", "unchanged", "skipped", "expired"])
}

/// The words for how a webhook stands.
pub(crate) fn standing_schema() -> Object {
    names(["healthy", "suspended", "recovering", "disabled"])
}

/// The words for what a webhook's standing became.
pub(crate) fn standing_change_schema() -> Object {
    names(["healthy", "suspended", "recovering", "disabled", "enabled"])
}

/// What a token permits.
pub(crate) fn permissions_schema() -> Array {
    Array::new(names(Permission::ALL.map(Permission::as_str)))
}

/// What receivers report.
pub(crate) fn callback_schema() -> Object {
    names(CallbackState::ALL.map(CallbackState::as_str))
}

/// The names of the queues.
pub(crate) fn queue_schema() -> Object {
    names(Queue::ALL.map(Queue::as_str))
}

/// What is decided about a dead letter.
pub(crate) fn mark_schema() -> Object {
    let types = SchemaType::from_iter([Type::String, Type::Null]);
    let decisions = [Some("revived"), Some("discarded"), None];
    ObjectBuilder::new().schema_type(types).enum_values(Some(decisions)).build()
}

fn names<const N: usize>(names: [&str; N]) -> Object {
    ObjectBuilder::new().schema_type(SchemaType::new(Type::String)).enum_values(Some(names)).build()
}
