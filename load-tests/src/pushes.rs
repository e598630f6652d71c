//! Pushes as their registry reports them: the events of each, in the format of the way they go.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::flood::{self, Due};
use crate::scenario::Way;
use crate::schedule::{Push, Schedule};
use crate::stamp::{Stamp, Written};

const REGISTRY: &str = "hub.test";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// What a digest is of, besides the manifests of the platforms, which are counted from there on.
const OWN: usize = 0;
const OF_CONFIG: usize = 1_000;
const OF_LAYER: usize = 2_000;

/// The pushes of a run.
#[derive(Debug, Clone)]
pub(crate) struct Pushes {
    pub(crate) schedule: Arc<Schedule>,
    /// A word that no other run on these servers has.
    pub(crate) run: String,
    /// When the first one is due.
    pub(crate) began: Timestamp,
    pub(crate) way: Way,
}

impl Pushes {
    /// The stamp of a push.
    pub(crate) fn stamp(&self, event: usize) -> Stamp {
        // Microseconds are all that is written.
        let due = self.began.as_microsecond().saturating_add(micros(self.schedule.due(event)));
        Stamp { event, due: Timestamp::from_microsecond(due).unwrap_or(Timestamp::MAX) }
    }

    /// The id of the event that has the tag.
    pub(crate) fn id(&self, event: usize) -> String {
        Written(self.stamp(event), &self.run).to_string()
    }

    /// The tag that is pushed.
    pub(crate) fn tag(&self, event: usize, push: &Push) -> String {
        push.tag.map_or_else(|| self.id(event), |tag| format!("t{tag}"))
    }

    /// What is to be sent, in its order.
    pub(crate) fn all(&self) -> impl Iterator<Item = Due> {
        self.schedule.events().filter_map(|event| Some(self.due(event, &self.schedule.push(event)?)))
    }

    fn due(&self, event: usize, push: &Push) -> Due {
        // The platforms first, each by its digest, and then the index that names them.
        let manifests = (1..=push.platforms).chain([OWN]);
        let bodies = manifests.map(|manifest| self.body(event, push, manifest).to_string().into_bytes()).collect();
        let repository = flood::name(push.repository);
        // Reports of one tag must not overtake each other.
        let line = push.tag.map_or(event, |tag| push.repository.wrapping_mul(31).wrapping_add(tag));
        Due { event, at: self.schedule.due(event), repository, line, bodies }
    }

    fn body(&self, event: usize, push: &Push, manifest: usize) -> Value {
        let (repository, time) = (flood::name(push.repository), self.stamp(event).due);
        let is_index = manifest == OWN && push.platforms > 0;
        let (id, tag) = match manifest {
            OWN => (self.id(event), Some(self.tag(event, push))),
            platform => (format!("{}.p{platform}", self.id(event)), None),
        };
        let (digest, media_type) = (digest(event, manifest), if is_index { INDEX } else { MANIFEST });
        let references = if is_index {
            (1..=push.platforms).map(|platform| self.platform(event, platform)).collect()
        } else {
            [(OF_CONFIG, CONFIG), (OF_LAYER, LAYER)]
                .map(|(of, kind)| self.descriptor(event, of + manifest, kind))
                .to_vec()
        };
        match self.way {
            Way::Amqp => json!({
                "schema": "dockbell.event/1", "id": id, "registry": REGISTRY, "repository": repository, "tag": tag,
                "digest": digest, "media_type": media_type, "size": 700, "pusher": "load", "time": time,
                "references": references,
            }),
            Way::Http => json!({ "events": [{
                "id": id, "timestamp": time, "action": "push", "request": { "host": REGISTRY },
                "actor": { "name": "load" },
                "target": {
                    "mediaType": media_type, "digest": digest, "size": 700, "repository": repository, "tag": tag,
                    "url": format!("https://{REGISTRY}/v2/{repository}/manifests/{digest}"), "references": references,
                },
            }] }),
        }
    }

