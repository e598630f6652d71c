//! How a webhook proves where its attempts come from, as it is kept: JSON, with its secrets. Both stores keep it.

use std::collections::BTreeSet;

use dockbell_proto::proof::{Authorization, Code, Proofs, Retired, Rotating, Scheme};
use dockbell_proto::secret::Secret;
use dockbell_proto::signature::SigningSecret;
use dockbell_proto::signature::ed25519::SigningKey;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// All but the current secret, which is kept beside it since there are webhooks. What is left out, as in what was
/// written before there was anything else, is Standard Webhooks v1. There is no `Debug`: it would show secrets.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct KeptProofs {
    #[serde(skip_serializing_if = "Option::is_none")]
    signatures: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    older_secrets: Vec<KeptRetired>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    older_keys: Vec<KeptRetired>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authorization: Option<KeptAuthorization>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct KeptRetired {
    key: String,
    until: Timestamp,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum KeptAuthorization {
    Verbatim(String),
    Basic { user: String, password: String },
    Bearer(String),
}

impl KeptProofs {
    /// What is kept beside the current secret.
    pub(crate) fn of(proofs: &Proofs) -> Self {
        let names = || proofs.schemes().into_iter().map(|scheme| scheme.as_str().to_owned()).collect();
        let is_v1_alone = proofs.schemes() == BTreeSet::from([Scheme::Code(Code::V1)]);
        Self {
            signatures: (!is_v1_alone).then(names),
            older_secrets: retired(&proofs.secret, SigningSecret::expose),
            key: proofs.key.as_ref().map(|key| key.current.expose()),
            older_keys: proofs.key.as_ref().map(|key| retired(key, SigningKey::expose)).unwrap_or_default(),
            authorization: proofs.authorization.as_ref().map(KeptAuthorization::of),
        }
    }

    /// Whether it says nothing that is not so without it.
    pub(crate) fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Every secret, by the name of its field.
    pub(crate) fn texts(&mut self) -> Vec<(String, &mut String)> {
        let key = self.key.iter_mut().map(|key| ("key".to_owned(), key));
        let authorization = self.authorization.iter_mut().map(|kept| ("authorization".to_owned(), kept.text()));
        let secrets = self.older_secrets.iter_mut().map(|kept| ("older secret".to_owned(), &mut kept.key));
        let keys = self.older_keys.iter_mut().map(|kept| ("older key".to_owned(), &mut kept.key));
        secrets.chain(key).chain(keys).chain(authorization).collect()
    }

    /// What was kept beside this secret. An error holds no secret.
    pub(crate) fn read(self, secret: &str) -> Result<Proofs, String> {
        let parse_secret = |text: &str| SigningSecret::parse(text).map_err(|error| error.to_string());
        let parse_key = |text: &str| SigningKey::parse(text).map_err(|error| error.to_string());
        let secret = rotating(secret, self.older_secrets, parse_secret)?;
        let key = self.key.map(|key| rotating(&key, self.older_keys, parse_key)).transpose()?;
        let mut codes = BTreeSet::new();
        for name in self.signatures.unwrap_or_else(|| BTreeSet::from(["v1".to_owned()])) {
            match Scheme::parse(&name) {
                Some(Scheme::Code(code)) => drop(codes.insert(code)),
                // It is wanted where there is a key.
                Some(Scheme::V1a) => {}
                None => return Err(format!("{name} is no way to sign")),
            }
        }
        Ok(Proofs { secret, codes, key, authorization: self.authorization.map(KeptAuthorization::read) })
    }
}

impl KeptAuthorization {
    fn of(authorization: &Authorization) -> Self {
        match authorization {
            Authorization::Verbatim(value) => Self::Verbatim(value.expose().to_owned()),
            Authorization::Basic { user, password } => {
                Self::Basic { user: user.clone(), password: password.expose().to_owned() }
            }
            Authorization::Bearer(token) => Self::Bearer(token.expose().to_owned()),
        }
    }

    fn text(&mut self) -> &mut String {
        match self {
            Self::Verbatim(text) | Self::Bearer(text) | Self::Basic { password: text, .. } => text,
        }
    }

    fn read(self) -> Authorization {
        match self {
            Self::Verbatim(value) => Authorization::Verbatim(Secret::new(value)),
            Self::Basic { user, password } => Authorization::Basic { user, password: Secret::new(password) },
            Self::Bearer(token) => Authorization::Bearer(Secret::new(token)),
        }
    }
}

fn retired<K>(rotating: &Rotating<K>, expose: impl Fn(&K) -> String) -> Vec<KeptRetired> {
    let kept = |older: &Retired<K>| KeptRetired { key: expose(&older.key), until: older.until };
    rotating.older.iter().map(kept).collect()
}

fn rotating<K>(
    current: &str,
    older: Vec<KeptRetired>,
    parse: impl Fn(&str) -> Result<K, String>,
) -> Result<Rotating<K>, String> {
    let retired = |kept: KeptRetired| Ok(Retired { key: parse(&kept.key)?, until: kept.until });
    Ok(Rotating { current: parse(current)?, older: older.into_iter().map(retired).collect::<Result<_, String>>()? })
}
