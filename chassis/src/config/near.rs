//! What somebody may have meant by a name that is not known.

/// Says that `name` is unknown, and which of the `known` it may stand for.
pub(super) fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(near) => format!("unknown setting, did you mean {near}?"),
        None => "unknown setting".to_owned(),
    }
}

/// The nearest name, if it is near enough that a slip explains the difference.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (name.chars().count() / 5).clamp(1, 3);
    let close =
        known.map(|candidate| (distance(name, candidate), candidate)).filter(|(distance, _)| *distance <= limit);
    close.min().map(|(_, candidate)| candidate)
}

/// The number of letters to insert, remove, replace or swap with their neighbour (optimal string
/// alignment, <https://en.wikipedia.org/wiki/Damerau%E2%80%93Levenshtein_distance>).
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut previous_letter = None;
    for (row, letter) in left.chars().enumerate() {
        let mut costs = vec![row + 1];
        for (column, other) in right.iter().enumerate() {
            let at = |costs: &[usize], place: usize| costs.get(place).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&last, column) + usize::from(letter != *other))
                .min(at(&last, column + 1) + 1)
                .min(at(&costs, column) + 1);
            let crossed = column > 0 && right.get(column - 1) == Some(&letter) && previous_letter == Some(*other);
            if crossed {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            costs.push(cost);
        }
        before_last = std::mem::replace(&mut last, costs);
        previous_letter = Some(letter);
    }
    last.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_slips() {
        let table = [
            ("", "", 0),
            ("a", "", 1),
            ("", "ab", 2),
            ("quiet", "quite", 1),
            ("kitten", "sitting", 3),
            ("abc", "abc", 0),
        ];
        for (left, right, expected) in table {
            assert_eq!(distance(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn only_a_near_name_is_proposed() {
        let known = || ["window.quiet", "window.max_wait", "listen"].into_iter();
        assert_eq!(nearest("window.quite", known()), Some("window.quiet"));
        assert_eq!(nearest("windw.quiet", known()), Some("window.quiet"));
        assert_eq!(nearest("lsten", known()), Some("listen"));
        assert_eq!(nearest("colour", known()), None);
    }
}
