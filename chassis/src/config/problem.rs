//! What is wrong with settings, and where.

use std::fmt;

/// Where a value stands. The order is that of the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    File {
        path: String,
        line: usize,
        column: Option<usize>,
    },
    Environment(String),
    Flag(String),
    /// It was not given, so its default counts.
    Nowhere,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Problem {
    pub(super) place: Place,
    /// Empty when the place names the setting already, or there is none.
    pub(super) key: String,
    pub(super) text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::File { path, line, column } => {
                write!(f, "{path}:{line}: ")?;
                if let Some(column) = column {
                    write!(f, "column {column}: ")?;
                }
                if !self.key.is_empty() {
                    write!(f, "{}: ", self.key)?;
                }
            }
            Place::Environment(name) | Place::Flag(name) => write!(f, "{name}: ")?,
            Place::Nowhere => write!(f, "{}: ", self.key)?,
        }
        f.write_str(&self.text)
    }
}

/// Everything that is wrong with the settings, one line each.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigErrors(Vec<Problem>);

impl ConfigErrors {
    /// For settings that are missing although nothing was found wrong.
    pub(super) fn incomplete() -> Self {
        Self(vec![Problem { place: Place::Nowhere, key: String::new(), text: "a setting is missing".to_owned() }])
    }

    pub(super) fn check(mut problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_unstable();
        problems.dedup();
        Err(Self(problems))
    }
}
