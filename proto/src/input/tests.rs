use serde_json::json;

use super::*;
use crate::ids::SourceName;
use crate::names::Registry;

fn one(body: &Value) -> Report {
    let mut entries = decode(InputFormat::Auto, &Headers::default(), body.to_string().as_bytes()).unwrap();
    assert_eq!(entries.len(), 1);
    entries.remove(0).unwrap()
}

fn push(target: &Value) -> Value {
    json!({"action": "push", "target": target, "request": {"host": "Hub.test:5000"}})
}

fn digest(fill: char) -> String {
    format!("sha256:{}", fill.to_string().repeat(64))
}

#[test]
fn an_envelope_may_hold_no_event() {
    for body in ["{}", r#"{"events":[]}"#, r#"{"events":null}"#] {
        assert_eq!(decode(InputFormat::Auto, &Headers::default(), body.as_bytes()), Ok(vec![]), "{body}");
    }
}

#[test]
fn one_bad_event_does_not_reject_the_others() {
    let good = push(&json!({"repository": "a", "tag": "1", "mediaType": "application/vnd.oci.image.index.v1+json"}));
    let body = json!({"events": [good, 17, {"action": "frobnicate", "target": {}}, {"action": "push"}]});
    let entries = decode(InputFormat::Auto, &Headers::default(), body.to_string().as_bytes()).unwrap();
    assert!(entries[0].as_ref().unwrap().notifies());
    assert!(entries[1].is_err() && entries[3].is_err());
    assert_eq!(entries[2].as_ref().unwrap().action, Action::Other("frobnicate".into()));
}

#[test]
fn what_is_no_notification_is_refused_with_what_was_expected() {
    for body in [
        "[]",
        "17",
        r#"{"target":{}}"#,
        r#"{"events":[{"type":"pushImage"}]}"#,
        r#"{"events":{}}"#,
        r#"{"schema":"dockbell.event/9"}"#,
    ] {
        let error = decode(InputFormat::Auto, &Headers::default(), body.as_bytes()).unwrap_err();
        assert!(error.to_string().contains("expected"), "{body}: {error}");
    }
    for body in [&b"{"[..], b"", b"\xff\xfe", "[".repeat(100_000).as_bytes()] {
        assert!(matches!(decode(InputFormat::Auto, &Headers::default(), body), Err(DecodeError::NotJson(_))));
    }
}

#[test]
fn a_manifest_is_known_by_its_media_type_or_its_url() {
    let by_url = json!({"repository": "a", "tag": "1", "mediaType": "application/octet-stream", "url": "http://h:1/v2/a/manifests/sha256:aa"});
    assert_eq!(one(&push(&by_url)).kind, Kind::Manifest);
    let blob =
        json!({"repository": "a", "mediaType": "application/octet-stream", "url": "http://h:1/v2/a/blobs/sha256:aa"});
    assert_eq!(one(&push(&blob)).kind, Kind::Blob);
    let with_parameter =
        json!({"repository": "a", "mediaType": "application/vnd.oci.image.manifest.v1+json; charset=utf-8"});
    assert_eq!(one(&push(&with_parameter)).kind, Kind::Manifest);
}

#[test]
fn a_tagged_push_is_a_manifest_whatever_its_media_type_and_a_tag_that_is_none_is_rejected() {
    let artifact = json!({"repository": "a", "tag": "1", "mediaType": "application/vnd.example.artifact+json"});
    assert!(one(&push(&artifact)).notifies());
    assert!(one(&push(&json!({"repository": "a", "tag": "1"}))).notifies());
    let body = push(&json!({"repository": "a", "tag": "-not a tag"})).to_string();
    assert_eq!(
        decode(InputFormat::Auto, &Headers::default(), body.as_bytes()).unwrap(),
        [Err("`target.tag` is not a tag")]
    );
}

