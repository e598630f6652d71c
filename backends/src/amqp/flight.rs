//! Publishes that wait for their confirmations, and which of them were returned.
//!
//! The broker returns a message that it cannot route before it confirms it, but lapin hands a returned
//! message to whichever confirmation it completes next. So a return is matched by what it says itself, and
//! once one was seen, nobody is told of a success before every publish under way is confirmed: then all
//! returns are known.
//!
//! The confirmation that carries the return of a message is completed no later than that message's own. So
//! nothing is judged before everything that is complete was taken: the plain confirmation of a message that
//! was not routed would pass for a success while the one that carries its return is still to be taken.

use std::collections::{HashSet, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt as _};
use lapin::{Confirmation, PublisherConfirm};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::bus::PublishError;

/// The answer to a publish.
pub(super) type Answer = oneshot::Sender<Result<(), PublishError>>;

/// What identifies a publish on the wire. Publishes that share all of it share their fate.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) id: String,
    pub(super) exchange: String,
    pub(super) key: String,
}

#[derive(Debug)]
struct Pending {
    identity: Identity,
    /// None once its publisher was told that the result is unknown.
    answer: Option<Answer>,
    since: Instant,
    bytes: usize,
}

/// The writing of a publish, which ends with what its confirmation is awaited by.
pub(super) type Writing = BoxFuture<'static, lapin::Result<PublisherConfirm>>;
type Confirmed = (u64, lapin::Result<Confirmation>);

/// A publish that is written and then confirmed.
struct UnderWay {
    number: u64,
    stage: Stage,
}

enum Stage {
    Writing(Writing),
    Confirming(PublisherConfirm),
}

impl Future for UnderWay {
    type Output = Confirmed;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Confirmed> {
        let number = self.number;
        if let Stage::Writing(writing) = &mut self.stage {
            match ready!(writing.poll_unpin(context)) {
                Ok(confirm) => self.stage = Stage::Confirming(confirm),
                Err(error) => return Poll::Ready((number, Err(error))),
            }
        }
        match &mut self.stage {
            Stage::Confirming(confirm) => confirm.poll_unpin(context).map(|confirmation| (number, confirmation)),
            // It was written just now.
            Stage::Writing(_) => Poll::Pending,
        }
    }
}

/// The publishes under way on one channel.
#[derive(Default)]
pub(super) struct Flight {
    pending: Numbered,
    bytes: usize,
    confirming: FuturesUnordered<UnderWay>,
    confirmed: Vec<(Pending, bool)>,
    returned: HashSet<Identity>,
}

/// A publish whose end is known.
#[derive(Debug)]
pub(super) struct Landed {
    pub(super) identity: Identity,
    pub(super) result: Result<(), PublishError>,
    answer: Option<Answer>,
}

impl Landed {
    /// Tells the publisher, if it still waits.
    pub(super) fn tell(self) {
        if let Some(answer) = self.answer {
            // A publisher that stopped waiting does not want to know.
            drop(answer.send(self.result));
        }
    }
}

/// What is not confirmed, by numbers that count on.
#[derive(Default)]
struct Numbered {
    /// The number of the first place.
    first: u64,
    places: VecDeque<Option<Pending>>,
    filled: usize,
}

impl Numbered {
    fn add(&mut self, pending: Pending) -> u64 {
        let number = self.first.saturating_add(u64::try_from(self.places.len()).unwrap_or(u64::MAX));
        self.places.push_back(Some(pending));
        self.filled += 1;
        number
    }

    fn remove(&mut self, number: u64) -> Option<Pending> {
        let place = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let pending = self.places.get_mut(place)?.take()?;
        self.filled -= 1;
        while let Some(None) = self.places.front() {
            self.places.pop_front();
            self.first += 1;
        }
        Some(pending)
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.places.iter_mut().flatten()
    }
}

impl Flight {
    pub(super) fn len(&self) -> usize {
        self.pending.filled
    }

    /// The bytes of the bodies that are not confirmed.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether a return was seen whose message may not be known yet: nothing more may be published before
    /// all is confirmed.
    pub(super) fn must_settle(&self) -> bool {
        !self.returned.is_empty() && self.len() > 0
    }

