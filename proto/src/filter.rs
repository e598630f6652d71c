//! Which of the pushes to its repositories a webhook is told of.

mod glob;
mod kind;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::batch::Change;
use crate::names::Repository;

pub use glob::{GLOB_LIMIT, GLOBS_LIMIT, Globs};
pub use kind::Kind;

/// The member of a webhook that holds it.
const MEMBER: &str = "filter";
/// Its members.
const NAMES: [&str; 4] = ["tags", "repositories", "kinds", "only_changed"];

/// What a push must be for the webhook to be told of it. An empty part lets everything through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// The tags.
    #[serde(skip_serializing_if = "Globs::is_empty")]
    pub tags: Globs,
    /// The repositories, of those that the webhook is set on.
    #[serde(skip_serializing_if = "Globs::is_empty")]
    pub repositories: Globs,
    /// What was pushed. What a source leaves open passes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<Kind>,
    /// Whether a push is left out whose digest is the one that the receiver was last told of the tag.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub only_changed: bool,
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether pushes to this repository may pass.
    pub fn covers(&self, repository: &Repository) -> bool {
        self.repositories.fit(repository.as_str())
    }

    /// Whether this push of a tag passes, as far as itself tells.
    pub fn passes(&self, change: &Change) -> bool {
        let is_wanted = |kind| self.kinds.is_empty() || self.kinds.contains(kind);
        self.tags.fit(change.tag.as_str()) && Kind::possible(change).iter().any(is_wanted)
    }

    /// The filter after `changes`; a member that is null lets everything through. The error says of every one that is
    /// wrong what it may be.
    pub fn changed(&self, changes: &Map<String, Value>) -> Result<Self, String> {
        let mut filter = self.clone();
        let set = |(name, value): (&String, &Value)| {
            filter.set(name, value).err().map(|problem| format!("{MEMBER}: {problem}"))
        };
        let problems: Vec<String> = changes.iter().filter_map(set).collect();
        if problems.is_empty() { Ok(filter) } else { Err(problems.join("; ")) }
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let wrong = |problem: String| format!("{name} {problem}");
        match name {
            "tags" => self.tags = Globs::new(texts(value).map_err(wrong)?).map_err(wrong)?,
            "repositories" => self.repositories = Globs::new(texts(value).map_err(wrong)?).map_err(wrong)?,
            "kinds" => self.kinds = kinds(&texts(value).map_err(wrong)?).map_err(wrong)?,
            "only_changed" => self.only_changed = truth(value).map_err(wrong)?,
            _ => {
                let name: String = name.chars().take(64).collect();
                return Err(format!("there is no member {name:?}; it has {}", NAMES.join(", ")));
            }
        }
        Ok(())
    }
}

/// One text counts as a list of one.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let of = |value: &Value| value.as_str().map(str::to_owned);
    match value {
        Value::Null => Ok(Vec::new()),
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(all) => {
            all.iter().map(of).collect::<Option<_>>().ok_or_else(|| "must be a list of texts".to_owned())
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Err("must be a list of texts".to_owned()),
    }
}

fn kinds(names: &[String]) -> Result<Vec<Kind>, String> {
    let known = || format!("must be among {}", Kind::ALL.map(Kind::as_str).join(", "));
    let mut kinds: Vec<Kind> =
        names.iter().map(|name| Kind::parse(name).ok_or_else(known)).collect::<Result<_, _>>()?;
    kinds.sort_unstable();
    kinds.dedup();
    Ok(kinds)
}

/// A truth value may be given as text too, as a command line does.
fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Null => Ok(false),
        Value::Bool(truth) => Ok(*truth),
        Value::String(text) => text.parse().map_err(|_| "must be true or false".to_owned()),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => Err("must be true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests;
