use serde_json::{Value, json};

use super::*;
use crate::names::{Repository, Tag};
use crate::options::{EnvelopeVersion, ImageHost, RepoName, TagHeader};

/// An index of two platforms whose pushes were reported, layer `b` being shared.
fn index() -> Batch {
    let digest = |fill: char| format!("sha256:{}", fill.to_string().repeat(64));
    let blobs = |config: char, own: char| {
        json!([
            {"digest": digest(config), "size": 10, "media_type": "application/vnd.oci.image.config.v1+json"},
            {"digest": digest('b'), "size": 100, "media_type": "application/vnd.oci.image.layer.v1.tar+gzip"},
            {"digest": digest(own), "size": 1000, "media_type": "application/vnd.oci.image.layer.v1.tar+gzip"},
        ])
    };
    serde_json::from_value(json!({
        "source": "lab", "registry": "hub.test:5000", "repository": "team/app", "events": 3,
        "opened_at": "2026-01-02T03:04:05Z", "closed_at": "2026-01-02T03:04:06.5Z",
        "changes": [{
            "tag": "1.0", "digest": digest('0'), "media_type": "application/vnd.oci.image.index.v1+json", "size": 7, "pusher": "alice",
            "pushed_at": "2026-01-02T03:04:05Z", "order": "00001767323045000000-e1", "event_ids": ["e1"],
            "children": [
                {"digest": digest('1'), "size": 1, "platform": "linux/amd64", "blobs": blobs('c', 'd')},
                {"digest": digest('2'), "size": 2, "platform": "linux/arm64", "blobs": blobs('e', 'f')},
            ],
        }],
    })).unwrap()
}

fn body(format: Format, batch: &Batch) -> Value {
    let rendered = render(format, &Options::default(), batch, ("2020-01-01T00:00:00Z".parse().unwrap(), "")).unwrap();
    serde_json::from_slice(&rendered.body).unwrap()
}

#[test]
fn dockerhub_has_every_member_and_only_integers() {
    let payload = body(Format::Dockerhub, &index());
    assert_eq!(payload["callback_url"], "");
    assert_eq!(payload["push_data"]["tag"], "1.0");
    assert_eq!(payload["push_data"]["pushed_at"].as_i64(), Some(1_767_323_045));
    assert_eq!(payload["push_data"]["images"].as_array().unwrap().len(), 3);
    let repository = payload["repository"].as_object().unwrap();
    let expected = json!({"comment_count": 0, "date_created": 1_577_836_800, "description": "", "dockerfile": "", "full_description": "",
        "is_official": false, "is_private": false, "is_trusted": false, "name": "app", "namespace": "team", "owner": "team",
        "repo_name": "team/app", "repo_url": "https://hub.test:5000/team/app", "star_count": 0, "status": "Active"});
    assert_eq!(Value::Object(repository.clone()), expected);
}

#[test]
fn cloud_events_come_in_one_list_if_their_owner_wants_it() {
    let mut batch = index();
    let second = Change { tag: Tag::parse("latest").unwrap(), ..batch.changes[0].clone() };
    batch.changes.push(second);
    let told = ("2020-01-01T00:00:00Z".parse().unwrap(), "");
    let options = Options { batched: Some(true), ..Options::default() };
    let rendered = render(Format::CloudEvents, &options, &batch, told).unwrap();
    assert_eq!(rendered.headers[0].1, "application/cloudevents-batch+json");
    let events: Value = serde_json::from_slice(&rendered.body).unwrap();
    let alone = |change: &Change| body(Format::CloudEvents, &batch.only(change));
    assert_eq!(events, Value::Array(batch.changes.iter().map(alone).collect()));
}

#[test]
fn the_envelope_of_distribution_is_of_the_version_that_its_owner_wants() {
    let batch = index();
    let told = ("2020-01-01T00:00:00Z".parse().unwrap(), "");
    let written = |version| {
        let options = Options { version, ..Options::default() };
        let Rendered { headers, body } = render(Format::Distribution, &options, &batch, told).unwrap();
        (headers[0].1.clone(), body)
    };
    let (newest, old) = (written(None), written(Some(EnvelopeVersion::V1)));
    assert_eq!(newest, written(Some(EnvelopeVersion::V2)));
    assert_eq!(newest.0, "application/vnd.docker.distribution.events.v2+json");
    assert_eq!(old, ("application/vnd.docker.distribution.events.v1+json".to_owned(), newest.1));
}

#[test]
fn dockerhub_passes_on_what_a_source_knows() {
    let mut batch = index();
    batch.metadata = serde_json::from_value(
        json!({"description": "d", "is_private": true, "star_count": 4, "created_at": "2021-01-01T00:00:00Z"}),
    )
    .unwrap();
    let repository = body(Format::Dockerhub, &batch)["repository"].clone();
    assert_eq!(
        (&repository["description"], &repository["is_private"], &repository["star_count"]),
        (&json!("d"), &json!(true), &json!(4))
    );
    assert_eq!(repository["date_created"], 1_609_459_200);
}

