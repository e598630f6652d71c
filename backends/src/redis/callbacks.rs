//! What receivers reported of deliveries that they took.

use std::time::Duration;

use dockbell_proto::callback::{Callback, CallbackId};

use crate::store::{CALLBACKS_PER_WEBHOOK, StoreError};

use super::counters::Counted;
use super::values;

impl Counted<'_> {
    /// Keeps a report, unless there is one that has not expired. Returns the one that stands.
    pub(super) async fn keep_callback(&self, callback: &Callback) -> Result<Callback, StoreError> {
        let Callback { id, webhook, until, .. } = callback;
        let mut call = self.side.prepare(&self.scripts.keep_callback)?;
        call.key(self.callback_key(id));
        for kind in ["callbacks", "gone"] {
            call.key(self.side.key(format_args!("{kind}:{webhook}")));
        }
        let left = Duration::try_from(until.duration_since(self.now)).unwrap_or_default();
        call.arg(values::to_json(callback)?).arg(until.as_microsecond()).arg(values::bound_ms(left));
        call.arg(self.now.as_microsecond()).arg(member(id)).arg(self.side.key("callback:")).arg(CALLBACKS_PER_WEBHOOK);
        let stands: String = self.side.call(&call).await?;
        values::json("callback", &stands)
    }

    /// What was reported and has not expired, in the order asked.
    pub(super) async fn callbacks(&self, of: &[CallbackId]) -> Result<Vec<Option<Callback>>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.settled)?;
        for id in of {
            call.key(self.callback_key(id));
        }
        call.arg(self.now.as_microsecond());
        let found: Vec<Option<String>> = self.side.call(&call).await?;
        found.iter().map(|text| text.as_deref().map(|text| values::json("callback", text)).transpose()).collect()
    }

    fn callback_key(&self, id: &CallbackId) -> String {
        self.side.key(format_args!("callback:{}", member(id)))
    }
}

fn member(id: &CallbackId) -> String {
    format!("{}.{}", id.delivery, id.request)
}
