//! What a judgement says, as data and as a table.

use std::fmt;

/// What every run is held to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invariant {
    /// What was accepted arrived, was superseded, or was given an end.
    Conservation,
    /// What arrived was reported, and is as it was reported.
    NoInvention,
    /// Nothing came again more often than the faults explain.
    BoundedRepeats,
    /// The latest that a receiver was told of a tag is its newest push.
    Order,
    /// The numbers add up.
    Accounting,
    /// The faults hit.
    NonVacuity,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// Every invariant held, and the faults hit.
    Passed,
    /// An invariant did not hold. That is so even if a fault did not hit: a loss is a loss.
    Broken,
    /// Nothing was found, but the faults did not hit: the run says nothing.
    Invalid,
}

/// One thing that is not as it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// An event was accepted, and nothing became of it.
    Lost {
        /// The event.
        event: String,
        /// Its repository and tag.
        of: (String, String),
    },
    /// An event was told that was never reported of that tag.
    Invented {
        /// The event.
        event: String,
        /// The delivery that told it.
        delivery: String,
    },
    /// An event was told with another digest than it was reported with.
    Altered {
        /// The event.
        event: String,
        /// As reported.
        issued: String,
        /// As told.
        told: String,
    },
    /// A delivery came more often than the faults explain.
    Repeated {
        /// The delivery; none if the bound is for all together.
        delivery: Option<String>,
        /// How often it came again.
        times: usize,
        /// How often it might have.
        allowed: usize,
    },
    /// The latest that was told of a tag is not its newest push.
    Behind {
        /// The repository and tag.
        of: (String, String),
        /// The digest of its newest accepted push.
        newest: String,
        /// What the receiver ended with.
        told: Option<String>,
    },
    /// A sum does not come out.
    Unbalanced {
        /// The sum with its numbers.
        sum: String,
    },
    /// Something did not happen that makes the run worth anything.
    NotHit {
        /// What.
        hit: &'static str,
        /// How often it did.
        times: usize,
        /// How often it must have.
        least: usize,
    },
}

/// What was judged: each invariant with how many things were looked at, and what was found.
#[derive(Debug)]
pub struct Report {
    pub(super) rows: Vec<(Invariant, usize, Vec<Finding>)>,
    /// Remarks that nothing is held to, such as how many pushes were superseded.
    pub(super) counts: Vec<(&'static str, usize)>,
}

impl Report {
    /// How the run ended.
    pub fn judgement(&self) -> Judgement {
        let is_found = |of: fn(Invariant) -> bool| {
            self.rows.iter().any(|(invariant, _, findings)| of(*invariant) && !findings.is_empty())
        };
        if is_found(|invariant| invariant != Invariant::NonVacuity) {
            Judgement::Broken
        } else if is_found(|invariant| invariant == Invariant::NonVacuity) {
            Judgement::Invalid
        } else {
            Judgement::Passed
        }
    }

    /// Whether all that is owed has arrived, so that waiting longer would change nothing.
    pub fn is_complete(&self) -> bool {
        self.against(Invariant::Conservation).is_empty() && self.against(Invariant::Order).is_empty()
    }

    /// What was found against one invariant.
    pub fn against(&self, invariant: Invariant) -> &[Finding] {
        let row = self.rows.iter().find(|(of, _, _)| *of == invariant);
        row.map_or(&[], |(_, _, findings)| findings)
    }

    /// A count by its name; 0 if there is none.
    pub fn count(&self, name: &str) -> usize {
        self.counts.iter().find(|(of, _)| *of == name).map_or(0, |(_, count)| *count)
    }
}

/// How many findings of an invariant the table shows.
const SHOWN: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<16} {:>8} {:>7}", "invariant", "looked at", "broken")?;
        for (invariant, looked_at, findings) in &self.rows {
            writeln!(f, "{:<16} {looked_at:>8} {:>7}", invariant.to_string(), findings.len())?;
            for finding in findings.iter().take(SHOWN) {
                writeln!(f, "    {finding}")?;
            }
        }
        for (name, count) in &self.counts {
            writeln!(f, "{name:<25} {count:>7}")?;
        }
        write!(f, "{}", self.judgement())
    }
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conservation => "conservation",
            Self::NoInvention => "no invention",
            Self::BoundedRepeats => "bounded repeats",
            Self::Order => "order",
            Self::Accounting => "accounting",
            Self::NonVacuity => "non-vacuity",
        })
    }
}

impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passed => "passed",
            Self::Broken => "BROKEN",
            Self::Invalid => "INVALID: the faults did not hit",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { event, of: (repository, tag) } => write!(f, "{event} of {repository}:{tag} is lost"),
            Self::Invented { event, delivery } => write!(f, "{event} in {delivery} was never reported"),
            Self::Altered { event, issued, told } => write!(f, "{event} was reported with {issued}, told with {told}"),
            Self::Repeated { delivery, times, allowed } => {
                let what = delivery.as_deref().unwrap_or("all deliveries");
                write!(f, "{what} came again {times} times, {allowed} explained")
            }
            Self::Behind { of: (repository, tag), newest, told } => {
                let told = told.as_deref().unwrap_or("nothing");
                write!(f, "{repository}:{tag} ends with {told}, its newest push is {newest}")
            }
            Self::Unbalanced { sum } => f.write_str(sum),
            Self::NotHit { hit, times, least } => write!(f, "{hit}: {times}, at least {least} needed"),
        }
    }
}
