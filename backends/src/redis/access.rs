//! Tokens and the audit trail in the settings.

use async_trait::async_trait;
use dockbell_proto::audit::Audited;
use dockbell_proto::ids::TokenId;
use dockbell_proto::token::Token;
use serde::{Deserialize, Serialize};

use crate::store::access::{AUDIT_KEPT, Access, EXPIRED_TOKENS_KEPT};
use crate::store::{Page, PageRequest, StoreError};

use super::{RedisStore, page, values};

/// A token as it is kept; the scripts read its place too.
#[derive(Debug, Serialize, Deserialize)]
struct Document {
    place: String,
    #[serde(flatten)]
    token: Token,
}

#[async_trait]
impl Access for RedisStore {
    async fn put_token(&self, token: &Token) -> Result<(), StoreError> {
        let side = &self.settings;
        let mut call = side.prepare(&self.scripts.put_token)?;
        for name in ["tokens", "tokens-by-age", "tokens-until"] {
            call.key(side.key(name));
        }
        let document = Document { place: place(token), token: token.clone() };
        call.arg(token.id.as_str()).arg(values::to_json(&document)?).arg(&document.place);
        let until = token.expires_at.map(|until| until.as_microsecond().to_string()).unwrap_or_default();
        call.arg(until).arg(self.tokens_kept_from());
        side.call(&call).await
    }

    async fn token(&self, id: &TokenId) -> Result<Option<Token>, StoreError> {
        let mut call = self.settings.prepare(&self.scripts.find)?;
        call.key(self.settings.key("tokens")).arg(id.as_str());
        let found: Option<String> = self.settings.call(&call).await?;
        let token = found.as_deref().map(read).transpose()?;
        Ok(token.filter(|token| self.keeps(token)))
    }

    async fn tokens(&self, page: &PageRequest) -> Result<Page<Token>, StoreError> {
        let (settings, size) = (&self.settings, page::size(page));
        let from = page::after(page).map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut call = settings.prepare(&self.scripts.range)?;
        call.key(settings.key("tokens")).key(settings.key("tokens-by-age")).arg(from).arg("+").arg(size + 1);
        let texts: Vec<String> = settings.call(&call).await?;
        let mut items = texts.iter().map(|text| read(text)).collect::<Result<Vec<_>, _>>()?;
        let has_more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| has_more).map(place);
        items.retain(|token| self.keeps(token));
        Ok(Page { items, next })
    }

    async fn remove_token(&self, id: &TokenId) -> Result<bool, StoreError> {
        let side = &self.settings;
        let mut call = side.prepare(&self.scripts.remove_token)?;
        for name in ["tokens", "tokens-by-age", "tokens-until"] {
            call.key(side.key(name));
        }
        call.arg(id.as_str());
        side.call(&call).await
    }

    async fn note(&self, change: &Audited) -> Result<(), StoreError> {
        let mut call = self.settings.prepare(&self.scripts.note)?;
        let place = page::place(change.at, change.id.as_str());
        call.key(self.settings.key("audit")).arg(format!("{place} {}", values::to_json(change)?)).arg(AUDIT_KEPT);
        self.settings.call(&call).await
    }

    async fn audit(&self, page: &PageRequest) -> Result<Page<Audited>, StoreError> {
        let size = page::size(page);
        let before = page::after(page).map_or_else(|| "+".to_owned(), |after| format!("({after}"));
        let mut call = self.settings.prepare(&self.scripts.audit)?;
        call.key(self.settings.key("audit")).arg(before).arg(size + 1);
        let mut texts: Vec<String> = self.settings.call(&call).await?;
        let has_more = texts.len() > size;
        texts.truncate(size);
        let mut entries = Vec::with_capacity(size);
        for text in &texts {
            let wrong = || values::unreadable("audit trail", "an entry has another form");
            entries.push(text.split_once(' ').ok_or_else(wrong)?);
        }
        let next = entries.last().filter(|_| has_more).map(|(place, _)| (*place).to_owned());
        let items = entries.iter().map(|(_, change)| values::json("audit trail", change)).collect::<Result<_, _>>()?;
        Ok(Page { items, next })
    }
}

impl RedisStore {
    fn keeps(&self, token: &Token) -> bool {
        token.expires_at.is_none_or(|until| until.as_microsecond() > self.tokens_kept_from())
    }

    /// Tokens whose time was over before are forgotten.
    fn tokens_kept_from(&self) -> i64 {
        self.clock.now().as_microsecond().saturating_sub(values::micros(EXPIRED_TOKENS_KEPT))
    }
}

fn place(token: &Token) -> String {
    page::place(token.created_at, token.id.as_str())
}

fn read(text: &str) -> Result<Token, StoreError> {
    values::json("token", text).map(|document: Document| document.token)
}
