//! How much an event adds to a batch, without writing it.

use dockbell_proto::batch::BATCH_LIMIT;
use dockbell_proto::event::{Event, Reference};
use dockbell_proto::names::{Digest, Tag};

/// What stands beside the texts of an event: the names of its members, its numbers and times, and the same of the change
/// that comes of it.
const FRAME: usize = 512;
/// The same of a reference.
const FRAME_OF_REFERENCE: usize = 80;

/// The most bytes that an event adds to a batch, without the blobs of platforms: those are repeated for every
/// tag of an index, and a batch can do without them.
pub fn weight(event: &Event) -> usize {
    let Event { tag, digest, media_type, pusher, references, metadata, trace, .. } = event;
    // A change says nothing that its event does not say at the same length, except the event's order and its
    // place among the events of the tag. Both name its id.
    let names = [event.source.as_str(), event.registry.as_str(), event.repository.as_str()];
    let others = [tag.as_ref().map(Tag::as_str), digest.as_ref().map(Digest::as_str), media_type.as_deref()];
    let rest = [pusher.as_deref(), Some(&*trace.traceparent), Some(&*trace.tracestate)];
    let texts = names.into_iter().chain(others.into_iter().chain(rest).flatten());
    let metadata = metadata.as_ref().map(|told| serde_json::to_vec(told).map_or(BATCH_LIMIT, |json| json.len()));
    FRAME
        + 3 * length(event.id.as_str())
        + texts.map(length).sum::<usize>()
        + references.iter().map(weight_of_reference).sum::<usize>()
        + metadata.unwrap_or_default()
}

fn weight_of_reference(reference: &Reference) -> usize {
    let Reference { digest, media_type, platform, .. } = reference;
    let texts = [Some(digest.as_str()), media_type.as_deref(), platform.as_deref()];
    FRAME_OF_REFERENCE + texts.into_iter().flatten().map(length).sum::<usize>()
}

/// The length of a text in JSON, at most: a control character is written as six, a quotation mark or a backslash as two.
fn length(text: &str) -> usize {
    let of_byte = |byte: u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(of_byte).sum()
}

#[cfg(test)]
mod tests {
    use dockbell_proto::names::Digest;
    use dockbell_testkit::sample;
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::fold::fold;
    use crate::publish::batch_message;

    proptest! {
        #[test]
        fn a_batch_is_no_longer_than_its_events_weigh(
            id in "[\\PC&&[^ ]]{1,40}", repository in "[a-z]{1,200}", pusher in "\\PC{0,256}", platform in "[\"\\\\a]{0,256}", references in 0usize..5
        ) {
            let reference = Reference {
                digest: Digest::parse(&sample::digest(1)).unwrap(),
                media_type: Some("application/vnd.oci.image.manifest.v1+json".to_owned()),
                size: Some(u64::MAX),
                platform: Some(platform),
            };
            let event = Event {
                pusher: Some(pusher),
                size: Some(u64::MAX),
                references: vec![reference; references],
                truncated: true,
                ..sample::event(&id, &repository, Some("tag"), 0)
            };
            let batch = |events: &[Event]| {
                let folded = fold(events, Timestamp::UNIX_EPOCH, Timestamp::MAX);
                batch_message(folded.batch.unwrap()).body.len()
            };
            let other = Event { tag: Some(Tag::parse("other").unwrap()), ..event.clone() };
            let added = batch(&[event.clone(), other]) - batch(std::slice::from_ref(&event));
            prop_assert!(added <= weight(&event), "{added} {}", weight(&event));
            // The same tag again is remembered as what the newer one took the place of.
            let newer = Event { received_at: Some(Timestamp::MAX), digest: None, ..event.clone() };
            let added = batch(&[event.clone(), newer]).saturating_sub(batch(std::slice::from_ref(&event)));
            prop_assert!(added <= weight(&event), "{added} {}", weight(&event));
        }
    }
}
