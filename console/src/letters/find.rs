//! Finding dead letters among those that the bus keeps, which knows them by their positions alone.

use dockbell_backends::bus::DeadLetter;
use dockbell_backends::store::marks::{LetterId, Mark};
use dockbell_proto::delivery::Delivery;
use dockbell_proto::message::Message;

use crate::Console;
use crate::auth::Caller;
use crate::draft::letters::LetterQuery;
use crate::problem::Problem;
use crate::webhooks::{may_list, reaches};

/// How many letters are read at once: bodies are up to 256 KiB.
const READ_AT_ONCE: u32 = 100;
/// The most letters that one call looks at, so that it ends within the patience of its caller.
const LOOKED_AT: usize = 2_000;

/// A dead letter with what is known of it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) letter: DeadLetter,
    pub(crate) mark: Option<Mark>,
    /// What it says; none if it cannot be read, or is an event.
    pub(crate) message: Option<Message>,
}

impl Found {
    fn new(letter: DeadLetter, mark: Option<Mark>) -> Self {
        let message = Message::decode(&letter.body).ok();
        Self { letter, mark, message }
    }

    /// The delivery that was given up, if it is one.
    pub(crate) fn delivery(&self) -> Option<&Delivery> {
        match &self.message {
            Some(Message::Delivery(delivery)) => Some(delivery),
            Some(Message::Batch(_)) | None => None,
        }
    }

    pub(crate) fn id(&self) -> LetterId {
        LetterId::from(&self.letter)
    }
}

/// The letter at a position, if the caller reaches its webhook. What is no delivery is for operators.
pub(super) async fn at(console: &Console, caller: &Caller, position: u64) -> Result<Found, Problem> {
    let letters = console.bus.dead_letters(position.saturating_sub(1), 1).await?;
    let letter = letters.into_iter().find(|letter| letter.position == position);
    let letter = letter.ok_or_else(none)?;
    let marks = console.store.dead_marks(&[LetterId::from(&letter)]).await?;
    let found = Found::new(letter, marks.into_iter().next().flatten());
    let is_theirs = match found.delivery() {
        Some(delivery) => reaches(console, caller, &delivery.webhook).await?,
        None => caller.is_operator(),
    };
    if is_theirs { Ok(found) } else { Err(none()) }
}

fn none() -> Problem {
    Problem::not_found("there is no dead letter at this position any more")
}

/// Those that fit the query, and the position to go on from; none at the end.
pub(super) async fn page(
    console: &Console,
    caller: &Caller,
    query: &LetterQuery,
) -> Result<(Vec<Found>, Option<u64>), Problem> {
    if !may_list(console, caller, query.webhook.as_ref()).await? {
        return Ok((Vec::new(), None));
    }
    let (mut found, mut position, mut looked_at) = (Vec::new(), query.after, 0);
    while looked_at < LOOKED_AT {
        let letters = console.bus.dead_letters(position, READ_AT_ONCE).await?;
        if letters.is_empty() {
            return Ok((found, None));
        }
        looked_at += letters.len();
        let ids: Vec<LetterId> = letters.iter().map(LetterId::from).collect();
        let marks = console.store.dead_marks(&ids).await?;
        for (letter, mark) in letters.into_iter().zip(marks) {
            position = letter.position;
            let looked = Found::new(letter, mark);
            if query.fits(&looked) {
                found.push(looked);
            }
            if found.len() >= query.limit {
                return Ok((found, Some(position)));
            }
        }
    }
    Ok((found, Some(position)))
}
