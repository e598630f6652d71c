//! The ticket in a callback URL: it names a delivery, and proves that whoever presents it was sent that delivery.
//!
//! It is derived from the signing secret of the webhook, so that every process makes and verifies it, and nothing has to
//! be stored before an attempt.

use std::time::Duration;

use jiff::Timestamp;

use super::CallbackId;
use crate::delivery::Delivery;
use crate::health::later;
use crate::ids::{DeliveryId, WebhookId};
use crate::secret::Secret;
use crate::signature::SigningSecret;

/// How long a receiver may report after its delivery came into custody: longer than deliveries are attempted by default,
/// so that it has three days after the last attempt.
const OPEN: Duration = Duration::from_hours(10 * 24);

/// The text is no ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is no ticket of a callback")]
pub struct TicketError;

/// What stands last in a callback URL. It is a secret: whoever knows it may report in the place of the receiver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// The webhook that the delivery is owed to.
    pub webhook: WebhookId,
    /// What it lets its holder report about.
    pub id: CallbackId,
    /// Until when.
    pub until: Timestamp,
    code: Secret,
}

impl Ticket {
    /// The ticket of every attempt of this request for `delivery`, to a webhook that signs with `secret`.
    pub fn of(delivery: &Delivery, secret: &SigningSecret) -> Self {
        let until = later(delivery.in_custody_since(), OPEN).as_second();
        let until = Timestamp::from_second(until).unwrap_or(Timestamp::MAX);
        let id = CallbackId { delivery: delivery.id.clone(), request: delivery.request };
        let unsigned = Self { webhook: delivery.webhook.clone(), id, until, code: Secret::default() };
        Self { code: Secret::new(secret.vouch(&unsigned.claim())), ..unsigned }
    }

    /// Reads the last segment of a callback URL. Whether it is genuine is for [`Ticket::is_genuine`] to say.
    pub fn parse(text: &str) -> Result<Self, TicketError> {
        let mut parts = text.split('.');
        let mut next = || parts.next().ok_or(TicketError);
        let ticket = Self {
            webhook: WebhookId::parse(next()?).map_err(|_| TicketError)?,
            id: CallbackId {
                delivery: DeliveryId::parse(next()?).map_err(|_| TicketError)?,
                request: next()?.parse().map_err(|_| TicketError)?,
            },
            until: next()?.parse().ok().and_then(|until| Timestamp::from_second(until).ok()).ok_or(TicketError)?,
            code: Secret::new(next()?),
        };
        if parts.next().is_none() { Ok(ticket) } else { Err(TicketError) }
    }

    /// Whether it was made with one of these secrets.
    pub fn is_genuine<'a>(&self, secrets: impl IntoIterator<Item = &'a SigningSecret>) -> bool {
        let claim = self.claim();
        // Each of them is asked, so that the time does not tell which one it was.
        secrets.into_iter().fold(false, |found, secret| self.code.matches(&secret.vouch(&claim)) | found)
    }

    /// The text of it, without blanks and slashes.
    pub fn expose(&self) -> Secret {
        Secret::new(format!("{}.{}", self.claim(), self.code.expose()))
    }

    fn claim(&self) -> String {
        let Self { webhook, id, until, .. } = self;
        format!("{webhook}.{}.{}.{}", id.delivery, id.request, until.as_second())
    }
}

impl TryFrom<String> for Ticket {
    type Error = TicketError;

    fn try_from(text: String) -> Result<Self, TicketError> {
        Self::parse(&text)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use jiff::ToSpan as _;

    use super::*;
    use crate::message::Message;

    fn delivery(request: u32) -> Delivery {
        let golden = Message::decode(include_bytes!("../../tests/golden/batch-1.json")).unwrap();
        let Message::Batch(content) = golden else { panic!("it is a batch") };
        Delivery {
            id: DeliveryId::from_random([1; 16]),
            webhook: WebhookId::from_random([2; 16]),
            request,
            ordinal: 1,
            not_before: None,
            is_parked: false,
            first_at: None,
            awaits_since: None,
            content: Arc::new(content),
        }
    }

    #[test]
    fn a_ticket_is_the_same_on_every_attempt_and_another_for_another_request() {
        let secret = SigningSecret::from_random([7; 32]);
        let ticket = Ticket::of(&delivery(0), &secret);
        let retried = delivery(0).retried(Timestamp::UNIX_EPOCH).parked(Timestamp::UNIX_EPOCH);
        assert_eq!(Ticket::of(&retried, &secret), ticket);
        assert_ne!(Ticket::of(&delivery(1), &secret), ticket);
        assert!(ticket.until > delivery(0).content.closed_at + 239.hours());
    }

    #[test]
    fn a_ticket_is_genuine_as_it_was_made_and_in_no_other_way() {
        let (secret, other) = (SigningSecret::from_random([7; 32]), SigningSecret::from_random([8; 32]));
        let text = Ticket::of(&delivery(0), &secret).expose().expose().to_owned();
        let ticket = Ticket::parse(&text).unwrap();
        assert!(ticket.is_genuine([&other, &secret]) && !ticket.is_genuine([&other]) && !ticket.is_genuine([]));
        assert!(!format!("{ticket:?}").contains(text.rsplit('.').next().unwrap()), "it is a secret");
        let parts: Vec<&str> = text.split('.').collect();
        for (place, changed) in [
            (0, "wh_ffffffffffffffffffffffff"),
            (1, "msg_ffffffffffffffffffffffffffffffff"),
            (2, "1"),
            (3, "99999999999"),
            (4, ""),
        ] {
            let mut parts = parts.clone();
            parts[place] = changed;
            assert!(!Ticket::parse(&parts.join(".")).unwrap().is_genuine([&secret]), "{place}");
        }
        for wrong in ["", "a.b.c.d.e", &format!("{text}.1"), &parts[..4].join(".")] {
            assert_eq!(Ticket::parse(wrong), Err(TicketError), "{wrong}");
        }
    }
}
