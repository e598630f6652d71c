//! A delivery as it is kept: one text of lines, as `kept.lua` says, which is written and forgotten with one command.

use std::fmt::Write as _;

use dockbell_proto::delivery::Delivery;
use dockbell_proto::ids::{DeliveryId, WebhookId};
use dockbell_proto::outcome::DeliveryState;
use jiff::Timestamp;

use crate::store::{DeliveryRecord, StoreError};

use super::entering::Entering;
use super::values;

/// The delivery that is kept if nothing was known of it.
pub(super) fn write(entering: Entering<'_>, place: &str, entry: Option<&str>) -> Result<String, StoreError> {
    let Entering { delivery, at, state, next, parked_because } = entering;
    let content = values::to_json(&*delivery.content)?;
    let (webhook, state, at) = (&delivery.webhook, state.as_str(), at.as_microsecond());
    let (request, ordinal) = (delivery.request, delivery.ordinal);
    let mut kept = String::with_capacity(content.len() + entry.map_or(0, str::len) + 256);
    let mut line =
        |text: std::fmt::Arguments<'_>| writeln!(kept, "{text}").map_err(|error| StoreError(error.to_string()));
    // Of what is not known yet, the first and the last attempt are the same, and its number is the highest.
    line(format_args!("{webhook}\n{state}\n{place}\n{at}\n{at}\n{request}\n{request}\n{ordinal}"))?;
    for time in [next, delivery.not_before, delivery.first_at] {
        match time {
            Some(time) => line(format_args!("{}", time.as_microsecond()))?,
            None => line(format_args!(""))?,
        }
    }
    line(format_args!("{}", parked_because.unwrap_or_default().replace('\n', " ")))?;
    // JSON has no line breaks unless it is asked for them.
    line(format_args!("{content}"))?;
    if let Some(entry) = entry {
        line(format_args!("{entry}"))?;
    }
    Ok(kept)
}

/// A delivery as the history shows it, without its attempts, and the texts of these.
pub(super) fn read(kept: &str) -> Result<(DeliveryRecord, Vec<&str>), StoreError> {
    let wrong = |problem: &str| values::unreadable("delivery", problem);
    let mut lines = kept.lines();
    let mut line = || lines.next().ok_or_else(|| wrong("a line is missing"));
    let number = |line: &str| line.parse::<i64>().map_err(|_| wrong("a number is none"));
    let time = |line: &str| number(line).and_then(|micros| values::time("delivery", micros));
    let optional = |line: &str| (!line.is_empty()).then(|| time(line)).transpose();
    let small = |line| number(line).and_then(|n| u32::try_from(n).map_err(|_| wrong("a number is too large")));
    let (webhook, state, place) = (line()?, line()?, line()?);
    let (first_at, last_at) = (time(line()?)?, time(line()?)?);
    let (_requests, request, ordinal) = (line()?, small(line()?)?, small(line()?)?);
    let (next_at, not_before, custody): (_, Option<Timestamp>, _) =
        (optional(line()?)?, optional(line()?)?, optional(line()?)?);
    let (parked, content) = (line()?, line()?);
    let id = place.split_once('.').map(|(_, id)| id).unwrap_or_default();
    let record = DeliveryRecord {
        delivery: Delivery {
            id: DeliveryId::parse(id).map_err(|error| values::unreadable("delivery", error))?,
            webhook: WebhookId::parse(webhook).map_err(|error| values::unreadable("delivery", error))?,
            request,
            ordinal,
            not_before,
            is_parked: false,
            first_at: custody,
            awaits_since: None,
            content: values::json("delivery", content)?,
        },
        state: DeliveryState::parse(state).ok_or_else(|| wrong("its state is none"))?,
        first_at,
        last_at,
        next_at,
        parked_because: (!parked.is_empty()).then(|| parked.to_owned()),
        attempts: Vec::new(),
    };
    Ok((record, lines.collect()))
}

/// Where the history has a delivery that is kept.
pub(super) fn place(kept: &str) -> Option<&str> {
    kept.lines().nth(2)
}
