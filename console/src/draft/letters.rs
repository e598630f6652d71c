//! Which dead letters a caller means.

use jiff::Timestamp;

use dockbell_backends::bus::Queue;
use dockbell_backends::store::PAGE_LIMIT;
use dockbell_backends::store::marks::Decision;
use dockbell_proto::ids::{DeliveryId, WebhookId};

use super::members::Members;
use super::reading;
use crate::letters::Found;
use crate::problem::{MemberProblem, Problem};

/// The place of a dead letter, as it stands in a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LetterPosition(pub(crate) u64);

impl TryFrom<String> for LetterPosition {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

/// Which marks a letter may carry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Marked {
    /// None.
    #[default]
    No,
    /// That of this decision.
    As(Decision),
    /// Any, or none.
    Anyhow,
}

/// Which dead letters.
#[derive(Debug, Default)]
pub(crate) struct LetterQuery {
    /// Of this webhook alone.
    pub(crate) webhook: Option<WebhookId>,
    delivery: Option<DeliveryId>,
    queue: Option<Queue>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    marked: Marked,
    /// Those after this position.
    pub(crate) after: u64,
    /// How many at most.
    pub(crate) limit: usize,
}

impl LetterQuery {
    /// Reads the parameters of a list.
    pub(crate) fn read(given: Vec<(String, String)>) -> Result<Self, Problem> {
        let mut members = Members::of_query(given);
        let query = Self::filters(&mut members);
        let marked = members.optional("mark", reading::marked).unwrap_or_default();
        let limit = members.optional("limit", reading::limit).unwrap_or(reading::LIMIT_BY_DEFAULT);
        members.refuse_the_rest("is not a parameter of this list");
        members.finish(Self { marked, limit: size(limit), ..query })
    }

    fn filters(members: &mut Members) -> Self {
        Self {
            webhook: members.optional("webhook", reading::webhook),
            delivery: members.optional("delivery", reading::delivery),
            queue: members.optional("queue", reading::queue),
            since: members.optional("since", |value| reading::time("since", value)),
            until: members.optional("until", |value| reading::time("until", value)),
            marked: Marked::No,
            after: members.optional("after", reading::position).unwrap_or_default(),
            limit: size(PAGE_LIMIT),
        }
    }

    fn is_of_all(&self) -> bool {
        let is_of_one = self.webhook.is_some() || self.delivery.is_some() || self.queue.is_some();
        !is_of_one && self.since.is_none() && self.until.is_none()
    }

    /// Whether a letter is one of these.
    pub(crate) fn fits(&self, found: &Found) -> bool {
        let (letter, delivery) = (&found.letter, found.delivery());
        let is_marked_so = match self.marked {
            Marked::No => found.mark.is_none(),
            Marked::As(decision) => found.mark.is_some_and(|mark| mark.decision == decision),
            Marked::Anyhow => true,
        };
        is_marked_so
            && self.queue.is_none_or(|queue| letter.queue == queue)
            && self.since.is_none_or(|since| letter.at >= since)
            && self.until.is_none_or(|until| letter.at <= until)
            && self.webhook.as_ref().is_none_or(|id| delivery.is_some_and(|delivery| delivery.webhook == *id))
            && self.delivery.as_ref().is_none_or(|id| delivery.is_some_and(|delivery| delivery.id == *id))
    }
}

/// Letters without a mark about which something is decided at once.
#[derive(Debug)]
pub(crate) struct LetterSelection {
    /// Those of one page.
    pub(crate) query: LetterQuery,
    /// The latest time at which they were given up.
    pub(crate) until: Timestamp,
}

impl LetterSelection {
    /// Reads the parameters. All letters must be asked for in so many words, and what is given up later than `now` is
    /// none of them.
    pub(crate) fn read(given: Vec<(String, String)>, now: Timestamp) -> Result<Self, Problem> {
        let mut members = Members::of_query(given);
        let query = LetterQuery::filters(&mut members);
        let all = members.optional("all", reading::all).unwrap_or(false);
        members.refuse_the_rest("does not say which dead letters");
        let mut query = members.finish(query)?;
        if query.is_of_all() && !all {
            let problem = "all must be true if nothing else says which dead letters".to_owned();
            return Err(Problem::invalid(vec![MemberProblem { member: "all".to_owned(), problem }]));
        }
        let until = *query.until.get_or_insert(now);
        Ok(Self { query, until })
    }
}

/// Reads how many, where nothing else can be said.
pub(crate) fn read_limit(given: Vec<(String, String)>) -> Result<u32, Problem> {
    let mut members = Members::of_query(given);
    let limit = members.optional("limit", reading::limit).unwrap_or(reading::LIMIT_BY_DEFAULT);
    members.refuse_the_rest("is not a parameter of this list");
    members.finish(limit)
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
