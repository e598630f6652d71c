//! What two runs are to each other, and whether that is good enough.

use std::fmt;
use std::time::Duration;

use crate::arrivals::Summary;

/// What a run with trouble is to the run without it, for the webhooks that have none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) p99: f64,
    pub(crate) rate: f64,
}

/// Beyond which neighbours are said to wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// The most that the p99 may grow by.
    pub(crate) p99: f64,
    /// The least that the rate may fall to.
    pub(crate) rate: f64,
}

/// The limits that the project promises.
pub(crate) const PROMISED: Limits = Limits { p99: 1.2, rate: 0.95 };

impl Ratio {
    pub(crate) fn of(calm: &Summary, troubled: &Summary) -> Self {
        let seconds = |time: Duration| time.as_secs_f64();
        Self { p99: seconds(troubled.p99) / seconds(calm.p99), rate: troubled.rate / calm.rate }
    }

    /// The median of each; none of none.
    pub(crate) fn median(ratios: &[Self]) -> Option<Self> {
        Some(Self {
            p99: median(ratios.iter().map(|ratio| ratio.p99))?,
            rate: median(ratios.iter().map(|ratio| ratio.rate))?,
        })
    }

    pub(crate) fn keeps(&self, limits: Limits) -> bool {
        self.p99 <= limits.p99 && self.rate >= limits.rate
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p99 × {:.2}, rate × {:.3}", self.p99, self.rate)
    }
}

/// The median; none of none.
pub(crate) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    let lower = *values.get(values.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratios(values: &[f64]) -> Vec<Ratio> {
        values.iter().map(|&p99| Ratio { p99, rate: 1.0 }).collect()
    }

    #[test]
    fn one_bad_pair_does_not_decide() {
        let median = Ratio::median(&ratios(&[9.0, 1.1, 1.0, 1.3, 1.2])).unwrap();
        assert!((median.p99 - 1.2).abs() < 1e-9 && median.keeps(PROMISED), "{median}");
        assert_eq!(Ratio::median(&[]), None);
        assert!((Ratio::median(&ratios(&[1.0, 2.0])).unwrap().p99 - 1.5).abs() < 1e-9);
    }

    #[test]
    fn either_limit_can_be_missed() {
        assert!(!Ratio { p99: 1.21, rate: 1.0 }.keeps(PROMISED));
        assert!(!Ratio { p99: 1.0, rate: 0.94 }.keeps(PROMISED));
    }
}
