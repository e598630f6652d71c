//! The oracle of tests with faults: what was accepted, what arrived, and a judgement of the two.
//!
//! The ledger is written by those who report, the sightings by the receiver, and neither asks Dockbell. Only what a
//! test reads of it for sums comes from it.

mod judge;
mod ledger;
mod report;
mod sightings;
mod terms;
#[cfg(test)]
mod tests;

pub use judge::judge;
pub use ledger::{Ledger, Push};
pub use report::{Finding, Invariant, Judgement, Report};
pub use sightings::{Sighting, Sightings, Told};
pub use terms::{Hit, Repeats, Sum, Terms};
