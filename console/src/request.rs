//! What the API takes, for those who write requests. `draft` reads them; it accepts exactly these members.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::view::{AfterView, AuthorizationView, FilterView, PolicyView, TlsView};

/// A webhook to be made.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "deploy to staging", "repository": "team/*", "url": "https://ci.example.com/hooks?token=s3cret",
    "format": "dockerhub", "headers": { "authorization": "Bearer s3cret" },
}))]
pub struct NewWebhook {
    /// What its owner calls it.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// The repositories it is set on: one (`team/app`), a namespace with everything below it (`team/*`), or all (`*`).
    pub repository: String,
    /// Where its deliveries go: http or https, without user name, password and fragment, to an address that the
    /// operator allows.
    #[schema(max_length = 2048)]
    pub url: String,
    /// The body that its receiver understands.
    #[schema(schema_with = crate::openapi::format_schema)]
    pub format: String,
    /// What of what the format leaves open is to be otherwise than by default.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(schema_with = crate::openapi::options_schema, required = false)]
    pub options: Map<String, Value>,
    /// The one registry it is about; any, if left out or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub registry: Option<String>,
    /// Which pushes it is told of; all, if left out.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = FilterView, required = false)]
    pub filter: Map<String, Value>,
    /// Whom it waits for; nobody, if left out or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AfterView, required = false)]
    pub after: Option<Map<String, Value>>,
    /// Headers that its deliveries carry, at most 20.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(required = false)]
    pub headers: BTreeMap<String, String>,
    /// How its deliveries are signed; v1, if left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::openapi::signatures_schema, required = false)]
    pub signatures: Vec<String>,
    /// What their header `Authorization` carries.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = AuthorizationView, required = false)]
    pub authorization: Option<AuthorizationView>,
    /// What is otherwise of the TLS of its receiver.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = TlsView, required = false)]
    pub tls: Map<String, Value>,
    /// Whether it rings; true, if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false, default = true)]
    pub enabled: Option<bool>,
    /// What of the delivery policy is otherwise than for all webhooks.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = PolicyView, required = false)]
    pub policy: Map<String, Value>,
}

/// What is to change of a webhook (a JSON merge patch); what is left out stays.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "enabled": false, "registry": null, "headers": { "x-old": null, "x-new": "s3cret" } }))]
pub struct WebhookChange {
    /// A new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, min_length = 1, max_length = 128)]
    pub name: Option<String>,
    /// New repositories.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    pub repository: Option<String>,
    /// A new URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, max_length = 2048)]
    pub url: Option<String>,
    /// A new format.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::openapi::format_schema, required = false)]
    pub format: Option<String>,
    /// Options to set, or to be as by default where the value is null. Those left out stay, unless the format is a new
    /// one; null takes all away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::openapi::options_change_schema, required = false)]
    pub options: Option<Option<Map<String, Value>>>,
    /// A new registry; null is any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub registry: Option<Option<String>>,
    /// What is to change of the filter; a null member lets everything through, and so does a null filter.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<FilterView>)]
    pub filter: Option<Option<Map<String, Value>>>,
    /// Whom it is to wait for, or how long; null is nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AfterView>)]
    pub after: Option<Option<Map<String, Value>>>,
    /// Headers to set, or to take away where the value is null. Those left out stay; null takes all away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, Option<String>>>)]
    pub headers: Option<Option<BTreeMap<String, Option<String>>>>,
    /// New ways to sign, in place of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = crate::openapi::signatures_schema, required = false)]
    pub signatures: Option<Vec<String>>,
    /// What the header `Authorization` is to carry; null leaves it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<AuthorizationView>)]
    pub authorization: Option<Option<AuthorizationView>>,
    /// What is to be otherwise of the TLS of its receiver, or as for all where the value is null. Members left out stay; null takes
    /// all away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<TlsView>)]
    pub tls: Option<Option<Map<String, Value>>>,
    /// Whether it rings.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    pub enabled: Option<bool>,
    /// What of the delivery policy is to be otherwise than for all webhooks, or to be as for all where the value is
    /// null. Members left out stay; null takes all away.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<PolicyView>)]
    pub policy: Option<Option<Map<String, Value>>>,
}

/// From when to when; without an end, where it is left out.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "since": "2026-01-02T03:04:05Z" }))]
pub struct Period {
    /// From when, inclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub since: Option<Timestamp>,
    /// Until when, exclusive.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, format = DateTime, required = false)]
    pub until: Option<Timestamp>,
}

/// What a receiver reports. Members that are not listed are ignored.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(example = json!({
    "state": "success", "description": "387 tests passed", "context": "Continuous integration",
    "target_url": "https://ci.example.com/acme/387",
}))]
pub struct CallbackReport {
    /// What came of it.
    #[schema(schema_with = crate::openapi::callback_schema)]
    pub state: String,
    /// In words.
    #[schema(max_length = 255)]
    pub description: Option<String>,
    /// What it was done for.
    #[schema(max_length = 100)]
    pub context: Option<String>,
    /// Where more can be read.
    #[schema(max_length = 2048)]
    pub target_url: Option<String>,
}

/// A token to be made.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "name": "owner of team/app", "repositories": ["team/app"], "permissions": ["read", "write"],
    "expires_at": "2027-01-02T03:04:05Z",
}))]
pub struct NewToken {
    /// Whom it is for.
    #[schema(min_length = 1, max_length = 128)]
    pub name: String,
    /// The repositories that it reaches: `team/app`, `team/*` or `*`. A webhook is reached if all its repositories are. Must be
    /// given, unless it is an operator's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false, min_items = 1, max_items = 20)]
    pub repositories: Vec<String>,
    /// What it permits there; `write` includes `read`. Must be given, unless it is an operator's.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = crate::openapi::permissions_schema, required = false)]
    pub permissions: Vec<String>,
    /// Whether it is an operator's, who may do everything; false, if left out.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false, default = false)]
    pub operator: bool,
    /// Until when it counts; for ever, if left out or null.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, required = false)]
    pub expires_at: Option<Timestamp>,
}
