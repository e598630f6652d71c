//! The delivery policy as the API shows and takes it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use dockbell_proto::policy::PolicyPatch;

/// What of the delivery policy is otherwise for one webhook; what is left out is as for all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
#[schema(as = Policy, example = json!({ "cooldown": "5m", "disable_after": "20d" }))]
pub struct PolicyView {
    /// The pauses before the second and each later attempt, such as `5s`; after the last one a delivery is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 20)]
    pub schedule: Option<Vec<String>>,
    /// How many attempts must have failed one after the other before it is suspended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub suspend_failures: Option<u32>,
    /// Of how many distinct deliveries they must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 16)]
    pub suspend_deliveries: Option<u32>,
    /// How far apart the first and the last of them must be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspend_span: Option<String>,
    /// How long nothing is attempted the first time; each further time it is twice as long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown: Option<String>,
    /// The longest that nothing is attempted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub longest_cooldown: Option<String>,
    /// How many attempts are made at once after the first success, and how many successes make it healthy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1000)]
    pub trickle: Option<u32>,
    /// How long it must have done nothing but fail before it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disable_after: Option<String>,
    /// How many attempts must have failed one after the other before it is disabled.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub disable_failures: Option<u32>,
    /// How many deliveries may wait for an attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 1_000_000)]
    pub waiting: Option<u32>,
    /// So long after its batch was closed a delivery that was not accepted ends as expired.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub age: Option<String>,
}

impl From<&PolicyPatch> for PolicyView {
    fn from(patch: &PolicyPatch) -> Self {
        let text = |span: Option<Duration>| span.map(duration);
        let schedule = patch.schedule.as_ref();
        Self {
            schedule: schedule.map(|schedule| schedule.pauses().iter().copied().map(duration).collect()),
            suspend_failures: patch.suspend_failures,
            suspend_deliveries: patch.suspend_deliveries,
            suspend_span: text(patch.suspend_span),
            cooldown: text(patch.cooldown),
            longest_cooldown: text(patch.longest_cooldown),
            trickle: patch.trickle,
            disable_after: text(patch.disable_after),
            disable_failures: patch.disable_failures,
            waiting: patch.waiting,
            age: text(patch.age),
        }
    }
}

/// A duration as it is configured: whole numbers with their units, the largest first.
pub(crate) fn duration(span: Duration) -> String {
    const UNITS: [(&str, u128); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = span.as_millis();
    let parts = UNITS.into_iter().filter_map(|(unit, length)| {
        let number = rest / length;
        rest %= length;
        (number > 0).then(|| format!("{number}{unit}"))
    });
    let text: String = parts.collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use dockbell_chassis::config::parse_duration;

    use super::*;

    #[test]
    fn a_duration_is_shown_as_it_is_configured() {
        for (text, ms) in [("0s", 0), ("500ms", 500), ("1m30s", 90_000), ("1d", 86_400_000), ("2h1ms", 7_200_001)] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
            assert_eq!(parse_duration(text), Some(Duration::from_millis(ms)));
        }
    }
}
