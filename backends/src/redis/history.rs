//! The history: deliveries, newest first, and their attempts.

use dockbell_proto::ids::DeliveryId;
use dockbell_proto::outcome::DeliveryState;

use crate::store::{DeliveryRecord, HISTORY_KEPT, HistoryQuery, Page, StoreError};

use super::counters::Counted;
use super::{kept, page, record, values};

/// The most entries of an index that one call looks at, so that it holds the server up for a moment only. A
/// page may be short for it, and still have a next one.
const LOOKED_AT: u32 = 2000;

impl Counted<'_> {
    /// Deliveries whose last attempt began up to this time have expired.
    pub(super) fn history_until(&self) -> i64 {
        self.now.as_microsecond().saturating_sub(values::micros(HISTORY_KEPT))
    }

    /// The deliveries that the query asks for and that have not expired. A delivery keeps its place when it
    /// is attempted again, so that pages neither skip nor repeat.
    pub(super) async fn history(&self, query: &HistoryQuery) -> Result<Page<DeliveryRecord>, StoreError> {
        let size = page::size(&query.page);
        let index = match (&query.webhook, query.state) {
            (Some(webhook), _) => format!("recent:{webhook}"),
            // What was delivered is almost all there is.
            (None, None | Some(DeliveryState::Delivered)) => "history".to_owned(),
            (None, Some(state)) => state.as_str().to_owned(),
        };
        let from = page::after(&query.page).map_or_else(|| "+".to_owned(), |after| format!("({after}"));
        let mut call = self.side.prepare(&self.scripts.history)?;
        call.key(self.side.key(index)).arg(&*self.side.base).arg(from).arg(size + 1);
        call.arg(query.state.map_or("", DeliveryState::as_str)).arg(self.history_until()).arg(LOOKED_AT);
        call.arg(i32::from(query.webhook.is_some()));
        let (stopped_at, mut found): (String, Vec<String>) = self.side.call(&call).await?;
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().and_then(|kept| kept::place(kept)).map(str::to_owned);
        let next = if has_more { last } else { Some(stopped_at).filter(|place| !place.is_empty()) };
        let items = found.iter().map(|kept| Ok(kept::read(kept)?.0)).collect::<Result<_, StoreError>>()?;
        Ok(Page { items, next })
    }

    /// One delivery with its attempts, unless it has expired.
    pub(super) async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.delivery)?;
        call.key(self.side.key(format_args!("kept:{id}"))).arg(self.history_until());
        let Some(kept) = self.side.call::<Option<String>>(&call).await? else { return Ok(None) };
        let (delivery, attempts) = kept::read(&kept)?;
        Ok(Some(DeliveryRecord { attempts: record::read_entries(attempts)?, ..delivery }))
    }

    /// The next request number of a delivery that has not expired.
    pub(super) async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.take_request)?;
        call.key(self.side.key(format_args!("kept:{id}"))).arg(self.history_until());
        self.side.call(&call).await
    }
}
