//! What people decided about dead letters, which cannot be taken out of a stream one by one.

use std::time::Duration;

use jiff::Timestamp;

use crate::bus::DeadLetter;

/// How long a mark is kept: longer than a dead letter is, by default.
pub const MARKS_KEPT: Duration = Duration::from_hours(30 * 24);
/// The most letters of one call.
pub const MARKS_AT_ONCE: usize = 1_000;

/// A dead letter. Its time belongs to it, because positions begin anew where a stream was made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LetterId {
    /// Its place among the dead letters.
    pub position: u64,
    /// When it was given up.
    pub at: Timestamp,
}

impl From<&DeadLetter> for LetterId {
    fn from(letter: &DeadLetter) -> Self {
        Self { position: letter.position, at: letter.at }
    }
}

/// What was decided about a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// It was sent again.
    Revived,
    /// Nobody wants it any more.
    Discarded,
}

impl Decision {
    /// The name of the decision.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Revived => "revived",
            Self::Discarded => "discarded",
        }
    }

    /// The decision of that name.
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Revived, Self::Discarded].into_iter().find(|decision| decision.as_str() == name)
    }
}

/// A decision about a dead letter, and when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// What was decided.
    pub decision: Decision,
    /// When.
    pub at: Timestamp,
}
