//! What a run is held to, beyond what every run is held to.

use std::collections::HashMap;

/// What the caller knows of the run.
#[derive(Debug, Default)]
pub struct Terms {
    /// How often deliveries may have come again.
    pub repeats: Repeats,
    /// Sums that must come out equal.
    pub sums: Vec<Sum>,
    /// What must have happened for the run to say anything.
    pub hits: Vec<Hit>,
}

/// How often deliveries may have come more than once. Unless it is a bound for all together, what was reported again
/// may come again beside that.
#[derive(Debug, Default)]
pub enum Repeats {
    /// Never: nothing was killed.
    #[default]
    Never,
    /// This often, all deliveries together.
    Together(usize),
    /// Each as often as it says, by delivery id; never those that are not here.
    Each(HashMap<String, usize>),
}

/// A sum of numbers that were read from metrics, which must be equal on both sides.
#[derive(Debug, Clone)]
pub struct Sum {
    /// What it says.
    pub name: &'static str,
    /// The numbers of one side, by their names.
    pub left: Vec<(&'static str, u64)>,
    /// Those of the other.
    pub right: Vec<(&'static str, u64)>,
}

/// Something that must have happened.
#[derive(Debug, Clone)]
pub struct Hit {
    /// What.
    pub name: &'static str,
    /// How often it did.
    pub times: usize,
    /// How often it must have.
    pub least: usize,
}
