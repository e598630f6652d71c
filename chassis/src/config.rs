//! Settings: a flag beats the environment, which beats the TOML file, which beats the default.

mod document;
mod environment;
mod near;
mod problem;
mod value;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::config::document::{Document, Found};
use crate::config::problem::{Place, Problem};

#[cfg(feature = "failpoints")]
pub(crate) use crate::config::environment::failpoint;
pub use crate::config::environment::{process_environment, variable_of};
pub use crate::config::problem::ConfigErrors;
pub use crate::config::value::parse_duration;

#[cfg(test)]
mod tests;

/// The exit code of a process whose settings or arguments are wrong: `EX_USAGE` of sysexits.h.
pub const EXIT_USAGE: u8 = 64;

/// Where settings come from.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// What was given on the command line: key, value, and the flag as it was typed.
    pub flags: Vec<(String, String, String)>,
    /// The environment; only names that start with `DOCKBELL_` matter. An empty variable counts as unset,
    /// because that is what templates of containers leave behind.
    pub environment: BTreeMap<String, String>,
    /// Path and text of the TOML file.
    pub file: Option<(PathBuf, String)>,
}

/// Reads settings by their dotted key ("window.quiet"), and notes everything that is wrong.
///
/// What a `get` returns for a wrong value is only there so that reading can go on: [`Reader::finish`]
/// must be asked before any of it is used.
#[derive(Debug)]
pub struct Reader {
    flags: BTreeMap<String, (String, String)>,
    environment: BTreeMap<String, String>,
    document: Document,
    known: BTreeSet<String>,
    foreign: Vec<String>,
    problems: Vec<Problem>,
}

/// A value as it was given.
struct Given {
    place: Place,
    found: Found,
}

impl Reader {
    /// Takes the sources; what is wrong with the file as TOML is told by [`Reader::finish`].
    pub fn new(sources: Sources) -> Self {
        let document = sources.file.map(|(path, text)| Document::parse(&path, &text)).unwrap_or_default();
        let flags = sources.flags.into_iter().map(|(key, value, name)| (key, (value, name))).collect();
        let environment = environment::ours(sources.environment);
        Self { flags, environment, document, known: BTreeSet::new(), foreign: Vec::new(), problems: Vec::new() }
    }

