//! What a caller wants of the delivery policy to be otherwise for a webhook.

use std::time::Duration;

use serde_json::{Map, Value};

use dockbell_chassis::config::parse_duration;
use dockbell_proto::policy::{Policy, PolicyPatch, RetrySchedule};

use crate::problem::{MemberProblem, Problem};

/// The member of a webhook that holds it.
const MEMBER: &str = "policy";
/// A null member, which is as for all webhooks again.
type Maybe<T> = Option<T>;

/// What is to change of a webhook's own policy.
#[derive(Debug)]
pub(crate) enum PolicyChange {
    /// All of it is as for all webhooks.
    Clear,
    /// These members change; where there is no value they are as for all webhooks.
    Merge(Box<Changes>),
}

/// The members that change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    schedule: Option<Maybe<RetrySchedule>>,
    suspend_failures: Option<Maybe<u32>>,
    suspend_deliveries: Option<Maybe<u32>>,
    suspend_span: Option<Maybe<Duration>>,
    cooldown: Option<Maybe<Duration>>,
    longest_cooldown: Option<Maybe<Duration>>,
    trickle: Option<Maybe<u32>>,
    disable_after: Option<Maybe<Duration>>,
    disable_failures: Option<Maybe<u32>>,
    waiting: Option<Maybe<u32>>,
    age: Option<Maybe<Duration>>,
}

/// Reads a change. The refusal names every member that is wrong.
pub(super) fn change(value: &Value) -> Result<PolicyChange, String> {
    match value {
        Value::Null => Ok(PolicyChange::Clear),
        Value::Object(given) => Changes::read(given.clone()).map(|changes| PolicyChange::Merge(Box::new(changes))),
        _ => Err(format!("{MEMBER} must be an object")),
    }
}

/// Reads the policy of a new webhook, which must go together with `global`.
pub(super) fn new(value: &Value, global: &Policy) -> Result<PolicyPatch, String> {
    change(value)?.applied(&PolicyPatch::default(), global)
}

impl PolicyChange {
    /// The webhook's own policy after the change, which must go together with `global`.
    pub(crate) fn apply(self, current: &PolicyPatch, global: &Policy) -> Result<PolicyPatch, Problem> {
        self.applied(current, global)
            .map_err(|problem| Problem::invalid(vec![MemberProblem { member: MEMBER.to_owned(), problem }]))
    }

    fn applied(self, current: &PolicyPatch, global: &Policy) -> Result<PolicyPatch, String> {
        let patch = match self {
            Self::Clear => PolicyPatch::default(),
            Self::Merge(changes) => changes.onto(current.clone()),
        };
        let checked = global.with(&patch).check();
        checked.map(|()| patch).map_err(|error| format!("{MEMBER}: {} {}", error.member, error.problem))
    }
}

impl Changes {
    fn read(given: Map<String, Value>) -> Result<Self, String> {
        let mut reading = Reading { given, problems: Vec::new() };
        let changes = Self {
            schedule: reading.member("schedule", schedule),
            suspend_failures: reading.member("suspend_failures", count),
            suspend_deliveries: reading.member("suspend_deliveries", count),
            suspend_span: reading.member("suspend_span", duration),
            cooldown: reading.member("cooldown", duration),
            longest_cooldown: reading.member("longest_cooldown", duration),
            trickle: reading.member("trickle", count),
            disable_after: reading.member("disable_after", duration),
            disable_failures: reading.member("disable_failures", count),
            waiting: reading.member("waiting", count),
            age: reading.member("age", duration),
        };
        reading.finish().map(|()| changes)
    }

    fn onto(self, current: PolicyPatch) -> PolicyPatch {
        PolicyPatch {
            schedule: self.schedule.unwrap_or(current.schedule),
            suspend_failures: self.suspend_failures.unwrap_or(current.suspend_failures),
            suspend_deliveries: self.suspend_deliveries.unwrap_or(current.suspend_deliveries),
            suspend_span: self.suspend_span.unwrap_or(current.suspend_span),
            cooldown: self.cooldown.unwrap_or(current.cooldown),
            longest_cooldown: self.longest_cooldown.unwrap_or(current.longest_cooldown),
            trickle: self.trickle.unwrap_or(current.trickle),
            disable_after: self.disable_after.unwrap_or(current.disable_after),
            disable_failures: self.disable_failures.unwrap_or(current.disable_failures),
            waiting: self.waiting.unwrap_or(current.waiting),
            age: self.age.unwrap_or(current.age),
        }
    }
}

/// Members that are not yet read, and what was wrong with those that are.
struct Reading {
    given: Map<String, Value>,
    problems: Vec<String>,
}

impl Reading {
    fn member<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<Maybe<T>> {
        match self.given.remove(name)? {
            Value::Null => Some(None),
            value => match read(&value) {
                Ok(value) => Some(Some(value)),
                Err(problem) => {
                    self.problems.push(format!("{MEMBER}: {name} {problem}"));
                    None
                }
            },
        }
    }

    fn finish(mut self) -> Result<(), String> {
        if !self.given.is_empty() {
            self.problems.push(format!("{MEMBER}: it has members that are not known"));
        }
        if self.problems.is_empty() { Ok(()) } else { Err(self.problems.join("; ")) }
    }
}

fn count(value: &Value) -> Result<u32, String> {
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.ok_or_else(|| "must be a whole number".to_owned())
}

fn duration(value: &Value) -> Result<Duration, String> {
    let span = value.as_str().and_then(parse_duration);
    span.ok_or_else(|| "must be a duration such as 500ms, 5s or 1m30s".to_owned())
}

fn schedule(value: &Value) -> Result<RetrySchedule, String> {
    let pauses: Option<Result<_, _>> = value.as_array().map(|pauses| pauses.iter().map(duration).collect());
    let pauses = pauses.unwrap_or_else(|| Err("must be a list of durations".to_owned()))?;
    RetrySchedule::new(pauses).map_err(|error| error.to_string())
}