#[test]
fn alin_names_the_tag_in_its_header_and_sums_distinct_blobs() {
    let rendered = render(Format::Alin, &Options::default(), &index(), (Timestamp::UNIX_EPOCH, "")).unwrap();
    let header = |name| rendered.headers.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str());
    assert_eq!(header("x-alin-webhook"), Some("team/app:1.0"));
    assert_eq!(header("user-agent"), Some("WebHook Handler"));
    let payload = body(Format::Alin, &index());
    assert_eq!(payload["image"], "hub.test:5000/team/app:1.0");
    assert_eq!((payload["image_size"].as_u64(), payload["repository_size"].as_u64()), (Some(2120), Some(2130)));
    assert_eq!(payload["layers"].as_array().unwrap().len(), 3);
    assert_eq!((&payload["event"], &payload["timestamp"]), (&json!("push"), &json!("2026-01-02T03:04:06.5Z")));
}

#[test]
fn alin_encodes_names_that_do_not_fit_a_header_and_omits_what_is_too_long() {
    let mut batch = index();
    let header = |batch: &Batch| {
        render(Format::Alin, &Options::default(), batch, (Timestamp::UNIX_EPOCH, ""))
            .unwrap()
            .headers
            .iter()
            .find(|(key, _)| *key == "x-alin-webhook")
            .cloned()
    };
    batch.repository = Repository::parse("team/é\u{202e}%").unwrap();
    assert_eq!(header(&batch).unwrap().1, "team/%C3%A9%E2%80%AE%25:1.0");
    batch.repository = Repository::parse(&"é".repeat(100)).unwrap();
    assert_eq!(header(&batch), None);
}

#[test]
fn batch_tells_everything_of_every_change() {
    let payload = body(Format::Batch, &index());
    let change = payload["changes"][0].as_object().unwrap();
    for member in [
        "registry",
        "repository",
        "tag",
        "digest",
        "media_type",
        "size",
        "superseded",
        "children",
        "pusher",
        "event_ids",
        "order",
    ] {
        assert!(change.contains_key(member), "{member}");
    }
    assert_eq!(change["children"][0]["platform"], "linux/amd64");
}

#[test]
fn a_delivery_without_a_change_cannot_be_rendered() {
    let mut batch = index();
    batch.changes.clear();
    assert_eq!(
        render(Format::Batch, &Options::default(), &batch, (Timestamp::UNIX_EPOCH, "")),
        Err(RenderError::Empty)
    );
}

#[test]
fn harbor_has_one_resource_with_its_tag_and_integers_for_times() {
    let digest = format!("sha256:{}", "0".repeat(64));
    let expected = json!({"type": "PUSH_ARTIFACT", "occur_at": 1_767_323_045, "operator": "alice", "event_data": {
        "resources": [{"digest": digest, "tag": "1.0", "resource_url": "hub.test:5000/team/app:1.0"}],
        "repository": {"date_created": 1_577_836_800, "name": "app", "namespace": "team", "repo_full_name": "team/app",
            "repo_type": "public"}}});
    assert_eq!(body(Format::Harbor, &index()), expected);
}

#[test]
fn quay_names_every_tag_that_changed() {
    let mut batch = index();
    let mut other = batch.changes[0].clone();
    other.tag = crate::names::Tag::parse("latest").unwrap();
    batch.changes.push(other);
    let expected = json!({"name": "app", "repository": "team/app", "namespace": "team", "docker_url": "hub.test:5000/team/app",
        "homepage": "https://hub.test:5000/team/app", "updated_tags": ["1.0", "latest"]});
    assert_eq!(body(Format::Quay, &batch), expected);
}

#[test]
fn keel_names_the_image_with_its_registry() {
    assert_eq!(body(Format::Keel, &index()), json!({"name": "hub.test:5000/team/app", "tag": "1.0"}));
}

#[test]
fn dockerhub_names_the_registry_where_its_owner_wants_it() {
    let options = Options { repo_name: Some(RepoName::Qualified), ..Options::default() };
    let rendered = render(Format::Dockerhub, &options, &index(), (Timestamp::UNIX_EPOCH, "")).unwrap();
    let payload: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(payload["repository"]["repo_name"], "hub.test:5000/team/app");
    assert_eq!(payload["repository"]["name"], "app");
}

#[test]
fn alin_takes_the_name_of_its_header_and_the_host_of_the_image_from_its_owner() {
    let options = Options {
        header: Some(TagHeader::parse("X-Image").unwrap()),
        host: Some(ImageHost::parse("mirror.test/cache").unwrap()),
        ..Options::default()
    };
    let rendered = render(Format::Alin, &options, &index(), (Timestamp::UNIX_EPOCH, "")).unwrap();
    assert!(rendered.headers.contains(&("x-image".to_owned(), "team/app:1.0".to_owned())));
    assert!(!rendered.headers.iter().any(|(name, _)| name == "x-alin-webhook"));
    let payload: Value = serde_json::from_slice(&rendered.body).unwrap();
    assert_eq!(
        (&payload["image"], &payload["repository"]),
        (&json!("mirror.test/cache/team/app:1.0"), &json!("team/app"))
    );
}
