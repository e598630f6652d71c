//! Reading members of JSON objects whose types cannot be trusted.

use jiff::Timestamp;
use serde_json::Value;

/// Beyond it not every whole number is a float.
const FLOAT_LIMIT: f64 = 9_007_199_254_740_992.0;

/// The text at `path`; none where it is missing, empty or of another type.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    at(value, path)?.as_str().filter(|text| !text.is_empty())
}

/// The first text that is there.
pub(super) fn first_text<'a>(value: &'a Value, paths: &[&[&str]]) -> Option<&'a str> {
    paths.iter().find_map(|path| text(value, path))
}

/// The whole number at `path`, also as a float or a text; none where it is missing, negative, fractional or of
/// another type.
pub(super) fn count(value: &Value, path: &[&str]) -> Option<u64> {
    match at(value, path)? {
        Value::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// The yes or no at `path`.
pub(super) fn flag(value: &Value, path: &[&str]) -> Option<bool> {
    at(value, path)?.as_bool()
}

/// The RFC 3339 time at `path`. The year 1 is how programs written in Go say that they know none.
pub(super) fn time(value: &Value, path: &[&str]) -> Option<Timestamp> {
    known(text(value, path)?.parse().ok()?)
}

/// The time at `path` in seconds since 1970, as an integer, a float or a text of either.
pub(super) fn seconds(value: &Value, path: &[&str]) -> Option<Timestamp> {
    let seconds = count(value, path).or_else(|| {
        let float = at(value, path).and_then(|value| value.as_f64().or_else(|| value.as_str()?.trim().parse().ok()))?;
        whole(float.floor())
    })?;
    known(Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?)
}

/// A time that is one: registries did not exist in 1970.
pub(super) fn known(time: Timestamp) -> Option<Timestamp> {
    (time > Timestamp::UNIX_EPOCH).then_some(time)
}

/// The list at `path`; empty where there is none.
pub(super) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, key| value.get(key))
}

/// Whether there is an object at `path`.
pub(super) fn is_object(value: &Value, path: &[&str]) -> bool {
    at(value, path).is_some_and(Value::is_object)
}

/// What is worth keeping of the free text at `path`, such as a user's name; none where nothing is.
pub(super) fn short_text(value: &Value, path: &[&str]) -> Option<String> {
    text(value, path).map(short).filter(|text| !text.is_empty())
}

/// `text` shortened to what is worth keeping of a free text.
pub(super) fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(256).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the range is checked before")]
fn whole(float: f64) -> Option<u64> {
    (float.fract() == 0.0 && (0.0..=FLOAT_LIMIT).contains(&float)).then_some(float as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_may_be_a_float_or_a_text() {
        for (value, expected) in [
            (json!(7), Some(7)),
            (json!(7.0), Some(7)),
            (json!(1.417_566_161e9), Some(1_417_566_161)),
            (json!("0"), Some(0)),
            (json!(""), None),
            (json!(7.5), None),
            (json!(-1), None),
            (json!(1e300), None),
            (json!("many"), None),
            (json!(true), None),
            (json!(u64::MAX), Some(u64::MAX)),
        ] {
            assert_eq!(count(&json!({"n": value}), &["n"]), expected, "{value}");
        }
    }

    #[test]
    fn a_name_of_unseen_characters_is_none() {
        let name = |text: &str| short_text(&json!({ "name": text }), &["name"]);
        assert_eq!(name("al\u{7f}ice\n"), Some("alice".to_owned()));
        assert_eq!((name("\u{7f}\u{1}"), name("")), (None, None));
        assert_eq!(name(&"é".repeat(300)), Some("é".repeat(256)));
    }

    #[test]
    fn a_time_may_be_seconds_of_any_kind_and_the_year_one_is_none() {
        let at = Timestamp::from_second(1_417_566_161).unwrap();
        for value in [json!(1_417_566_161), json!(1.417_566_161e9), json!("1417566161"), json!(1_417_566_161.75)] {
            assert_eq!(seconds(&json!({"t": value}), &["t"]), Some(at), "{value}");
        }
        for value in [json!(0), json!(-5), json!(1e30), json!("soon"), json!(null)] {
            assert_eq!(seconds(&json!({"t": value}), &["t"]), None, "{value}");
        }
        assert_eq!(time(&json!({"t": "0001-01-01T00:00:00Z"}), &["t"]), None);
        assert!(time(&json!({"t": "2023-01-25T14:45:54.17327+11:00"}), &["t"]).is_some());
    }
}
