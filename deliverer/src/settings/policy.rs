//! The delivery policy of all webhooks, as it is configured.

use std::time::Duration;

use dockbell_chassis::config::{Reader, parse_duration};
use dockbell_proto::policy::{Custody, Disabling, Policy, RetrySchedule, Suspension};

/// The key of the schedule, which is older than the rest of the policy.
const SCHEDULE: &str = "delivery.schedule";
/// The key of a member that is not the schedule is this and its name.
const SECTION: &str = "policy";

/// Reads the policy. What is wrong, or does not go together, is noted in `reader`.
pub(super) fn read(reader: &mut Reader) -> Policy {
    let schedule = read_schedule(reader);
    let default = Policy::default();
    let policy = Policy {
        schedule,
        suspension: read_suspension(reader, default.suspension),
        disabling: Disabling {
            after: duration(reader, "disable_after", default.disabling.after),
            failures: count(reader, "disable_failures", default.disabling.failures),
        },
        custody: Custody {
            waiting: count(reader, "waiting", default.custody.waiting),
            age: duration(reader, "age", default.custody.age),
        },
    };
    if let Err(error) = policy.check() {
        reader.reject(&key(error.member), error.problem);
    }
    policy
}

fn read_suspension(reader: &mut Reader, default: Suspension) -> Suspension {
    Suspension {
        failures: count(reader, "suspend_failures", default.failures),
        deliveries: count(reader, "suspend_deliveries", default.deliveries),
        span: duration(reader, "suspend_span", default.span),
        cooldown: duration(reader, "cooldown", default.cooldown),
        longest_cooldown: duration(reader, "longest_cooldown", default.longest_cooldown),
        trickle: count(reader, "trickle", default.trickle),
    }
}

fn read_schedule(reader: &mut Reader) -> RetrySchedule {
    let Some(pauses) = reader.get_list(SCHEDULE, "durations, such as 5s, 30s, 5m", parse_duration) else {
        return RetrySchedule::default();
    };
    RetrySchedule::new(pauses).unwrap_or_else(|error| {
        reader.reject(SCHEDULE, error.to_string());
        RetrySchedule::default()
    })
}

fn count(reader: &mut Reader, member: &str, default: u32) -> u32 {
    reader.count(&key(member), default, 0..=u32::MAX)
}

fn duration(reader: &mut Reader, member: &str, default: Duration) -> Duration {
    reader.duration(&key(member), default)
}

fn key(member: &str) -> String {
    format!("{SECTION}.{member}")
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use dockbell_chassis::config::Sources;
    use dockbell_proto::policy::PolicyPatch;

    use super::*;

    fn read_from(file: &str) -> Result<Policy, String> {
        let file = Some((PathBuf::from("dockbell.toml"), file.to_owned()));
        let mut reader = Reader::new(Sources { file, ..Sources::default() });
        let policy = read(&mut reader);
        reader.finish().map(|()| policy).map_err(|errors| errors.to_string())
    }

    #[test]
    fn what_is_not_configured_is_as_by_default() {
        assert_eq!(read_from(""), Ok(Policy::default()));
    }

    #[test]
    fn every_member_has_a_key() {
        let file = "\
            delivery.schedule = [\"1s\", \"2s\"]\n\
            [policy]\nsuspend_failures = 7\nsuspend_deliveries = 3\nsuspend_span = \"1s\"\ncooldown = \"2s\"\n\
            longest_cooldown = \"3s\"\ntrickle = 5\ndisable_after = \"1d\"\ndisable_failures = 9\nwaiting = 11\nage = \"12h\"\n";
        let seconds = |number| Some(Duration::from_secs(number));
        let patch = PolicyPatch {
            schedule: Some(RetrySchedule::new(vec![Duration::from_secs(1), Duration::from_secs(2)]).unwrap()),
            suspend_failures: Some(7),
            suspend_deliveries: Some(3),
            suspend_span: seconds(1),
            cooldown: seconds(2),
            longest_cooldown: seconds(3),
            trickle: Some(5),
            disable_after: seconds(24 * 60 * 60),
            disable_failures: Some(9),
            waiting: Some(11),
            age: seconds(12 * 60 * 60),
        };
        assert_eq!(read_from(file), Ok(Policy::default().with(&patch)));
    }

    #[test]
    fn what_is_wrong_or_does_not_go_together_is_told_with_its_key() {
        for (file, told) in [
            ("policy.cooldown = \"7h\"", "policy.cooldown: must be at least 1ms, and not more than longest_cooldown"),
            ("policy.suspend_deliveries = 6", "policy.suspend_deliveries: must be 1 to 16"),
            ("policy.trickle = \"four\"", "policy.trickle: found \"four\", expected a whole number"),
            ("policy.cool_down = \"1m\"", "policy.cooldown"),
            ("delivery.schedule = []", "delivery.schedule: must be 1 to 20 pauses"),
        ] {
            let error = read_from(file).unwrap_err();
            assert!(error.contains(told), "{error}");
        }
    }
}
