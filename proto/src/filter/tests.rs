use serde_json::json;

use super::*;

fn changed(changes: &Value) -> Result<Filter, String> {
    Filter::default().changed(changes.as_object().unwrap())
}

fn change(tag: &str, media_type: Option<&str>, config: Option<&str>) -> Change {
    let digest = format!("sha256:{:064x}", 1);
    let layer = json!({ "digest": digest, "media_type": "application/vnd.oci.image.layer.v1.tar+gzip" });
    let config = config.map(|media_type| json!({ "digest": digest, "media_type": media_type }));
    let blobs: Vec<Value> = config.into_iter().flat_map(|config| [config, layer.clone()]).collect();
    serde_json::from_value(json!({
        "tag": tag, "media_type": media_type, "blobs": blobs, "pushed_at": "2026-01-02T03:04:05Z",
        "order": "00001767323045000000-e", "event_ids": ["e"],
    }))
    .unwrap()
}

#[test]
fn names_pass_by_glob_unless_another_leaves_them_out() {
    for (globs, names, others) in [
        (vec![], vec!["latest", ""], vec![]),
        (vec!["v*"], vec!["v", "v1.0"], vec!["1.0", "rv1", "V1"]),
        (vec!["v*", "latest"], vec!["v1", "latest"], vec!["main"]),
        (vec!["!*-rc*"], vec!["v1", "latest"], vec!["v1-rc1"]),
        (vec!["!*-rc*", "v*"], vec!["v1"], vec!["v1-rc1", "latest"]),
        (vec!["{main,release-?}"], vec!["main", "release-1"], vec!["release-10"]),
        (vec!["v1{,-alpine}"], vec!["v1", "v1-alpine"], vec!["v1-"]),
        (vec!["[0-9]*.[!a]"], vec!["1.0"], vec!["1.a", "v1.0"]),
        (vec!["team/*"], vec!["team/app"], vec!["team/app/web", "team", "a/team/app"]),
        (vec!["team/**"], vec!["team/app", "team/app/web"], vec!["team"]),
        (vec!["**/web"], vec!["web", "team/app/web"], vec!["team/website"]),
    ] {
        let globs = Globs::new(globs.iter().map(ToString::to_string).collect()).unwrap();
        assert!(names.iter().all(|name| globs.fit(name)), "{globs:?} of {names:?}");
        assert!(!others.iter().any(|name| globs.fit(name)), "{globs:?} of {others:?}");
    }
}

#[test]
fn what_a_source_leaves_open_passes_and_what_it_tells_decides() {
    let manifest = Some("application/vnd.oci.image.manifest.v1+json");
    let image = Some("application/vnd.oci.image.config.v1+json");
    let chart = Some("application/vnd.cncf.helm.config.v1+json");
    for (media_type, config, kinds) in [
        (None, None, vec![Kind::Image, Kind::Index, Kind::Chart, Kind::Artifact]),
        (manifest, None, vec![Kind::Image, Kind::Chart, Kind::Artifact]),
        (manifest, image, vec![Kind::Image]),
        (manifest, chart, vec![Kind::Chart]),
        (manifest, Some("application/vnd.oci.empty.v1+json"), vec![Kind::Artifact]),
        (Some("application/vnd.docker.distribution.manifest.v2+json"), None, vec![Kind::Image]),
        (
            Some("application/vnd.docker.distribution.manifest.v2+json"),
            Some("application/vnd.docker.plugin.v1+json"),
            vec![Kind::Artifact],
        ),
        (Some("application/vnd.docker.distribution.manifest.v1+prettyjws"), None, vec![Kind::Image]),
        (Some("application/vnd.docker.distribution.manifest.list.v2+json"), None, vec![Kind::Index]),
        (Some("application/vnd.oci.image.index.v1+json"), None, vec![Kind::Index]),
        (chart, None, vec![Kind::Chart]),
        (Some("application/vnd.oci.artifact.manifest.v1+json"), None, vec![Kind::Artifact]),
    ] {
        let pushed = change("1", media_type, config);
        assert_eq!(Kind::possible(&pushed), kinds, "{media_type:?} {config:?}");
        for kind in Kind::ALL {
            let filter = changed(&json!({ "kinds": [kind.as_str()] })).unwrap();
            assert_eq!(filter.passes(&pushed), kinds.contains(&kind), "{media_type:?} {config:?} {kind:?}");
        }
        assert!(Filter::default().passes(&pushed));
    }
}

#[test]
fn a_push_passes_if_every_part_lets_it_through() {
    let given = json!({ "tags": ["v*"], "repositories": "team/app-*", "kinds": ["index", "image", "index"], "only_changed": "true" });
    let filter = changed(&given).unwrap();
    assert!(filter.only_changed);
    let covers = |name: &str| filter.covers(&Repository::parse(name).unwrap());
    assert!(covers("team/app-web") && !covers("team/app-web/x") && !covers("team/web"));
    assert!(filter.passes(&change("v1", None, None)));
    assert!(!filter.passes(&change("latest", None, None)));
    assert!(!filter.passes(&change("v1", Some("application/vnd.cncf.helm.config.v1+json"), None)));
    let kept = serde_json::to_value(&filter).unwrap();
    assert_eq!(kept["kinds"], json!(["image", "index"]));
    assert_eq!(serde_json::from_value::<Filter>(kept).unwrap(), filter);
    let less = filter.changed(json!({ "tags": null, "only_changed": null }).as_object().unwrap()).unwrap();
    assert!(less.tags.is_empty() && !less.only_changed && !less.repositories.is_empty() && !less.is_empty());
}

#[test]
fn a_refusal_names_everything_that_is_wrong() {
    for (changes, parts) in [
        (
            json!({ "tags": ["a", "b["], "kinds": ["helm"] }),
            vec!["tags holds \"b[\"", "kinds must be among image, index, chart, artifact"],
        ),
        (json!({ "tags": [1] }), vec!["tags must be a list of texts"]),
        (json!({ "tags": ["!"] }), vec!["tags must hold globs of 1 to 256 bytes"]),
        (json!({ "repositories": vec!["a"; 21] }), vec!["repositories must be at most 20 globs"]),
        (json!({ "only_changed": 1 }), vec!["only_changed must be true or false"]),
        (json!({ "tag": "v*" }), vec!["there is no member \"tag\"; it has tags, repositories, kinds, only_changed"]),
    ] {
        let error = changed(&changes).unwrap_err();
        assert!(error.starts_with("filter: ") && parts.iter().all(|part| error.contains(part)), "{changes}: {error}");
    }
}

#[test]
fn what_is_kept_is_written_as_it_always_was() {
    let text = r#"{"tags":["v*","!*-rc"],"repositories":["team/**"],"kinds":["chart"],"only_changed":true}"#;
    let filter: Filter = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&filter).unwrap(), text);
    assert_eq!(serde_json::from_str::<Filter>(r#"{"later":1}"#).unwrap(), Filter::default());
    assert_eq!(serde_json::to_string(&Filter::default()).unwrap(), "{}");
}
