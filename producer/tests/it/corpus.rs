//! Every recording of the corpus, where it lies beside the workspace. It is not part of the repository; the fixtures
//! here cover the same cases.

use std::fs;
use std::path::{Path, PathBuf};

use dockbell_proto::input::{Headers, InputFormat, decode};
use serde_json::Value;

use super::expectation::differences;
use super::recording::Recording;

/// A golden file whose layers have the URL of a manifest, which no registry gives them; ours asks the URL first.
const LAYERS_AT_MANIFESTS: &str = "distribution_event_test_3_events.json";

/// What the names of the recordings of our dialects start with.
const OURS: [&str; 6] = ["distribution_", "lab_", "seq_", "jenkins_", "gitlab_", "synth_envelope_"];

fn corpus() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if corpus.is_dir() {
        return Some(corpus);
    }
    eprintln!("there is no corpus beside the workspace; the fixtures alone are tested");
    None
}

fn recordings(corpus: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(corpus.join("input")).unwrap().map(|file| file.unwrap());
    let mut recordings: Vec<_> =
        files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect();
    recordings.sort();
    recordings
}

#[test]
fn recordings_of_our_dialects_are_read_as_expected() {
    let Some(corpus) = corpus() else { return };
    let expectations: Value = serde_json::from_slice(&fs::read(corpus.join("EXPECT.json")).unwrap()).unwrap();
    let ours = |name: &str| OURS.iter().any(|prefix| name.starts_with(prefix));
    let (mut compared, mut found) = (0, Vec::new());
    for (name, body) in recordings(&corpus).into_iter().filter(|(name, _)| ours(name)) {
        let Some(expected) = expectations.get(format!("input/{name}")) else {
            eprintln!("nothing is expected of {name}");
            continue;
        };
        compared += 1;
        let mut differences = differences(&Recording::of(&body), InputFormat::Auto, expected);
        differences.retain(|difference| name != LAYERS_AT_MANIFESTS || !difference.starts_with("kind "));
        found.extend(differences.into_iter().map(|difference| format!("{name}: {difference}")));
    }
    eprintln!("{compared} recordings were compared");
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(compared > 0);
}

#[test]
fn no_recording_of_any_dialect_makes_the_decoder_panic() {
    let Some(corpus) = corpus() else { return };
    for (name, body) in recordings(&corpus) {
        for format in InputFormat::ALL {
            let read = decode(format, &Headers::default(), &body).map(|entries| entries.len());
            eprintln!("{name} as {format:?}: {read:?}");
        }
    }
}
