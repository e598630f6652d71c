//! Recordings that every checkout has: `lab_*` and `seq_*` were recorded from a registry, the rest is written by hand.

use std::fs;
use std::path::PathBuf;

use dockbell_proto::input::InputFormat;
use serde_json::{Map, Value};

use super::expectation::differences;
use super::recording::Recording;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expectations() -> Map<String, Value> {
    serde_json::from_slice(&fs::read(folder().join("expectations.json")).unwrap()).unwrap()
}

#[test]
fn every_fixture_is_read_as_expected() {
    let mut found = Vec::new();
    for (name, expected) in expectations() {
        let body = fs::read(folder().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let differences = differences(&Recording::of(&body), InputFormat::Auto, &expected);
        found.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_fixture_has_an_expectation() {
    let mut names: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "expectations.json");
    names.sort();
    let expected: Vec<_> = expectations().keys().cloned().collect();
    assert_eq!(names, expected);
}

/// A comparison that finds nothing proves nothing: a fixture must differ from the expectation of another.
#[test]
fn a_difference_is_found() {
    let (fixture, other) = ("lab_v2_docker_push_manifest_tag.json", "lab_v2_index_push_tag.json");
    let body = fs::read(folder().join(fixture)).unwrap();
    let found = differences(&Recording::of(&body), InputFormat::Auto, &expectations()[other]);
    for member in ["registry", "repository", "digest_strict", "media_type", "size", "time", "id"] {
        assert!(found.iter().any(|difference| difference.starts_with(member)), "{member} is not among {found:?}");
    }
}
