//! The webhooks in the settings, and the repositories that were seen.

use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::names::{Registry, Repository};
use dockbell_proto::pattern::Pattern;
use dockbell_proto::webhook::Webhook;
use jiff::Timestamp;

use crate::keyring::Keyring;
use crate::store::{Page, PageRequest, StoreError};

use super::scripts::Scripts;
use super::side::Side;
use super::{document, page, values};

/// How long it is remembered that a webhook was removed: longer than anything owed to it can wait.
pub(super) const TOMBSTONE_KEPT: Duration = Duration::from_hours(30 * 24);
/// About how many changes are kept for those who read them; who is further behind looks everything up.
const CHANGES_KEPT: u32 = 10_000;
/// How often a change is tried again because of another one; each try that fails is a change that succeeded.
const TRIES: u32 = 100;

/// Where the webhooks are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Webhooks<'a> {
    pub(super) side: &'a Side,
    pub(super) scripts: &'a Scripts,
    /// What seals the secrets.
    pub(super) keys: &'a Keyring,
}

impl Webhooks<'_> {
    /// Puts what `change` makes of the webhook of this id as it stands, unless that is nothing. Says whether
    /// it has a tombstone, which stays until [`Webhooks::revived`], so that what follows may be repeated too.
    ///
    /// The text that was read is compared when the new one is put. So changes of different members all take
    /// effect, and a put that was held up on a lost connection does not undo a later one.
    pub(super) async fn replace(
        &self,
        id: &WebhookId,
        change: impl Fn(Option<Webhook>) -> Option<Webhook>,
    ) -> Result<Option<(Webhook, bool)>, StoreError> {
        let mut before = self.text(id).await?.unwrap_or_default();
        for _ in 0..TRIES {
            let found = if before.is_empty() { None } else { Some(document::read(&before, self.keys)?) };
            let Some(changed) = change(found) else { return Ok(None) };
            match self.put(&before, &changed).await? {
                (true, _, revision, was_removed) => {
                    self.side.see(revision);
                    return Ok(Some((changed, was_removed)));
                }
                (false, now, ..) => before = now,
            }
        }
        Err(StoreError("others changed the webhook all the time".to_owned()))
    }

    /// Writes a webhook again as it is, unless its secrets are sealed under the key that seals now.
    pub(super) async fn reseal(&self, id: &WebhookId) -> Result<bool, StoreError> {
        match self.text(id).await? {
            Some(text) if !document::is_current(&text, self.keys)? => {
                Ok(self.replace(id, |found| found).await?.is_some())
            }
            _ => Ok(false),
        }
    }

    async fn put(&self, before: &str, webhook: &Webhook) -> Result<(bool, String, u64, bool), StoreError> {
        let mut call = self.side.prepare(&self.scripts.put)?;
        self.keys_of_changes(&mut call);
        call.arg(webhook.id.as_str())
            .arg(before)
            .arg(document::write(webhook, self.keys)?)
            .arg(document::place(webhook));
        call.arg(webhook.pattern.to_string()).arg(CHANGES_KEPT);
        self.side.call(&call).await
    }

    fn keys_of_changes(&self, call: &mut redis::ScriptInvocation<'_>) {
        for name in ["webhooks", "webhooks-by-age", "webhooks-by-pattern", "removed", "changes"] {
            call.key(self.side.key(name));
        }
    }

    /// Removes a webhook, of which a tombstone stays; says whether there was one.
    pub(super) async fn remove(&self, id: &WebhookId, now: Timestamp) -> Result<bool, StoreError> {
        let mut call = self.side.prepare(&self.scripts.remove)?;
        self.keys_of_changes(&mut call);
        let now = now.as_microsecond();
        call.arg(id.as_str()).arg(now).arg(now.saturating_sub(values::micros(TOMBSTONE_KEPT))).arg(CHANGES_KEPT);
        let (was_there, revision) = self.side.call(&call).await?;
        self.side.see(revision);
        Ok(was_there)
    }

    /// Forgets the tombstone of a webhook that was made anew.
    pub(super) async fn revived(&self, id: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.revived)?;
        call.key(self.side.key("webhooks")).key(self.side.key("removed")).arg(id.as_str());
        self.side.call(&call).await
    }

    /// Tells every process that the standing of a webhook changed. It may be told twice, or never: everybody looks
    /// standings up again from time to time.
    pub(super) async fn tell_standing(&self, id: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.tell)?;
        call.key(self.side.key("changes")).arg(id.as_str()).arg(CHANGES_KEPT);
        self.side.call(&call).await
    }

    pub(super) async fn find(&self, id: &WebhookId) -> Result<Option<Webhook>, StoreError> {
        self.text(id).await?.map(|text| document::read(&text, self.keys)).transpose()
    }

    async fn text(&self, id: &WebhookId) -> Result<Option<String>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.find)?;
        call.key(self.side.key("webhooks")).arg(id.as_str());
        self.side.call(&call).await
    }

    /// Every webhook, oldest first.
    pub(super) async fn list(&self, request: &PageRequest) -> Result<Page<Webhook>, StoreError> {
        let size = page::size(request);
        let from = page::after(request).map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        let mut items = self.range("webhooks-by-age", (&from, "+"), size + 1).await?;
        let has_more = items.len() > size;
        items.truncate(size);
        let next = items.last().filter(|_| has_more).map(document::place);
        Ok(Page { items, next })
    }

    /// The webhooks of exactly this pattern, oldest first.
    pub(super) async fn on(&self, pattern: &Pattern) -> Result<Vec<Webhook>, StoreError> {
        // Digits follow the line break, so everything of the pattern stands before a tilde.
        let bounds = (format!("[{pattern}\n"), format!("[{pattern}\n~"));
        self.range("webhooks-by-pattern", (&bounds.0, &bounds.1), usize::MAX).await
    }

    async fn range(&self, index: &str, (from, to): (&str, &str), limit: usize) -> Result<Vec<Webhook>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.range)?;
        call.key(self.side.key("webhooks")).key(self.side.key(index));
        call.arg(from).arg(to).arg(i64::try_from(limit).unwrap_or(-1));
        let texts: Vec<String> = self.side.call(&call).await?;
        texts.iter().map(|text| document::read(text, self.keys)).collect()
    }

    /// When the repository was first seen; `candidate`, if it is new.
    pub(super) async fn first_seen(
        &self,
        registry: &Registry,
        repository: &Repository,
        candidate: Timestamp,
    ) -> Result<Timestamp, StoreError> {
        let mut call = self.side.prepare(&self.scripts.first_seen)?;
        call.key(self.side.key("repositories"));
        call.arg(format!("{registry} {repository}")).arg(candidate.as_microsecond());
        values::time("first time", self.side.call(&call).await?)
    }
}
