//! Of what a webhook is told, and when, as the API shows and takes it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::chain::After;
use dockbell_proto::filter::{Filter, Kind};

use super::policy::duration;

/// Which pushes a webhook is told of; what is left out lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Filter, example = json!({ "tags": ["v*", "!*-rc*"], "kinds": ["image", "index"] }))]
pub struct FilterView {
    /// Globs of the tags: `*` is any text, `?` one character, `[0-9]` one of several, `{a,b}` one of several texts. What
    /// begins with `!` leaves tags out that the others let through.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, required = false)]
    pub tags: Vec<String>,
    /// Globs of the repositories, of those that it is set on; `*` is any text without a slash, `**` any number of parts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 20, required = false)]
    pub repositories: Vec<String>,
    /// What was pushed. What a source leaves open passes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::openapi::kinds_schema, required = false)]
    pub kinds: Vec<String>,
    /// Whether a push is left out whose digest is the one that the receiver was last told of the tag.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, default = false)]
    pub only_changed: bool,
}

impl From<&Filter> for FilterView {
    fn from(filter: &Filter) -> Self {
        Self {
            tags: filter.tags.texts().to_vec(),
            repositories: filter.repositories.texts().to_vec(),
            kinds: filter.kinds.iter().copied().map(|kind| Kind::as_str(kind).to_owned()).collect(),
            only_changed: filter.only_changed,
        }
    }
}

/// Whom a webhook waits for: it is told of a push once the receiver of another one has reported success of it, by its
/// `callback_url`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = After)]
pub struct AfterView {
    /// The other webhook, in format `dockerhub`.
    #[schema(example = "wh_0123456789abcdef01234567")]
    pub webhook: String,
    /// How long it waits; then the delivery is given up. An hour, if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(example = "1h", required = false)]
    pub within: Option<String>,
}

impl From<&After> for AfterView {
    fn from(after: &After) -> Self {
        Self { webhook: after.webhook.to_string(), within: Some(duration(after.within)) }
    }
}
