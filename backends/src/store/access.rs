//! Who may call, and who changed what.

use std::time::Duration;

use async_trait::async_trait;
use dockbell_proto::audit::Audited;
use dockbell_proto::ids::TokenId;
use dockbell_proto::token::Token;

use super::{Page, PageRequest, StoreError};

/// How long a token is still shown after its time is over.
pub const EXPIRED_TOKENS_KEPT: Duration = Duration::from_hours(30 * 24);
/// How many changes the audit trail holds; the oldest go first.
pub const AUDIT_KEPT: u32 = 20_000;

/// Tokens and the audit trail. As in the rest of the store, every write is idempotent.
#[async_trait]
pub trait Access: Send + Sync {
    /// Makes a token, or replaces the one of the same id.
    async fn put_token(&self, token: &Token) -> Result<(), StoreError>;

    /// The token of this id, whether its time is over or not.
    async fn token(&self, id: &TokenId) -> Result<Option<Token>, StoreError>;

    /// Every token, oldest first.
    async fn tokens(&self, page: &PageRequest) -> Result<Page<Token>, StoreError>;

    /// Removes a token; says whether there was one. Nobody is admitted by it from then on.
    async fn remove_token(&self, id: &TokenId) -> Result<bool, StoreError>;

    /// Adds a change to the audit trail, unless it holds one of the same id.
    async fn note(&self, change: &Audited) -> Result<(), StoreError>;

    /// The latest [`AUDIT_KEPT`] changes, newest first.
    async fn audit(&self, page: &PageRequest) -> Result<Page<Audited>, StoreError>;
}
