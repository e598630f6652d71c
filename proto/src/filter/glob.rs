//! Names by glob.

use std::fmt;

use globset::{GlobBuilder, GlobMatcher};
use serde::{Deserialize, Serialize};

/// The most globs of one list.
pub const GLOBS_LIMIT: usize = 20;
/// The longest glob, in bytes.
pub const GLOB_LIMIT: usize = 256;

/// A list of globs: `*` is any text without a slash, `**` between slashes any number of names, `?` one character, `[…]` one
/// of several, `{a,b}` one of several texts. What begins with `!` leaves names out that the others let through; a list of
/// nothing else lets all others through.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct Globs {
    texts: Vec<String>,
    wanted: Vec<GlobMatcher>,
    unwanted: Vec<GlobMatcher>,
}

impl Globs {
    /// Reads a list; the order does not matter. The error says which of them is wrong.
    pub fn new(texts: Vec<String>) -> Result<Self, String> {
        if texts.len() > GLOBS_LIMIT {
            return Err(format!("must be at most {GLOBS_LIMIT} globs"));
        }
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for text in &texts {
            match text.strip_prefix('!') {
                Some(glob) => unwanted.push(matcher(glob)?),
                None => wanted.push(matcher(text)?),
            }
        }
        Ok(Self { texts, wanted, unwanted })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// As they were given.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// Whether they let this name through.
    pub fn fit(&self, name: &str) -> bool {
        let is_match = |glob: &GlobMatcher| glob.is_match(name);
        (self.wanted.is_empty() || self.wanted.iter().any(is_match)) && !self.unwanted.iter().any(is_match)
    }
}

fn matcher(text: &str) -> Result<GlobMatcher, String> {
    if text.is_empty() || text.len() > GLOB_LIMIT {
        return Err(format!("must hold globs of 1 to {GLOB_LIMIT} bytes"));
    }
    let glob = GlobBuilder::new(text).literal_separator(true).empty_alternates(true).build();
    glob.map(|glob| glob.compile_matcher())
        .map_err(|error| format!("holds {text:?}, which is no glob: {}", error.kind()))
}

impl fmt::Debug for Globs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.texts).finish()
    }
}

impl PartialEq for Globs {
    fn eq(&self, other: &Self) -> bool {
        self.texts == other.texts
    }
}

impl Eq for Globs {}

impl TryFrom<Vec<String>> for Globs {
    type Error = String;
    fn try_from(texts: Vec<String>) -> Result<Self, String> {
        Self::new(texts)
    }
}

impl From<Globs> for Vec<String> {
    fn from(globs: Globs) -> Self {
        globs.texts
    }
}
