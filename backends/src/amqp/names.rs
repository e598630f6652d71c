//! The names of exchanges and queues.

use crate::bus::Queue;

use super::delay::Step;

/// The longest name that the wire has room for, less what is added to a base.
const LONGEST_BASE: usize = 200;

/// The names that the others are made of. An exchange has the base as its name; a queue has the version and
/// the shard behind it, as in `dockbell.events.v1.00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AmqpNames {
    /// The exchange that others publish their events to.
    pub registry: String,
    /// What others published while there is more than one shard.
    pub inbox: String,
    /// Events.
    pub events: String,
    /// Deliveries.
    pub deliveries: String,
    /// Redeliveries.
    pub redeliveries: String,
    /// What waits for its time.
    pub delay: String,
    /// The exchange that what has waited comes through.
    pub due: String,
    /// Dead letters.
    pub dead: String,
    /// What others published and nobody takes.
    pub unrouted: String,
    /// The exchange of operator events, which no queue of ours is bound to.
    pub operations: String,
    /// The version of the queues: a change of their fixed arguments needs new queues beside the old ones.
    pub version: String,
    /// The version before, whose queues are drained; those that are not there need not be.
    pub previous: Option<String>,
}

impl Default for AmqpNames {
    fn default() -> Self {
        Self::with_prefix("dockbell")
    }
}

impl AmqpNames {
    /// Names that begin with `prefix`; the exchange that others publish to does not.
    pub fn with_prefix(prefix: &str) -> Self {
        let name = |base: &str| format!("{prefix}.{base}");
        Self {
            registry: "registry.events".to_owned(),
            inbox: name("inbox"),
            events: name("events"),
            deliveries: name("deliveries"),
            redeliveries: name("redeliveries"),
            delay: name("delay"),
            due: name("due"),
            dead: name("dead"),
            unrouted: name("unrouted"),
            operations: name("operations"),
            version: "v1".to_owned(),
            previous: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), &'static str> {
        let bases = [
            &self.registry,
            &self.inbox,
            &self.events,
            &self.deliveries,
            &self.redeliveries,
            &self.delay,
            &self.due,
            &self.dead,
            &self.unrouted,
            &self.operations,
        ];
        let all = || bases.into_iter().chain([&self.version]).chain(&self.previous);
        if all().any(|name| name.is_empty() || name.len() > LONGEST_BASE || name.starts_with("amq.")) {
            return Err("a name must have 1 to 200 bytes and must not begin with amq.");
        }
        if self.previous.as_ref() == Some(&self.version) {
            return Err("the version before is the present one");
        }
        let distinct: std::collections::BTreeSet<_> = bases.into_iter().collect();
        if distinct.len() < bases.len() { Err("two names are the same") } else { Ok(()) }
    }

    /// The same names of the version before.
    pub(super) fn previous(&self) -> Option<Self> {
        let version = self.previous.clone()?;
        Some(Self { version, previous: None, ..self.clone() })
    }

    /// The exchange of a queue.
    pub(super) fn exchange(&self, queue: Queue) -> &str {
        match queue {
            Queue::Events => &self.events,
            Queue::Deliveries => &self.deliveries,
            Queue::Redeliveries => &self.redeliveries,
        }
    }

    pub(super) fn queue(&self, queue: Queue, shard: u16) -> String {
        format!("{}.{}.{shard:02}", self.exchange(queue), self.version)
    }

    pub(super) fn delay_queue(&self, step: Step, shard: u16) -> String {
        format!("{}.{}.{}.{shard:02}", self.delay, step.name, self.version)
    }

    pub(super) fn inbox_queue(&self) -> String {
        format!("{}.{}", self.inbox, self.version)
    }

    pub(super) fn dead_queue(&self) -> String {
        format!("{}.{}", self.dead, self.version)
    }

    pub(super) fn unrouted_queue(&self) -> String {
        format!("{}.{}", self.unrouted, self.version)
    }
}

/// The routing key, on the exchange of events, of those whose shard is not known.
pub(super) const INBOX_KEY: &str = "inbox";

/// The routing key of a shard.
pub(super) fn shard_key(shard: u16) -> String {
    format!("{shard:02}")
}

/// The routing key of what waits on a step: it stays the same all the way to the queue.
pub(super) fn delay_key(step: Step, queue: Queue, shard: u16) -> String {
    format!("{}.{}.{shard:02}", step.name, queue.as_str())
}

/// What is bound for all that waits on a step of a shard.
pub(super) fn step_key(step: Step, shard: u16) -> String {
    format!("{}.*.{shard:02}", step.name)
}

/// What is bound for all that has waited for a shard of a queue.
pub(super) fn due_key(queue: Queue, shard: u16) -> String {
    format!("*.{}.{shard:02}", queue.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::amqp::delay::STEPS;

    #[test]
    fn queues_of_released_versions_keep_their_names() {
        let names = AmqpNames::default();
        assert_eq!(names.queue(Queue::Events, 0), "dockbell.events.v1.00");
        assert_eq!(names.delay_queue(STEPS[3], 7), "dockbell.delay.2m.v1.07");
        assert_eq!(names.dead_queue(), "dockbell.dead.v1");
        assert_eq!(names.inbox_queue(), "dockbell.inbox.v1");
        assert_eq!(delay_key(STEPS[0], Queue::Redeliveries, 12), "1s.redeliveries.12");
    }

    #[test]
    fn equal_or_reserved_names_are_refused() {
        let reserved = AmqpNames { registry: "amq.topic".to_owned(), ..AmqpNames::default() };
        assert!(reserved.check().is_err());
        let equal = AmqpNames { due: "dockbell.dead".to_owned(), ..AmqpNames::default() };
        assert!(equal.check().is_err());
        let itself = AmqpNames { previous: Some("v1".to_owned()), ..AmqpNames::default() };
        assert!(itself.check().is_err());
        assert!(AmqpNames::default().check().is_ok());
    }
}