    /// Reads one value. `expected` finishes the sentence "expected …". `None` when the setting is absent,
    /// or wrong, which is noted.
    pub fn get<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let given = self.look_up(key)?;
        let parsed = match &given.found {
            Found::Text { text, .. } => parse(text),
            _ => None,
        };
        if parsed.is_none() {
            self.note_wrong(key, given.place, &given.found, expected);
        }
        parsed
    }

    /// Reads a TOML array, or a comma-separated text in an environment variable or a flag. Every element
    /// that is wrong is noted.
    pub fn get_list<T>(&mut self, key: &str, expected: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
        let given = self.look_up(key)?;
        let elements = match given.found {
            Found::Text { text, .. } if !matches!(given.place, Place::File { .. }) => value::split_list(&text),
            Found::List(elements) => elements,
            found => {
                self.note_wrong(key, given.place, &found, &format!("a list, each element {expected}"));
                return None;
            }
        };
        let mut values = Vec::with_capacity(elements.len());
        let wrong_before = self.problems.len();
        for element in elements {
            let parsed = match &element {
                Found::Text { text, .. } => parse(text),
                _ => None,
            };
            match parsed {
                Some(value) => values.push(value),
                None => self.note_wrong(key, element.place(&given.place), &element, expected),
            }
        }
        (self.problems.len() == wrong_before).then_some(values)
    }

    /// Reads texts: a TOML array, or one text, whose elements commas separate wherever it stands.
    pub fn texts(&mut self, key: &str) -> Option<Vec<String>> {
        let expected = "a text that is not empty";
        let parse = |text: &str| (!text.trim().is_empty()).then(|| text.trim().to_owned());
        match self.document.value(key) {
            Some((_, Found::Text { .. })) if self.given_outside_the_file(key).is_none() => {
                let text = self.text(key)?;
                let parts: Option<Vec<String>> = text.split(',').map(parse).collect();
                if parts.is_none() {
                    self.reject(key, "has an empty element");
                }
                parts
            }
            _ => self.get_list(key, expected, parse),
        }
    }

    /// Reads a duration such as `500ms` or `1m30s`.
    pub fn duration(&mut self, key: &str, default: Duration) -> Duration {
        self.get(key, "a duration such as 500ms, 5s or 1m30s", value::parse_duration).unwrap_or(default)
    }

    /// Reads an address to listen on.
    pub fn address(&mut self, key: &str, default: SocketAddr) -> SocketAddr {
        let expected = "an address and a port such as 127.0.0.1:8080 or [::]:8080";
        self.get(key, expected, |text| text.parse().ok()).unwrap_or(default)
    }

    /// Reads a whole number within `range`.
    pub fn count<N>(&mut self, key: &str, default: N, range: RangeInclusive<N>) -> N
    where
        N: FromStr + PartialOrd + Display,
    {
        let expected = format!("a whole number from {} to {}", range.start(), range.end());
        let parse = |text: &str| text.parse().ok().filter(|number| range.contains(number));
        self.get(key, &expected, parse).unwrap_or(default)
    }

    /// Reads a text that is not empty.
    pub fn text(&mut self, key: &str) -> Option<String> {
        self.get(key, "a text that is not empty", |text| (!text.trim().is_empty()).then(|| text.to_owned()))
    }

    /// Reads a yes or no.
    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        self.get(key, "true or false", |text| text.parse().ok()).unwrap_or(default)
    }

    /// The names of the tables below `key`: `[sources.registry]` is "registry" in "sources", and its own
    /// settings are read as "sources.registry.token". A process without a file lists the names in the
    /// variable of `key`, separated by commas.
    pub fn table_names(&mut self, key: &str) -> Vec<String> {
        let mut names = self.document.tables_below(key);
        if self.given_outside_the_file(key).is_some() {
            let listed = self.get_list(key, "a name", |text| (!text.is_empty()).then(|| text.to_owned()));
            names.extend(listed.unwrap_or_default());
        } else {
            self.known.insert(key.to_owned());
            self.reject_unless_table(key);
        }
        names.sort_unstable();
        names.dedup();
        self.known.extend(names.iter().map(|name| format!("{key}.{name}")));
        names
    }

    /// Settings at and below `section` belong to another process that shares the file or the environment:
    /// they are neither read nor unknown.
    pub fn leave_to_others(&mut self, section: &str) {
        self.foreign.push(section.to_owned());
    }

    /// Whether a value was given, right or wrong.
    pub fn is_given(&self, key: &str) -> bool {
        self.given_outside_the_file(key).is_some() || self.document.value(key).is_some()
    }

    /// Notes that a value is wrong in relation to others; the place of `key` is added. The problem must
    /// not repeat a secret.
    pub fn reject(&mut self, key: &str, problem: impl Into<String>) {
        let place = self.given_outside_the_file(key).map(|given| given.place);
        let place = place.or_else(|| self.document.place_of(key)).unwrap_or(Place::Nowhere);
        self.problems.push(Problem { place, key: key.to_owned(), text: problem.into() });
    }

    /// Tells everything that is wrong at once: what the reads noted, and what no read asked for.
    pub fn finish(mut self) -> Result<(), ConfigErrors> {
        let mut problems = std::mem::take(&mut self.problems);
        let syntax = self.document.syntax_problems();
        if syntax.is_empty() {
            problems.extend(self.unknown_keys());
        } else {
            // What the rest of a broken file seems to say would only mislead.
            problems.retain(|problem| !matches!(problem.place, Place::File { .. } | Place::Nowhere));
            problems.extend(syntax);
        }
        problems.extend(self.unknown_variables());
        ConfigErrors::check(problems)
    }

    /// As [`Reader::finish`], with what was read: None stands for something that is missing.
    pub fn conclude<S>(self, settings: Option<S>) -> Result<S, ConfigErrors> {
        self.finish()?;
        settings.ok_or_else(ConfigErrors::incomplete)
    }

    fn look_up(&mut self, key: &str) -> Option<Given> {
        self.known.insert(key.to_owned());
        self.given_outside_the_file(key).or_else(|| {
            let (place, found) = self.document.value(key)?;
            Some(Given { place, found })
        })
    }

    fn given_outside_the_file(&self, key: &str) -> Option<Given> {
        if let Some((value, name)) = self.flags.get(key) {
            return Some(Given { place: Place::Flag(name.clone()), found: Found::typed(value) });
        }
        let variable = variable_of(key);
        let value = self.environment.get(&variable).filter(|value| !value.is_empty())?;
        Some(Given { place: Place::Environment(variable), found: Found::typed(value) })
    }

    fn note_wrong(&mut self, key: &str, place: Place, found: &Found, expected: &str) {
        let shown = if value::is_secret(key) { "a value that is not shown".to_owned() } else { found.to_string() };
        let text = format!("found {shown}, expected {expected}");
        self.problems.push(Problem { place, key: key.to_owned(), text });
    }

    fn reject_unless_table(&mut self, key: &str) {
        let value = self.document.value(key).filter(|(_, found)| !matches!(found, Found::Table));
        if let Some((place, found)) = value {
            self.note_wrong(key, place, &found, &format!("tables such as [{key}.name]"));
        }
    }

    fn unknown_keys(&self) -> Vec<Problem> {
        let unknown = |key: &str| !self.known.contains(key) && !self.is_section(key) && !self.is_foreign(key);
        let problem = |(key, place): (String, Place)| {
            let text = near::unknown(&key, self.known.iter().map(String::as_str));
            Problem { place, key, text }
        };
        self.document.keys().filter(|(key, _)| unknown(key)).map(problem).collect()
    }

    /// A section whose settings are all commented out is empty, but not unknown.
    fn is_section(&self, key: &str) -> bool {
        self.known.iter().any(|known| is_at_or_below(known, key, '.'))
    }

    fn is_foreign(&self, key: &str) -> bool {
        self.foreign.iter().any(|section| is_at_or_below(key, section, '.'))
    }

    fn unknown_variables(&self) -> Vec<Problem> {
        let known: BTreeSet<String> = self.known.iter().map(|key| variable_of(key)).collect();
        let foreign: Vec<String> = self.foreign.iter().map(|section| variable_of(section)).collect();
        let is_foreign = |name: &str| foreign.iter().any(|section| is_at_or_below(name, section, '_'));
        let unknown = self.environment.keys().filter(|name| !known.contains(*name) && !is_foreign(name));
        let problem = |name: &String| Problem {
            place: Place::Environment(name.clone()),
            key: String::new(),
            text: near::unknown(name, known.iter().map(String::as_str)),
        };
        unknown.map(problem).collect()
    }
}

fn is_at_or_below(name: &str, section: &str, separator: char) -> bool {
    name.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(separator))
}
