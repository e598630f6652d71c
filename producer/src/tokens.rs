//! Tokens that were made for those who report the pushes of some repositories.

use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::Store;
use dockbell_backends::store::StoreError;
use dockbell_proto::ids::TokenId;
use dockbell_proto::token::{Token, TokenHash, id_in};
use jiff::Timestamp;
use moka::sync::Cache;
use tokio::time::Instant;

/// How long it is believed what the store said of a token: registries report every push by itself.
const BELIEVED: Duration = Duration::from_secs(10);
/// Of how many tokens it is remembered.
const REMEMBERED: u64 = 10_000;

/// What is known of tokens.
#[derive(Debug)]
pub struct Tokens {
    store: Arc<dyn Store>,
    /// None, where there is no token of that id.
    known: Cache<TokenId, (Option<Arc<Token>>, Instant)>,
}

impl Tokens {
    /// The tokens of a store. One that is revoked admits nobody after ten seconds.
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store, known: Cache::new(REMEMBERED) }
    }

    /// The token whose bearer presents this at `now`; none, if it is none, or counts no more.
    pub(crate) async fn presented(&self, text: &str, now: Timestamp) -> Result<Option<Arc<Token>>, StoreError> {
        let Some(id) = id_in(text) else { return Ok(None) };
        let token = self.find(id).await?;
        Ok(token.filter(|token| token.admits(&TokenHash::of(text), now)))
    }

    async fn find(&self, id: TokenId) -> Result<Option<Arc<Token>>, StoreError> {
        if let Some((token, at)) = self.known.get(&id)
            && at.elapsed() < BELIEVED
        {
            return Ok(token);
        }
        let token = self.store.access().token(&id).await?.map(Arc::new);
        self.known.insert(id, (token.clone(), Instant::now()));
        Ok(token)
    }
}
