//! A moment in little memory.

use std::time::Duration;

use super::Moment;

/// A moment as a number of nanoseconds, which lasts for centuries: half as large as a [`Moment`], which counts where there
/// is one for each window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Nanos(u64);

impl From<Moment> for Nanos {
    fn from(moment: Moment) -> Self {
        Self(u64::try_from(moment.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl From<Nanos> for Moment {
    fn from(Nanos(nanos): Nanos) -> Self {
        Duration::from_nanos(nanos)
    }
}