    /// Adds a publish of so many bytes. Its writing begins at once, so that publishes are written in the order in
    /// which they are added, and does not wait for those before it, so that many are written together.
    pub(super) fn add(&mut self, identity: Identity, answer: Answer, (bytes, mut writing): (usize, Writing)) {
        let begun = (&mut writing).now_or_never();
        let number = self.pending.add(Pending { identity, answer: Some(answer), since: Instant::now(), bytes });
        self.bytes += bytes;
        let stage = match begun {
            Some(Ok(confirm)) => Stage::Confirming(confirm),
            Some(Err(error)) => Stage::Writing(std::future::ready(Err(error)).boxed()),
            None => Stage::Writing(writing),
        };
        self.confirming.push(UnderWay { number, stage });
    }

    /// Waits for a confirmation and takes it with all others that are there. Never ends while there are none.
    /// Dropping it loses nothing.
    pub(super) async fn progress(&mut self) -> lapin::Result<()> {
        let Some(first) = self.confirming.next().await else { return std::future::pending().await };
        self.take(first)?;
        while let Some(next) = take_ready(&mut self.confirming) {
            self.take(next)?;
        }
        Ok(())
    }

    fn take(&mut self, (number, confirmation): Confirmed) -> lapin::Result<()> {
        let confirmation = confirmation?;
        let is_ack = confirmation.is_ack();
        if let Some(returned) = confirmation.take_message() {
            let delivery = &returned.delivery;
            let id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
            let (exchange, key) = (delivery.exchange.to_string(), delivery.routing_key.to_string());
            self.returned.insert(Identity { id, exchange, key });
        }
        if let Some(pending) = self.pending.remove(number) {
            self.bytes -= pending.bytes;
            self.confirmed.push((pending, is_ack));
        }
        Ok(())
    }

    /// Those whose end is known for certain.
    pub(super) fn landed(&mut self) -> Vec<Landed> {
        if self.must_settle() {
            return Vec::new();
        }
        let returned = std::mem::take(&mut self.returned);
        let land = |(pending, is_ack): (Pending, bool)| {
            let Pending { identity, answer, .. } = pending;
            let result = if returned.contains(&identity) {
                Err(PublishError::Unroutable(format!("nothing is bound to {} for {}", identity.exchange, identity.key)))
            } else if is_ack {
                Ok(())
            } else {
                Err(PublishError::Unavailable("the queue is full".to_owned()))
            };
            Landed { identity, result, answer }
        };
        self.confirmed.drain(..).map(land).collect()
    }

    /// Lets the time of what is under way begin anew: the broker could not confirm.
    pub(super) fn forgive(&mut self) {
        let told = self.pending.iter_mut().filter(|pending| pending.answer.is_none());
        told.for_each(|pending| pending.since = Instant::now());
    }

    /// Tells the publishers of what has been under way for longer than `bound` that they cannot know; says
    /// whether there is any, those who were told before included.
    pub(super) fn give_up(&mut self, bound: Duration, reason: &str) -> bool {
        let unknown = || Err(PublishError::Unknown(reason.to_owned()));
        let mut is_any = false;
        for pending in self.pending.iter_mut().filter(|pending| pending.since.elapsed() >= bound) {
            is_any = true;
            if let Some(answer) = pending.answer.take() {
                // A publisher that stopped waiting does not want to know.
                drop(answer.send(unknown()));
            }
        }
        if bound.is_zero() {
            for (pending, _) in self.confirmed.drain(..) {
                Landed { identity: pending.identity, result: unknown(), answer: pending.answer }.tell();
            }
        }
        is_any
    }
}

/// Takes an item that is ready now. None is certain: everything that was complete before the call was taken.
///
/// A set of futures also says that nothing is ready while lapin's thread is about to put one more beside
/// those that are; it then wakes whoever asked, who must ask again.
fn take_ready<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    loop {
        match stream.poll_next_unpin(&mut Context::from_waker(&waker)) {
            Poll::Ready(item) => return item,
            Poll::Pending if woken.0.swap(false, Ordering::SeqCst) => std::thread::yield_now(),
            Poll::Pending => return None,
        }
    }
}

#[derive(Debug, Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream that says once that nothing is ready, and wakes whoever asked.
    #[test]
    fn what_is_ready_is_taken_although_a_set_says_that_nothing_is() {
        let mut asked = 0;
        let mut stream = futures_util::stream::poll_fn(|context| {
            asked += 1;
            match asked {
                1 => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
                2 => Poll::Ready(Some("it carries a return")),
                _ => Poll::Pending,
            }
        });
        assert_eq!(take_ready(&mut stream), Some("it carries a return"));
        assert_eq!(take_ready(&mut stream), None);
    }
}
