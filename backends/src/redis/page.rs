//! Places in lists that are ordered by time and id.
//!
//! A place is a text that compares as the entry does, so the indexes are sorted sets of equal scores. A page
//! starts after a place, not at a count, so that entries that come and go between two pages move nothing.

use jiff::Timestamp;

use crate::store::{PAGE_LIMIT, PageRequest};

const DIGITS: usize = 16;

/// The place of an entry.
pub(super) fn place(at: Timestamp, id: &str) -> String {
    // Offset by the least of them, times before 1970 come first too.
    let offset = at.as_microsecond().cast_unsigned() ^ (1 << 63);
    format!("{offset:0DIGITS$x}.{id}")
}

/// Where the page starts; none for the first one, or if no page said so.
pub(super) fn after(request: &PageRequest) -> Option<&str> {
    let after = request.after.as_deref()?;
    let (at, id) = after.split_once('.')?;
    let is_place = at.len() == DIGITS
        && at.bytes().all(|byte| byte.is_ascii_hexdigit())
        && !id.is_empty()
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_place.then_some(after)
}

/// How many entries the page has at most.
pub(super) fn size(request: &PageRequest) -> usize {
    usize::try_from(request.limit.clamp(1, PAGE_LIMIT)).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_compare_as_their_times_do() {
        let times = [-7_000_000, -1, 0, 1, 1_767_323_045_000_000];
        let places = times.map(|at| place(Timestamp::from_microsecond(at).unwrap(), "wh_1"));
        assert!(places.is_sorted(), "{places:?}");
    }

    #[test]
    fn only_a_place_is_a_cursor() {
        let said = place(Timestamp::UNIX_EPOCH, "wh_1");
        let request = |after: &str| PageRequest { after: Some(after.to_owned()), limit: 1 };
        assert_eq!(after(&request(&said)), Some(said.as_str()));
        for text in ["", "nonsense", "12.wh_1", "0123456789abcdef.", "0123456789abcdef.\n", "0123456789abcdeg.wh_1"] {
            assert_eq!(after(&request(text)), None, "{text:?}");
        }
    }
}
