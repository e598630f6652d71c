//! Recordings that every checkout has: `lab_*` and `seq_*` were recorded from a registry, the rest is written by hand.

use std::fs;
use std::path::PathBuf;

use dockbell_proto::input::InputFormat;
use serde_json::{Map, Value};

use super::corpus::Entry;
use super::expectation::differences;
use super::recording::Recording;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expectations() -> Map<String, Value> {
    serde_json::from_slice(&fs::read(folder().join("expectations.json")).unwrap()).unwrap()
}

/// All of them. What a name begins with is the format, if it is one.
pub(crate) fn fixtures() -> Vec<Entry> {
    let entry = |(name, expected): (String, Value)| {
        let body = fs::read(folder().join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        let format = name.split('_').next().and_then(InputFormat::parse).unwrap_or_default();
        Entry { name, format, recording: Recording::of(&body), expected: Some(expected) }
    };
    expectations().into_iter().map(entry).collect()
}

/// A format that is read and not tried is not known to work.
#[test]
fn every_format_has_fixtures() {
    for format in InputFormat::ALL {
        let has_one = fixtures().iter().any(|entry| entry.format == format);
        assert!(has_one || format == InputFormat::Distribution, "{}", format.as_str());
    }
}

#[test]
fn every_fixture_is_read_as_expected() {
    let mut found = Vec::new();
    for Entry { name, format, recording, expected } in fixtures() {
        for format in [format, InputFormat::Auto] {
            let differences = differences(&recording, format, expected.as_ref().unwrap());
            let format = format.as_str();
            found.extend(differences.into_iter().map(|difference| format!("{name} as {format}: {difference}")));
        }
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
