//! How a webhook proves where its attempts come from, as the API shows and takes it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::proof::{Authorization, Proofs};

use super::MASK;

/// What the header `Authorization` carries. What is secret of it is masked when it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
#[schema(as = Authorization, example = json!({ "kind": "bearer", "token": "s3cret" }))]
pub enum AuthorizationView {
    /// This value, as it is.
    Verbatim {
        /// The value.
        #[schema(max_length = 1024)]
        value: String,
    },
    /// A user and a password, after RFC 7617.
    Basic {
        /// The user, without a colon.
        user: String,
        /// The password.
        password: String,
    },
    /// A token, after RFC 6750.
    Bearer {
        /// The token.
        token: String,
    },
}

/// How a webhook proves where its attempts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = Proofs)]
pub struct ProofsView {
    /// How its deliveries are signed.
    #[schema(schema_with = crate::openapi::signatures_schema)]
    pub signatures: Vec<String>,
    /// What their header `Authorization` carries, its secret masked; null, if `headers` alone say.
    pub authorization: Option<AuthorizationView>,
    /// The public keys of v1a, the current one first; empty without v1a.
    #[schema(example = json!(["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]))]
    pub public_keys: Vec<String>,
    /// Until when a secret and a key of before a rotation sign too; null, if none does.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub older_secrets_until: Option<Timestamp>,
}

/// What receivers verify the signatures of a webhook with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PublicKeys {
    /// The keys as Standard Webhooks writes them, the current one first; one of before is there while it signs too.
    #[schema(example = json!(["whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4="]))]
    pub keys: Vec<String>,
}

impl ProofsView {
    pub(super) fn new(proofs: &Proofs, now: Timestamp) -> Self {
        Self {
            signatures: proofs.schemes().into_iter().map(|scheme| scheme.as_str().to_owned()).collect(),
            authorization: proofs.authorization.as_ref().map(masked),
            public_keys: proofs.public_keys(now).iter().map(ToString::to_string).collect(),
            older_secrets_until: proofs.secret.overlaps_until(now),
        }
    }
}

fn masked(authorization: &Authorization) -> AuthorizationView {
    let mask = MASK.to_owned();
    match authorization {
        Authorization::Verbatim(_) => AuthorizationView::Verbatim { value: mask },
        Authorization::Basic { user, .. } => AuthorizationView::Basic { user: user.clone(), password: mask },
        Authorization::Bearer(_) => AuthorizationView::Bearer { token: mask },
    }
}
