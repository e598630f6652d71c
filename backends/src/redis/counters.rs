//! What the record of attempts left behind: settled, health and newest.

use dockbell_proto::batch::Batch;
use dockbell_proto::health::Standing;
use dockbell_proto::ids::{AttemptId, DeliveryId, WebhookId};
use dockbell_proto::names::{Registry, Repository, Tag};
use dockbell_proto::order::Order;
use dockbell_proto::outcome::Verdict;
use jiff::Timestamp;

use crate::store::{Health, StoreError};

use super::scripts::Scripts;
use super::side::Side;
use super::values;
use super::webhooks::TOMBSTONE_KEPT;

/// Health as the scripts have it: texts in the order of `FIELDS` in `health.lua`, empty where there is nothing.
pub(super) type Fields = Vec<String>;

/// What separates these texts in one.
const BETWEEN: char = ',';

/// Where the counters and the history are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counted<'a> {
    pub(super) side: &'a Side,
    pub(super) scripts: &'a Scripts,
    /// The time now.
    pub(super) now: Timestamp,
}

impl Counted<'_> {
    /// The verdicts of the attempts that are settled, in the order asked.
    pub(super) async fn settled(&self, attempts: &[AttemptId]) -> Result<Vec<Option<Verdict>>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.settled)?;
        for attempt in attempts {
            call.key(self.settled_key(attempt));
        }
        call.arg(self.now.as_microsecond());
        let verdicts: Vec<Option<String>> = self.side.call(&call).await?;
        verdicts.iter().map(|text| text.as_deref().map(|text| values::json("verdict", text)).transpose()).collect()
    }

    pub(super) fn settled_key(&self, attempt: &AttemptId) -> String {
        self.side.key(format_args!("settled:{attempt}"))
    }

    /// The counters of a webhook.
    pub(super) async fn health(&self, webhook: &WebhookId) -> Result<Health, StoreError> {
        let mut call = self.side.prepare(&self.scripts.health)?;
        for kind in ["counters", "waiting"] {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        call.arg(self.now.as_microsecond());
        let (told, waiting): (String, u32) = self.side.call(&call).await?;
        read_health(&told, waiting)
    }

    /// The newest orders of the tags of a repository, in the order asked.
    pub(super) async fn newest(
        &self,
        webhook: &WebhookId,
        (registry, repository): (&Registry, &Repository),
        tags: &[Tag],
    ) -> Result<Vec<Option<Order>>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.newest)?;
        let generation = self.generation_of_newest();
        for generation in [generation, generation - 1] {
            call.key(self.side.key(format_args!("newest:{webhook}:{generation}")));
        }
        call.arg(self.now.as_microsecond());
        for tag in tags {
            call.arg(field(registry, repository, tag));
        }
        let orders: Vec<Option<String>> = self.side.call(&call).await?;
        let order = |text: Option<String>| text.map(Order::try_from).transpose();
        orders.into_iter().map(order).collect::<Result<_, _>>().map_err(|error| values::unreadable("order", error))
    }

    /// Forgets everything of a webhook that was removed, and counts nothing of it from now on.
    pub(super) async fn forget(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.forget)?;
        for kind in ["gone", "recent", "callbacks", "counters", "waiting", "trials", "standings", "told", "told-until"]
        {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        let generation = self.generation_of_newest();
        for generation in [generation, generation - 1] {
            call.key(self.side.key(format_args!("newest:{webhook}:{generation}")));
        }
        call.arg(&*self.side.base).arg(values::bound_ms(TOMBSTONE_KEPT));
        self.side.call(&call).await
    }

    /// Counts again what is about a webhook that was removed and put again.
    pub(super) async fn revive(&self, webhook: &WebhookId) -> Result<(), StoreError> {
        let mut call = self.side.prepare(&self.scripts.revive)?;
        call.key(self.side.key(format_args!("gone:{webhook}")));
        self.side.call(&call).await
    }
}

/// Reads a health that is told as one text.
pub(super) fn read_health(told: &str, waiting: u32) -> Result<Health, StoreError> {
    let fields: Vec<&str> = told.split(BETWEEN).collect();
    health(&fields, waiting)
}

/// Reads a health.
pub(super) fn health(fields: &[impl AsRef<str>], waiting: u32) -> Result<Health, StoreError> {
    let wrong = |problem: &str| values::unreadable("health", problem);
    let fields: Vec<&str> = fields.iter().map(AsRef::as_ref).collect();
    let [failures, since, failed, succeeded, failed_of, standing, from, level, successes, skipped] = *fields else {
        return Err(wrong("it has other fields"));
    };
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong("a number is none"));
    let time = |text: &str| {
        let micros = text.parse().map_err(|_| wrong("a time is none"))?;
        values::time("health", micros)
    };
    let optional = |text: &str| (!text.is_empty()).then(|| time(text)).transpose();
    let failed_deliveries = failed_of.split_whitespace().map(DeliveryId::parse).collect::<Result<_, _>>();
    Ok(Health {
        consecutive_failures: number(failures)?,
        failing_since: optional(since)?,
        failed_at: optional(failed)?,
        failed_deliveries: failed_deliveries.map_err(|error| values::unreadable("health", error))?,
        succeeded_at: optional(succeeded)?,
        standing: match standing {
            "" => Standing::Healthy,
            "suspended" => Standing::Suspended { until: time(from)?, level: number(level)? },
            "recovering" => {
                Standing::Recovering { since: time(from)?, level: number(level)?, successes: number(successes)? }
            }
            _ => return Err(wrong("its standing is none")),
        },
        waiting,
        skipped: number(skipped)?,
    })
}

/// The newest orders that follow from a delivery of `content`, by field.
pub(super) fn orders(content: &Batch) -> Vec<(String, String)> {
    let order = |change: &dockbell_proto::batch::Change| {
        (field(&content.registry, &content.repository, &change.tag), change.order.to_string())
    };
    content.changes.iter().map(order).collect()
}

/// Names have no blanks, so they cannot run into each other.
pub(super) fn field(registry: &Registry, repository: &Repository, tag: &Tag) -> String {
    format!("{registry} {repository} {tag}")
}
