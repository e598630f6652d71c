//! What receivers that want changes alone were last told of a tag.

use dockbell_proto::delivery::Delivery;
use dockbell_proto::names::Digest;
use dockbell_proto::order::Order;
use jiff::Timestamp;
use redis::{Script, ScriptInvocation};
use serde::Serialize;

use crate::store::{News, StoreError, TOLD_KEPT, UNSURE};

use super::counters::{Counted, field};
use super::values;

/// What the scripts are told. Times are texts, which Lua does not round.
#[derive(Serialize)]
struct Arguments<'a> {
    now: String,
    kept_until: String,
    bound: String,
    as_of: String,
    /// From when something is sure of which it is not sure now.
    unsure: String,
    is_asked: bool,
    tags: Vec<(String, String, &'a str)>,
}

impl Counted<'_> {
    /// Says what a delivery is, and takes note of it.
    pub(super) async fn claim_news(&self, delivery: &Delivery, as_of: Timestamp) -> Result<News, StoreError> {
        let call = self.about_told(&self.scripts.claim_news, delivery, as_of)?;
        let said: String = self.side.call(&call).await?;
        match said.as_str() {
            "new" => Ok(News::New),
            "known" => Ok(News::Known),
            _ => Ok(News::Old { by: Order::try_from(said).map_err(|error| values::unreadable("order", error))? }),
        }
    }

    /// Keeps what a receiver was told.
    pub(super) async fn keep_told(&self, delivery: &Delivery, as_of: Timestamp) -> Result<(), StoreError> {
        self.side.call(&self.about_told(&self.scripts.keep_told, delivery, as_of)?).await
    }

    fn about_told<'a>(
        &self,
        script: &'a Script,
        delivery: &Delivery,
        as_of: Timestamp,
    ) -> Result<ScriptInvocation<'a>, StoreError> {
        let mut call = self.side.prepare(script)?;
        for kind in ["told", "told-until", "gone"] {
            call.key(self.side.key(format_args!("{kind}:{}", delivery.webhook)));
        }
        let content = &delivery.content;
        let tags = content.changes.iter().map(|change| {
            let digest = change.digest.as_ref().map_or("", Digest::as_str);
            (field(&content.registry, &content.repository, &change.tag), change.order.to_string(), digest)
        });
        let arguments = Arguments {
            now: self.now.as_microsecond().to_string(),
            kept_until: self.after(TOLD_KEPT).to_string(),
            bound: values::bound_ms(TOLD_KEPT).to_string(),
            as_of: as_of.as_microsecond().to_string(),
            unsure: self.after(UNSURE).to_string(),
            is_asked: delivery.request > 0,
            tags: tags.collect(),
        };
        call.arg(values::to_json(&arguments)?);
        Ok(call)
    }
}
