//! How a webhook proves where its deliveries come from, as it is typed and shown.

use clap::builder::PossibleValuesParser;
use dockbell_console::{AuthorizationView, CreatedWebhook, ProofsView};
use dockbell_proto::proof::Scheme;
use dockbell_proto::secret::Secret;

use crate::present;

/// What is said about it.
#[derive(Debug, clap::Args)]
pub(super) struct Given {
    /// How deliveries are signed; may be given several times, and v1 is the default
    #[arg(long = "signature", value_name = "SCHEME", value_parser = schemes())]
    pub(super) signatures: Vec<String>,
    /// The whole value of their header Authorization
    #[arg(long, value_name = "VALUE", value_parser = super::secret, conflicts_with_all = ["basic", "bearer"])]
    authorization: Option<Secret>,
    /// The user and the password of their header Authorization
    #[arg(long, value_name = "USER:PASSWORD", value_parser = basic, conflicts_with = "bearer")]
    basic: Option<Basic>,
    /// The token of their header Authorization
    #[arg(long, value_name = "TOKEN", value_parser = super::secret)]
    bearer: Option<Secret>,
}

#[derive(Debug, Clone)]
struct Basic {
    user: String,
    password: Secret,
}

impl Given {
    /// What the header `Authorization` is to carry, if anything.
    pub(super) fn authorization(&self) -> Option<AuthorizationView> {
        let exposed = |secret: &Secret| secret.expose().to_owned();
        let verbatim = self.authorization.as_ref().map(|value| AuthorizationView::Verbatim { value: exposed(value) });
        let bearer = || self.bearer.as_ref().map(|token| AuthorizationView::Bearer { token: exposed(token) });
        let basic = || {
            let Basic { user, password } = self.basic.as_ref()?;
            Some(AuthorizationView::Basic { user: user.clone(), password: exposed(password) })
        };
        verbatim.or_else(basic).or_else(bearer)
    }
}

fn schemes() -> PossibleValuesParser {
    PossibleValuesParser::new(Scheme::ALL.map(Scheme::as_str))
}

fn basic(text: &str) -> Result<Basic, &'static str> {
    let (user, password) = text.split_once(':').ok_or("expected a user, a colon and a password")?;
    Ok(Basic { user: user.to_owned(), password: Secret::new(password) })
}

/// It as the fields of a webhook.
pub(super) fn fields(proofs: &ProofsView) -> Vec<(&'static str, String)> {
    let authorization = match &proofs.authorization {
        Some(AuthorizationView::Verbatim { .. }) => Some("verbatim".to_owned()),
        Some(AuthorizationView::Basic { user, .. }) => Some(format!("basic, as {user}")),
        Some(AuthorizationView::Bearer { .. }) => Some("bearer".to_owned()),
        None => None,
    };
    let authorization = ("authorization", present::or_nothing(authorization));
    let mut fields = vec![("signatures", proofs.signatures.join(", ")), authorization];
    fields.extend(proofs.public_keys.iter().map(|key| ("public key", key.clone())));
    fields.extend(proofs.older_secrets_until.map(|until| ("older secrets until", present::time(until))));
    fields
}

/// What became of the secret that was before a rotation.
pub(super) fn rotated(made: &CreatedWebhook) -> String {
    let until = present::or_nothing(made.webhook.proofs.older_secrets_until.map(present::time));
    let single = ["x-hub-signature-256", "x-signature"];
    let has_single = made.webhook.proofs.signatures.iter().any(|name| single.contains(&name.as_str()));
    let note = if has_single { "; in headers of a single signature the new one signs alone" } else { "" };
    format!("The secret of before signs too until {until}{note}.")
}
