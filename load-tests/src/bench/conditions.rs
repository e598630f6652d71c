//! Under which conditions each pair was measured, so that nobody has to guess what was compared with what.

use std::fmt::Write as _;

use serde::Serialize;

/// One side of a pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Side {
    pub(crate) name: &'static str,
    /// Messages that it may hold unsettled.
    pub(crate) prefetch: String,
    /// What the broker keeps of a message, without its frame.
    pub(crate) body_bytes: usize,
    /// Connections to the broker, and channels that work goes through.
    pub(crate) broker: &'static str,
    /// What is under way at once.
    pub(crate) at_once: String,
    /// How it settles.
    pub(crate) acks: &'static str,
    /// How it reaches broker, store and receivers.
    pub(crate) transport: &'static str,
}

/// Those of all pairs, in the order in which they were measured.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Conditions(Vec<Side>);

impl Conditions {
    /// Adds sides that are not known yet.
    pub(crate) fn add(&mut self, sides: impl IntoIterator<Item = Side>) {
        for side in sides {
            if self.0.iter().all(|known| known.name != side.name) {
                self.0.push(side);
            }
        }
    }

    /// For people.
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("conditions\n");
        for Side { name, prefetch, body_bytes, broker, at_once, acks, transport } in &self.0 {
            // Writing to a string cannot fail.
            writeln!(
                table,
                "  {name}: prefetch {prefetch}, bodies of {body_bytes} bytes, {transport}\n    {broker}; {at_once}; {acks}"
            )
            .ok();
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_side_is_told_once_however_often_it_was_measured() {
        let side = |name| Side {
            name,
            prefetch: "7".to_owned(),
            body_bytes: 9,
            broker: "one connection",
            at_once: "one by one".to_owned(),
            acks: "each",
            transport: "plain",
        };
        let mut conditions = Conditions::default();
        conditions.add([side("naked"), side("ours")]);
        conditions.add([side("ours")]);
        assert_eq!(conditions.table().matches("prefetch 7, bodies of 9 bytes, plain").count(), 2);
    }
}
