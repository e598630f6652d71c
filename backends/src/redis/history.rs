//! The history: deliveries, newest first, and their attempts.

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use jiff::Timestamp;

use crate::store::{DeliveryRecord, HISTORY_KEPT, HistoryQuery, Page, StoreError};

use super::counters::Counted;
use super::{page, record, values};

/// The most entries of an index that one call looks at, so that it holds the server up for a moment only. A
/// page may be short for it, and still have a next one.
const LOOKED_AT: u32 = 2000;

/// The fields of a delivery in the order in which the scripts return them.
type Fields = Vec<Option<String>>;

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
            (Some(webhook), _) => format!("history:{webhook}"),
            // What was delivered is almost all there is.
            (None, None | Some(DeliveryState::Delivered)) => "history".to_owned(),
            (None, Some(state)) => state.as_str().to_owned(),
        };
        let from = page::after(&query.page).map_or_else(|| "+".to_owned(), |after| format!("({after}"));
        let mut call = self.side.prepare(&self.scripts.history)?;
        call.key(self.side.key(index)).arg(&*self.side.base).arg(from).arg(size + 1);
        call.arg(query.state.map_or("", DeliveryState::as_str)).arg(self.history_until()).arg(LOOKED_AT);
        let (stopped_at, mut found): (String, Vec<Fields>) = self.side.call(&call).await?;
        let has_more = found.len() > size;
        found.truncate(size);
        let last = found.last().and_then(|fields| fields.first().cloned().flatten());
        let next = if has_more { last } else { Some(stopped_at).filter(|place| !place.is_empty()) };
        Ok(Page { items: found.iter().map(|fields| read(fields)).collect::<Result<_, _>>()?, next })
    }

    /// One delivery with its attempts, unless it has expired.
    pub(super) async fn delivery(&self, id: &DeliveryId) -> Result<Option<DeliveryRecord>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.delivery)?;
        call.key(self.side.key(format_args!("delivery:{id}"))).arg(self.history_until());
        let (fields, attempts): (Fields, Vec<String>) = self.side.call(&call).await?;
        if fields.is_empty() {
            return Ok(None);
        }
        Ok(Some(DeliveryRecord { attempts: record::read_entries(attempts)?, ..read(&fields)? }))
    }

    /// The next request number of a delivery that has not expired.
    pub(super) async fn take_request(&self, id: &DeliveryId) -> Result<Option<u32>, StoreError> {
        let mut call = self.side.prepare(&self.scripts.take_request)?;
        call.key(self.side.key(format_args!("delivery:{id}"))).arg(self.history_until());
        self.side.call(&call).await
    }
}

fn read(fields: &[Option<String>]) -> Result<DeliveryRecord, StoreError> {
    let wrong = |problem: &str| values::unreadable("delivery", problem);
    let [place, webhook, request, ordinal, not_before, content, state, first, last, next, custody, parked] = fields
    else {
        return Err(wrong("it has other fields"));
    };
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let number = |field: &Option<String>| text(field).parse::<i64>().map_err(|_| wrong("a number is none"));
    let time = |field: &Option<String>| number(field).and_then(|micros| values::time("delivery", micros));
    let optional = |field: &Option<String>| -> Result<Option<Timestamp>, StoreError> {
        if text(field).is_empty() { Ok(None) } else { time(field).map(Some) }
    };
    let small = |field| number(field).and_then(|n| u32::try_from(n).map_err(|_| wrong("a number is too large")));
    let place = text(place);
    let id = place.split_once('.').map(|(_, id)| id).unwrap_or_default();
    Ok(DeliveryRecord {
        delivery: Delivery {
            id: DeliveryId::parse(id).map_err(|error| values::unreadable("delivery", error))?,
            webhook: WebhookId::parse(&text(webhook)).map_err(|error| values::unreadable("delivery", error))?,
            request: small(request)?,
            ordinal: small(ordinal)?,
            not_before: optional(not_before)?,
            is_parked: false,
            first_at: optional(custody)?,
            awaits_since: None,
            content: values::json("delivery", &text(content))?,
        },
        state: DeliveryState::parse(&text(state)).ok_or_else(|| wrong("its state is none"))?,
        first_at: time(first)?,
        last_at: time(last)?,
        next_at: optional(next)?,
        parked_because: parked.clone().filter(|reason| !reason.is_empty()),
        attempts: Vec::new(),
    })
}
