//! What was measured beside what is promised.

use std::fmt::Write as _;

use serde::Serialize;

/// What a figure must be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// From the first to the second.
    Within(f64, f64),
    /// Nothing is promised: it tells of the machine, or what another figure is a ratio to.
    None,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    /// One for each time that it was measured: once or more in each pass.
    pub(crate) values: Vec<f64>,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
}

/// Every figure, in the order of its first pass.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Figures(Vec<Figure>);

impl Goal {
    fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(least) => value >= least,
            Self::AtMost(most) => value <= most,
            Self::Within(least, most) => (least..=most).contains(&value),
            Self::None => true,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {least}"),
            Self::AtMost(most) => format!("≤ {most}"),
            Self::Within(least, most) => format!("{least}–{most}"),
            Self::None => String::new(),
        }
    }
}

impl Figure {
    /// The median.
    pub(crate) fn value(&self) -> f64 {
        crate::ratio::median(self.values.iter().copied()).unwrap_or(f64::NAN)
    }

    /// What is no number is not as promised.
    fn is_met(&self) -> bool {
        self.goal.is_met(self.value())
    }
}

impl Figures {
    /// Adds what was measured once.
    pub(crate) fn add(&mut self, name: &str, (value, unit): (f64, &'static str), goal: Goal) {
        match self.0.iter_mut().find(|figure| figure.name == name) {
            Some(figure) => figure.values.push(value),
            None => self.0.push(Figure { name: name.to_owned(), values: vec![value], unit, goal }),
        }
    }

    /// Whether everything is as promised.
    pub(crate) fn are_met(&self) -> bool {
        self.0.iter().all(Figure::is_met)
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = format!("{:<72}{:>10} {:<6}{:>9}\n", "figure", "median", "", "goal");
        for figure in &self.0 {
            let Figure { name, unit, goal, .. } = figure;
            let verdict = if figure.is_met() { "" } else { "  MISSED" };
            // Writing to a string cannot fail.
            writeln!(table, "{name:<72}{:>10} {unit:<6}{:>9}{verdict}", shown(figure.value()), goal.text()).ok();
        }
        table
    }
}

/// As many digits as say something.
pub(crate) fn shown(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.2}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_passes_is_what_counts() {
        let mut figures = Figures::default();
        for value in [0.9, 0.1, 0.85] {
            figures.add("ratio", (value, "×"), Goal::AtLeast(0.8));
            figures.add("rate", (9_000.0, "/s"), Goal::None);
        }
        assert!(figures.are_met(), "{}", figures.table());
        figures.add("memory", (65.0, "MiB"), Goal::AtMost(64.0));
        assert!(!figures.are_met());
        let missed: Vec<&str> = figures.table().lines().filter(|line| line.contains("MISSED")).map(|_| "one").collect();
        assert_eq!(missed, ["one"], "{}", figures.table());
    }

    #[test]
    fn what_must_not_change_may_neither_grow_nor_shrink() {
        let keeps = |value: f64| {
            let mut figures = Figures::default();
            figures.add("ratio", (value, "×"), Goal::Within(0.9, 1.1));
            figures.are_met()
        };
        assert_eq!([0.89, 0.9, 1.0, 1.1, 1.11, f64::NAN].map(keeps), [false, true, true, true, false, false]);
    }

    #[test]
    fn what_could_not_be_divided_is_not_as_promised() {
        let mut figures = Figures::default();
        figures.add("ratio", (f64::NAN, "×"), Goal::AtLeast(0.8));
        assert!(!figures.are_met());
    }
}
