//! A TOML file as a flat list of dotted keys, each with its line.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::problem::{Place, Problem};

/// A file can only be so broken before the rest is noise.
const SYNTAX_PROBLEMS_SHOWN: usize = 5;
/// The longest part of a wrong value that is repeated.
const SHOWN_LETTERS: usize = 60;

/// A file that was read.
#[derive(Debug, Default)]
pub(super) struct Document {
    path: String,
    values: BTreeMap<String, (usize, Found)>,
    tables: BTreeMap<String, Table>,
    syntax: Vec<Problem>,
}

#[derive(Debug)]
struct Table {
    line: usize,
    parent: String,
    name: String,
    is_empty: bool,
}

/// A value as it stands in the file, or as it was typed.
#[derive(Debug, Clone)]
pub(super) enum Found {
    /// A scalar; the line is 0 unless it is an element of a list in a file.
    Text {
        text: String,
        line: usize,
    },
    List(Vec<Found>),
    Table,
}

impl Document {
    /// Reads as much as can be read; what cannot is a syntax problem.
    pub(super) fn parse(path: &Path, text: &str) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut document = Self { path: path.display().to_string(), ..Self::default() };
        let lines = Lines(text);
        for error in errors.into_iter().take(SYNTAX_PROBLEMS_SHOWN) {
            let (line, column) = lines.position(error.span().map_or(0, |span| span.start));
            let place = Place::File { path: document.path.clone(), line, column: Some(column) };
            let text = format!("not valid TOML: {}", error.message());
            document.syntax.push(Problem { place, key: String::new(), text });
        }
        document.flatten("", table.get_ref(), &lines);
        document
    }

    fn flatten(&mut self, parent: &str, table: &DeTable<'_>, lines: &Lines<'_>) {
        for (name, value) in table {
            let key =
                if parent.is_empty() { name.get_ref().to_string() } else { format!("{parent}.{}", name.get_ref()) };
            let (line, _) = lines.position(name.span().start);
            if let DeValue::Table(inner) = value.get_ref() {
                let name = name.get_ref().to_string();
                let table = Table { line, parent: parent.to_owned(), name, is_empty: inner.is_empty() };
                self.tables.insert(key.clone(), table);
                self.flatten(&key, inner, lines);
            } else {
                self.values.insert(key, (line, found(value, lines)));
            }
        }
    }

    pub(super) fn value(&self, key: &str) -> Option<(Place, Found)> {
        if let Some((line, found)) = self.values.get(key) {
            return Some((self.place(*line), found.clone()));
        }
        self.tables.get(key).map(|table| (self.place(table.line), Found::Table))
    }

    pub(super) fn place_of(&self, key: &str) -> Option<Place> {
        self.value(key).map(|(place, _)| place)
    }

    /// The names of the tables right below `key`.
    pub(super) fn tables_below(&self, key: &str) -> Vec<String> {
        self.tables.values().filter(|table| table.parent == key).map(|table| table.name.clone()).collect()
    }

    /// Every key with a value; a table without any stands for itself.
    pub(super) fn keys(&self) -> impl Iterator<Item = (String, Place)> {
        let values = self.values.iter().map(|(key, (line, _))| (key.clone(), self.place(*line)));
        let empty = self.tables.iter().filter(|(_, table)| table.is_empty);
        values.chain(empty.map(|(key, table)| (key.clone(), self.place(table.line))))
    }

    pub(super) fn syntax_problems(&self) -> Vec<Problem> {
        self.syntax.clone()
    }

    fn place(&self, line: usize) -> Place {
        Place::File { path: self.path.clone(), line, column: None }
    }
}

fn found(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Found {
    let (line, _) = lines.position(value.span().start);
    let text = match value.get_ref() {
        DeValue::String(text) => text.to_string(),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(yes) => yes.to_string(),
        DeValue::Datetime(time) => time.to_string(),
        DeValue::Array(elements) => return Found::List(elements.iter().map(|element| found(element, lines)).collect()),
        DeValue::Table(_) => return Found::Table,
    };
    Found::Text { text, line }
}

impl Found {
    /// What was typed in a flag or a variable.
    pub(super) fn typed(text: &str) -> Self {
        Self::Text { text: text.to_owned(), line: 0 }
    }

    /// The place of an element of the list that stands at `list`.
    pub(super) fn place(&self, list: &Place) -> Place {
        match (self, list) {
            (Self::Text { line, .. }, Place::File { path, .. }) => {
                Place::File { path: path.clone(), line: *line, column: None }
            }
            _ => list.clone(),
        }
    }
}

/// Quoted and escaped, so that it stays on its line.
impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { text, .. } => {
                let shown: String = text.chars().take(SHOWN_LETTERS).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "{shown:?}{more}")
            }
            Self::List(_) => f.write_str("a list"),
            Self::Table => f.write_str("a table"),
        }
    }
}

/// Finds lines and columns, both from 1.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.0.get(..offset).unwrap_or(self.0);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(line_start..).unwrap_or_default().chars().count() + 1;
        (before.matches('\n').count() + 1, column)
    }
}
