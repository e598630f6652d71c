//! Reading a set of members one by one, to name every one that is wrong.

use serde_json::{Map, Value};

use crate::problem::{MemberProblem, Problem};

/// The longest name of an unknown member that is repeated to the caller, in characters.
const SHOWN_NAME: usize = 64;

/// The members that are not yet read, and what was wrong with those that are.
#[derive(Debug)]
pub(super) struct Members {
    given: Map<String, Value>,
    problems: Vec<MemberProblem>,
}

impl Members {
    /// The members of a body.
    pub(super) fn new(given: Map<String, Value>) -> Self {
        Self { given, problems: Vec::new() }
    }

    /// The members of a query; one that is given twice is refused.
    pub(super) fn of_query(given: Vec<(String, String)>) -> Self {
        let mut members = Self::new(Map::new());
        for (name, value) in given {
            if members.given.insert(name.clone(), Value::String(value)).is_some() {
                members.refuse(&name, "is given twice");
            }
        }
        members
    }

    /// Reads a member that must be there. None if it is not, or wrong.
    pub(super) fn required<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        if !self.given.contains_key(name) {
            self.refuse(name, "must be given");
        }
        self.optional(name, read)
    }

    /// Reads a member that may be there. None if it is not, or wrong.
    pub(super) fn optional<T>(&mut self, name: &str, read: impl FnOnce(&Value) -> Result<T, String>) -> Option<T> {
        match read(&self.given.remove(name)?) {
            Ok(value) => Some(value),
            Err(problem) => {
                self.problems.push(MemberProblem { member: name.to_owned(), problem });
                None
            }
        }
    }

    /// Refuses every member that was not read.
    pub(super) fn refuse_the_rest(&mut self, problem: &str) {
        for name in std::mem::take(&mut self.given).into_iter().map(|(name, _)| name) {
            self.refuse(&name.chars().take(SHOWN_NAME).collect::<String>(), problem);
        }
    }

    /// What was made of the members, if none of them is wrong.
    pub(super) fn finish<T>(self, made: T) -> Result<T, Problem> {
        if self.problems.is_empty() { Ok(made) } else { Err(self.into_problem()) }
    }

    /// What is wrong with the members.
    pub(super) fn into_problem(self) -> Problem {
        Problem::invalid(self.problems)
    }

    fn refuse(&mut self, name: &str, problem: &str) {
        let problem = format!("{name} {problem}");
        self.problems.push(MemberProblem { member: name.to_owned(), problem });
    }
}
