//! Several messages that wait for about the same time, as one message of the broker.
//!
//! What waits is written, moved from queue to queue, and handed out at its broker's cost, which is the same for one
//! delivery and for sixteen. On the way back each of them is a message of its own again.

use std::time::Duration;

use bytes::Bytes;
use dockbell_proto::clock::Clock;
use serde::{Deserialize, Serialize};

use super::parcel::{BUNDLE, Parcel};

/// How many messages a bundle holds at most.
const MOST: usize = 16;
/// How many bytes of bodies it holds at most, unless a single one is larger.
const MOST_BYTES: usize = 32 * 1_024;
/// By which part of its wait a message may wait longer for the sake of a bundle.
const LENIENCY: u32 = 20;
/// By how much it may do so in any case.
const LEAST_LENIENCY: Duration = Duration::from_millis(50);

/// One of the messages of a bundle.
#[derive(Debug, Serialize, Deserialize)]
struct Member {
    id: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    maybe_repeated: bool,
    body: String,
}

/// What of the indices of `waiting` goes together, each of them once.
pub(super) fn groups(waiting: &[Parcel], clock: &dyn Clock) -> Vec<Vec<usize>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut order: Vec<(Duration, usize)> =
        waiting.iter().enumerate().map(|(index, parcel)| (parcel.remaining(clock), index)).collect();
    order.sort_unstable();
    for (remaining, index) in order {
        let size = waiting.get(index).map_or(0, |parcel| parcel.body.len());
        match groups.last_mut().filter(|group| group.takes(remaining, size)) {
            Some(group) => group.put(index, size),
            None => groups.push(Group { first: remaining, bytes: size, members: vec![index] }),
        }
    }
    groups.into_iter().map(|group| group.members).collect()
}

struct Group {
    first: Duration,
    bytes: usize,
    members: Vec<usize>,
}

impl Group {
    fn takes(&self, remaining: Duration, size: usize) -> bool {
        let leniency = (self.first / LENIENCY).max(LEAST_LENIENCY);
        self.members.len() < MOST && self.bytes + size <= MOST_BYTES && remaining <= self.first + leniency
    }

    fn put(&mut self, index: usize, size: usize) {
        self.members.push(index);
        self.bytes += size;
    }
}

/// The one message that stands for `parcels`: under the id `id`, due when the last of them is. None if one of them
/// cannot be part of a bundle, or there are fewer than two.
pub(super) fn bundle(parcels: &[Parcel], id: String) -> Option<Parcel> {
    if parcels.len() < 2 {
        return None;
    }
    let due = parcels.iter().filter_map(|parcel| parcel.due.clone()).max()?;
    let members: Option<Vec<Member>> = parcels.iter().map(member).collect();
    let body = Bytes::from(serde_json::to_vec(&members?).ok()?);
    let headers = vec![(BUNDLE.to_owned(), "true".to_owned())];
    Some(Parcel { id, headers, body, maybe_repeated: false, due: Some(due), death: None, is_bundle: true })
}

fn member(parcel: &Parcel) -> Option<Member> {
    let Parcel { id, headers, body, maybe_repeated, is_bundle, .. } = parcel;
    let body = String::from_utf8(body.to_vec()).ok().filter(|_| !is_bundle)?;
    Some(Member { id: id.clone(), headers: headers.clone(), maybe_repeated: *maybe_repeated, body })
}

/// The messages of a bundle; none if it is none, or cannot be read.
pub(super) fn members(parcel: &Parcel) -> Option<Vec<Parcel>> {
    if !parcel.is_bundle {
        return None;
    }
    let members: Vec<Member> = serde_json::from_slice(&parcel.body).ok()?;
    let taken_out = |Member { id, headers, maybe_repeated, body }| Parcel {
        id,
        headers,
        body: body.into(),
        maybe_repeated: maybe_repeated || parcel.maybe_repeated,
        due: None,
        death: None,
        is_bundle: false,
    };
    Some(members.into_iter().map(taken_out).collect())
}

#[cfg(test)]
mod tests {
    use dockbell_proto::clock::Clock;
    use dockbell_testkit::sample::moment;
    use jiff::Timestamp;

    use super::*;

    #[derive(Debug)]
    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            moment()
        }
    }

    fn parcel(id: &str, seconds: u64, body: &[u8]) -> Parcel {
        let due = Some((Parcel::not_before(&Stopped, Duration::from_secs(seconds)), "process".to_owned()));
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let body = Bytes::copy_from_slice(body);
        Parcel {
            id: id.to_owned(),
            headers,
            body,
            maybe_repeated: id == "repeated",
            due,
            death: None,
            is_bundle: false,
        }
    }

    #[test]
    fn what_was_bundled_comes_out_as_it_was() {
        let parcels = [parcel("a", 60, b"{\"a\":\"\xc3\xa9\"}"), parcel("repeated", 61, b""), parcel("c", 59, b"x")];
        let bundle = bundle(&parcels, "bundle".to_owned()).unwrap();
        assert_eq!(bundle.due, parcels[1].due, "nobody is due earlier than it asked for");
        for is_repeated in [false, true] {
            let arrived = Parcel { maybe_repeated: is_repeated, ..bundle.clone() };
            let members = members(&arrived).unwrap();
            for (member, parcel) in members.iter().zip(&parcels) {
                assert_eq!((&member.id, &member.headers, &member.body), (&parcel.id, &parcel.headers, &parcel.body));
                assert_eq!(member.maybe_repeated, is_repeated || parcel.maybe_repeated);
                assert!(member.due.is_none() && !member.is_bundle);
            }
            assert_eq!(members.len(), 3);
        }
    }

    #[test]
    fn what_is_no_text_and_what_is_alone_goes_by_itself() {
        assert!(bundle(&[parcel("a", 60, b"\xff"), parcel("b", 60, b"")], String::new()).is_none());
        assert!(bundle(&[parcel("a", 60, b"")], String::new()).is_none());
        assert!(members(&parcel("a", 60, b"[]")).is_none());
        assert!(members(&Parcel { is_bundle: true, ..parcel("a", 60, b"no JSON") }).is_none());
    }

    #[test]
    fn what_is_due_at_about_the_same_time_goes_together() {
        let waiting = [100, 2, 106, 104, 103].map(|seconds| parcel("a", seconds, b""));
        assert_eq!(groups(&waiting, &Stopped), [vec![1], vec![0, 4, 3], vec![2]]);
    }

    #[test]
    fn a_bundle_is_bounded_in_number_and_bytes() {
        let many = vec![parcel("a", 60, b""); MOST + 1];
        assert_eq!(groups(&many, &Stopped).iter().map(Vec::len).collect::<Vec<_>>(), [MOST, 1]);
        let large = vec![parcel("a", 60, &[b'x'; MOST_BYTES / 2]); 3];
        assert_eq!(groups(&large, &Stopped).iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
