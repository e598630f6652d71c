//! What ails receivers during a run, as a script: a share of them is late, hangs or refuses, from one second to another.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::scenario::within;
use crate::sink::Behaviour;

/// Longer than any attempt may take.
const HANG: Duration = Duration::from_secs(90);

/// What ails a share of the receivers for some time.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Trouble {
    pub(crate) share: f64,
    /// Seconds from the start of the load, its warm-up included.
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Accepts, this much later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) late_ms: Option<u64>,
    /// Answers when nobody waits any more.
    #[serde(default)]
    pub(crate) hang: bool,
    /// Answers with this status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) refuse: Option<u16>,
}

impl Trouble {
    /// Whether it is possible in a run of so many seconds.
    pub(crate) fn check(&self, seconds: u64) -> Result<(), String> {
        within("trouble.share", self.share, 0.000_01..=1.0)?;
        if self.from >= self.to || self.from >= seconds {
            return Err(format!(
                "trouble.from = {}, trouble.to = {}: from must be less than to and than the {seconds} seconds of the load",
                self.from, self.to
            ));
        }
        if usize::from(self.late_ms.is_some()) + usize::from(self.hang) + usize::from(self.refuse.is_some()) != 1 {
            return Err("trouble: say one of late_ms = …, hang = true and refuse = …".to_owned());
        }
        within("trouble.late_ms", self.late_ms.unwrap_or(1), 1..=60_000)?;
        within("trouble.refuse", self.refuse.unwrap_or(500), 400..=599)?;
        if self.refuse == Some(410) {
            return Err(
                "trouble.refuse = 410 disables a webhook for good, so that nothing could be verified: take another \
                        status, such as 503"
                    .to_owned(),
            );
        }
        Ok(())
    }

    pub(crate) fn behaviour(&self) -> Behaviour {
        match (self.late_ms, self.refuse) {
            (Some(late), _) => Behaviour::Late(Duration::from_millis(late)),
            (_, Some(status)) => Behaviour::Refuse(status),
            _ => Behaviour::Hang(HANG),
        }
    }

    /// Whether it ever ails a webhook, if it is the `number`-th of the script.
    fn ails(&self, webhook: usize, number: usize) -> bool {
        // Each ails others, as far as their shares leave any.
        falls_on(webhook + number, self.share)
    }
}

/// Whether any of them ever ails a webhook.
pub(crate) fn ail_ever(troubles: &[Trouble], webhook: usize) -> bool {
    troubles.iter().enumerate().any(|(number, trouble)| trouble.ails(webhook, number))
}

/// What each webhook does at a second of the load. Of several troubles the later one in the script counts.
pub(crate) fn behaviours(troubles: &[Trouble], webhooks: usize, second: u64) -> Vec<Behaviour> {
    let now = || troubles.iter().enumerate().filter(|(_, trouble)| (trouble.from..trouble.to).contains(&second));
    let of = |webhook| now().rfind(|(number, trouble)| trouble.ails(webhook, *number)).map(|(_, trouble)| trouble);
    (0..webhooks).map(|webhook| of(webhook).map_or(Behaviour::Accept, Trouble::behaviour)).collect()
}

/// The seconds at which something begins or ends, in their order.
pub(crate) fn turns(troubles: &[Trouble]) -> Vec<u64> {
    let mut turns: Vec<u64> = troubles.iter().flat_map(|trouble| [trouble.from, trouble.to]).collect();
    turns.sort_unstable();
    turns.dedup();
    turns
}

/// Whether a thing of this number is of a share of all, which lies evenly among them. The first ones, on which a load of
/// Zipf's weighs most, are of none but large shares.
#[expect(clippy::cast_precision_loss, reason = "there are far fewer webhooks than a float counts exactly")]
pub(crate) fn falls_on(number: usize, share: f64) -> bool {
    let before = |number: usize| (number as f64 * share + 1e-9).floor();
    before(number + 1) > before(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(share: f64, from: u64, to: u64) -> Trouble {
        Trouble { share, from, to, late_ms: None, hang: true, refuse: None }
    }

    #[test]
    fn a_share_of_the_webhooks_ails_from_one_second_to_another() {
        let late = Trouble { late_ms: Some(200), hang: false, ..trouble(0.02, 0, 20) };
        let script = [trouble(0.01, 5, 15), late];
        let ailing = |second| {
            let all = behaviours(&script, 200, second);
            let count = |behaviour| all.iter().filter(|known| **known == behaviour).count();
            (count(Behaviour::Hang(HANG)), count(Behaviour::Late(Duration::from_millis(200))))
        };
        assert_eq!([0, 5, 14, 15, 20].map(ailing), [(0, 4), (2, 4), (2, 4), (0, 4), (0, 0)]);
        assert_eq!(turns(&script), [0, 5, 15, 20]);
        assert_eq!((0..200).filter(|webhook| ail_ever(&script, *webhook)).count(), 6, "none has two");
        assert!(!ail_ever(&script, 0), "the first repository of Zipf's is well");
    }

    #[test]
    fn of_two_troubles_of_one_webhook_the_later_in_the_script_counts() {
        let script = [trouble(1.0, 0, 9), Trouble { hang: false, refuse: Some(503), ..trouble(1.0, 3, 6) }];
        assert_eq!(
            [2, 3, 6].map(|second| behaviours(&script, 1, second)),
            [[Behaviour::Hang(HANG)], [Behaviour::Refuse(503)], [Behaviour::Hang(HANG)]]
        );
    }
}
