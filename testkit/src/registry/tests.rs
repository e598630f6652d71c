use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::receiver::Receiver;

/// The events of all reports so far that concern pushed manifests.
fn manifests(receiver: &Receiver) -> Vec<Value> {
    let reports =
        receiver.requests().into_iter().map(|request| serde_json::from_slice::<Value>(&request.body).unwrap());
    let events = reports.flat_map(|report| report["events"].as_array().cloned().unwrap_or_default());
    let is_manifest = |event: &Value| {
        let kind = event["target"]["mediaType"].to_string();
        kind.contains("manifest") || kind.contains("index")
    };
    events.filter(|event| event["action"] == "push" && is_manifest(event)).collect()
}

#[tokio::test]
async fn a_push_is_reported_manifest_by_manifest() {
    if !Registry::is_installed() {
        eprintln!("skipped: needs the Debian packages docker-registry and skopeo");
        return;
    }
    let receiver = Receiver::start().await;
    let (url, token) = (receiver.url("/ingest/lab"), "canary".to_owned());
    let registry = Registry::start(&Reporting { url, token, include_references: true }).await;

    let single = registry.push_single("team/app", "1.0").await;
    let multi = registry.push_multi_arch("team/app", "latest").await;
    let reported =
        wait::until("four manifests", async || Some(manifests(&receiver)).filter(|seen| seen.len() >= 4)).await;

    let tagged: Vec<_> = reported.iter().filter(|event| event["target"].get("tag").is_some()).collect();
    let digests: BTreeSet<_> = tagged.iter().map(|event| event["target"]["digest"].as_str().unwrap()).collect();
    assert_eq!(digests, BTreeSet::from([single.as_str(), multi.as_str()]));
    assert_eq!(reported.len(), 4, "{reported:#?}");
    let index = tagged.iter().find(|event| event["target"]["digest"] == multi).unwrap();
    assert_eq!(index["target"]["references"].as_array().unwrap().len(), 2);
    assert_eq!(index["target"]["tag"], "latest");
    assert_eq!(index["request"]["host"], registry.addr().to_string());
    for request in receiver.requests() {
        assert_eq!(request.headers["authorization"], "Bearer canary");
    }
}