    fn descriptor(&self, event: usize, of: usize, media_type: &str) -> Value {
        let name = if self.way == Way::Amqp { "media_type" } else { "mediaType" };
        json!({ "digest": digest(event, of), name: media_type, "size": 1_000 })
    }

    fn platform(&self, event: usize, platform: usize) -> Value {
        let mut descriptor = self.descriptor(event, platform, MANIFEST);
        let told = match self.way {
            Way::Amqp => json!(format!("linux/arch{platform}")),
            Way::Http => json!({ "os": "linux", "architecture": format!("arch{platform}") }),
        };
        if let Some(members) = descriptor.as_object_mut() {
            members.insert("platform".to_owned(), told);
        }
        descriptor
    }
}

/// The digest of a part of a push, which nothing else has.
pub(crate) fn digest(event: usize, part: usize) -> String {
    format!("sha256:{part:016x}{event:048x}")
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use dockbell_proto::ids::EventId;
    use dockbell_proto::input::{Headers, InputFormat, Report, decode};
    use dockbell_proto::names::Tag;
    use dockbell_testkit::sample;

    use super::*;
    use crate::plan::Plan;
    use crate::schedule::{Shape, Spread};

    fn pushes(way: Way, tags: Option<usize>) -> Pushes {
        let plan = Plan { rate: 10.0, repositories: 2, warm_up: Duration::ZERO, length: Duration::from_secs(1) };
        let shape = Shape { spread: Spread::Even, tags, bursts: 1.0, platforms: 3 };
        let schedule = Arc::new(Schedule::new(plan, &shape));
        Pushes { schedule, run: "r1".to_owned(), began: sample::moment(), way }
    }

    fn reports(due: &Due, format: InputFormat) -> Vec<Report> {
        let read = |body: &Vec<u8>| decode(format, &Headers::default(), body).unwrap().remove(0).unwrap();
        due.bodies.iter().map(read).collect()
    }

    #[test]
    fn a_burst_is_its_platforms_by_digest_and_then_an_index_that_names_them_either_way() {
        for (way, format) in [(Way::Amqp, InputFormat::Native), (Way::Http, InputFormat::Distribution)] {
            let pushes = pushes(way, None);
            let all: Vec<Due> = pushes.all().collect();
            assert_eq!(all.len(), 10);
            let burst = reports(&all[4], format);
            let (index, platforms) = burst.split_last().unwrap();
            assert_eq!(index.tag.as_ref().map(Tag::as_str), Some(&*pushes.id(4)));
            assert_eq!(index.id.as_ref().map(EventId::as_str), Some(&*pushes.id(4)));
            assert_eq!((index.media_type.as_deref(), platforms.len()), (Some(INDEX), 3));
            assert!(platforms.iter().all(|platform| platform.tag.is_none() && platform.references.len() == 2));
            let digests: Vec<_> = platforms.iter().map(|platform| platform.digest.clone().unwrap()).collect();
            assert_eq!(index.references.iter().map(|named| named.digest.clone()).collect::<Vec<_>>(), digests);
            assert!(index.references.iter().all(|named| named.platform.is_some()), "{index:?}");
        }
    }

    #[test]
    fn no_two_events_share_an_id_or_a_digest() {
        let (mut ids, mut digests) = (BTreeSet::new(), BTreeSet::new());
        for due in pushes(Way::Amqp, Some(2)).all() {
            for report in reports(&due, InputFormat::Native) {
                assert!(ids.insert(report.id.unwrap().as_str().to_owned()));
                assert!(digests.insert(report.digest.unwrap().as_str().to_owned()));
            }
        }
        assert_eq!((ids.len(), digests.len()), (40, 40));
    }

    #[test]
    fn reports_of_one_tag_go_one_after_the_other() {
        let all: Vec<Due> = pushes(Way::Http, Some(2)).all().collect();
        let line = |event: usize| all[event].line;
        assert_eq!(line(0), line(4), "the first repository's first tag");
        assert!([1, 2, 3].iter().all(|event| line(*event) != line(0)));
    }
}