#[test]
fn empty_and_mistyped_members_count_as_absent() {
    let report = one(&json!({"id": "", "action": "push", "timestamp": "not-a-date", "actor": null, "request": 4,
        "target": {"repository": "a", "tag": "", "digest": "sha256:short", "size": "many", "length": 7,
                   "url": "https://h.test:1/v2/a/manifests/x"}}));
    assert_eq!((report.id, report.time, report.tag, report.digest, report.pusher), (None, None, None, None, None));
    assert_eq!((report.size, report.registry.unwrap().as_str()), (Some(7), "h.test:1"));
}

#[test]
fn references_keep_digest_size_and_platform() {
    let report = one(&push(
        &json!({"repository": "a", "tag": "1", "mediaType": "application/vnd.oci.image.index.v1+json", "references": [
        {"digest": digest('a'), "size": 5, "mediaType": "m", "platform": {"os": "linux", "architecture": "arm", "variant": "v7"}},
        {"digest": "nonsense"}]}),
    ));
    assert_eq!(report.references.len(), 1);
    assert_eq!(report.references[0].platform.as_deref(), Some("linux/arm/v7"));
}

#[test]
fn a_report_without_registry_takes_that_of_its_source() {
    let source = SourceName::parse("lab").unwrap();
    let report = || {
        one(
            &json!({"action": "push", "target": {"repository": "a", "tag": "1", "mediaType": "application/vnd.oci.image.index.v1+json"}}),
        )
    };
    let registry = |fallback: Option<&Registry>| match report().into_disposition(&source, fallback) {
        Disposition::Event(event) => event.registry.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(registry(Some(&Registry::parse("hub.test").unwrap())), "hub.test");
    assert_eq!(registry(None), "lab");
}

#[test]
fn a_native_event_is_held_to_its_schema() {
    let body = |member: &str, value: Value| {
        let mut body = json!({"schema": "dockbell.event/1", "repository": "team/app", "tag": "1", "id": "e1"});
        body[member] = value;
        decode(InputFormat::Auto, &Headers::default(), body.to_string().as_bytes()).unwrap().remove(0)
    };
    assert!(body("pusher", json!("alice")).unwrap().notifies());
    for (member, value) in [
        ("repository", json!("")),
        ("tag", json!(1)),
        ("time", json!("yesterday")),
        ("digest", json!("x")),
        ("metadata", json!({"star_count": "many"})),
    ] {
        let problem = body(member, value).unwrap_err();
        assert!(problem.contains(member), "{problem}");
    }
}

#[test]
fn an_event_reads_back_as_it_was_written() {
    let source = SourceName::parse("lab").unwrap();
    let report = one(
        &json!({"schema": "dockbell.event/1", "repository": "team/app", "registry": "hub.test", "tag": "1", "digest": digest('a'),
        "size": 3, "time": "2026-01-02T03:04:05.000006Z", "received_at": "2026-01-02T03:04:06Z", "metadata": {"is_private": true},
        "references": [{"digest": digest('b'), "platform": "linux/amd64"}], "trace": {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}),
    );
    let Disposition::Event(event) = report.into_disposition(&source, None) else { panic!("not an event") };
    let again = one(&serde_json::to_value(&event).unwrap());
    assert_eq!(again.into_disposition(&SourceName::parse("other").unwrap(), None), Disposition::Event(event));
}

#[test]
fn too_many_references_are_cut_and_said_to_be() {
    let many: Vec<Value> = (0..300).map(|_| json!({"digest": digest('a')})).collect();
    let report = one(&push(
        &json!({"repository": "a", "tag": "1", "mediaType": "application/vnd.oci.image.index.v1+json", "references": many}),
    ));
    let Disposition::Event(event) = report.into_disposition(&SourceName::parse("s").unwrap(), None) else {
        panic!("not an event")
    };
    assert_eq!((event.references.len(), event.truncated), (crate::event::REFERENCES_LIMIT, true));
    let on_the_bus = one(&serde_json::to_value(&event).unwrap());
    assert!(on_the_bus.truncated, "what an intake left out stays left out");
}
