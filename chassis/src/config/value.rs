//! How single values are written.

use std::time::Duration;

use crate::config::document::Found;

/// Keys that end like this hold secrets, or URLs that may carry one, also in the plural.
const SECRET_ENDINGS: [&str; 6] = ["token", "secret", "password", "url", "key", "endpoint"];

/// Whether a value must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    let singular = key.strip_suffix('s').unwrap_or(&key);
    SECRET_ENDINGS.iter().any(|ending| singular.ends_with(ending))
}

/// Reads whole numbers with a unit, larger units first: `1m30s`. There are no signs and no fractions.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total_ms: u64 = 0;
    let mut last_unit_ms = u64::MAX;
    while !rest.is_empty() {
        let (number, after) = rest.split_at_checked(rest.find(|letter: char| !letter.is_ascii_digit())?)?;
        let end = after.find(|letter: char| letter.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let unit_ms = unit_ms(unit).filter(|unit_ms| *unit_ms < last_unit_ms)?;
        total_ms = total_ms.checked_add(number.parse::<u64>().ok()?.checked_mul(unit_ms)?)?;
        last_unit_ms = unit_ms;
        rest = after;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total_ms))
}

fn unit_ms(unit: &str) -> Option<u64> {
    match unit {
        "ms" => Some(1),
        "s" => Some(1000),
        "m" => Some(60 * 1000),
        "h" => Some(60 * 60 * 1000),
        "d" => Some(24 * 60 * 60 * 1000),
        _ => None,
    }
}

/// Splits a text at its commas; blanks around them do not count.
pub(super) fn split_list(text: &str) -> Vec<Found> {
    text.split(',').map(|element| Found::typed(element.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_numbers_with_units() {
        let table =
            [("500ms", 500), ("5s", 5000), ("1m30s", 90_000), ("2h", 7_200_000), ("7d", 604_800_000), ("0s", 0)];
        for (text, expected) in table {
            assert_eq!(parse_duration(text), Some(Duration::from_millis(expected)), "{text}");
        }
    }

    #[test]
    fn other_durations_are_refused() {
        for text in [
            "",
            "5",
            "s",
            "-5s",
            "+5s",
            "1.5s",
            "5 s",
            "5s ",
            "30s1m",
            "1s1s",
            "5 seconds",
            "5µs",
            "５s",
            "99999999999999999999s",
            "18446744073709551615d",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn secrets_are_known_by_their_key() {
        for key in ["sources.registry.token", "bus.url", "redis.urls", "admin.password", "webhook_secret", "tls.key"] {
            assert!(is_secret(key), "{key}");
        }
        for key in ["window.quiet", "listen", "urls.count"] {
            assert!(!is_secret(key), "{key}");
        }
    }
}
