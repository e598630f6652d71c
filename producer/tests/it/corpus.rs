//! Every recording of the corpus, where it lies beside the workspace. It is not part of the repository; the fixtures
//! here cover the same cases.

use std::fs;
use std::path::{Path, PathBuf};

use dockbell_proto::input::{Headers, InputFormat, decode};
use serde_json::Value;

use super::expectation::differences;
use super::recording::Recording;

/// A golden file whose layers have the URL of a manifest, which no registry gives them; ours asks the URL first.
pub(crate) const LAYERS_AT_MANIFESTS: &str = "distribution_event_test_3_events.json";

/// The format of a recording, by what its name starts with.
const FORMATS: [(&str, InputFormat); 22] = [
    ("acr_", InputFormat::Acr),
    ("aliyun_", InputFormat::Alibaba),
    ("angos_", InputFormat::Angos),
    ("azure_eventgrid_", InputFormat::Eventgrid),
    ("cloudevents_", InputFormat::Cloudevents),
    ("distribution_gitlab_", InputFormat::Gitlab),
    ("distribution_", InputFormat::Distribution),
    ("dockerhub_", InputFormat::Dockerhub),
    ("ecr_", InputFormat::Ecr),
    ("gar_", InputFormat::Gar),
    ("gcr_", InputFormat::Gar),
    ("ghcr_", InputFormat::Ghcr),
    ("github_", InputFormat::Ghcr),
    ("gitlab_", InputFormat::Gitlab),
    ("harbor", InputFormat::Harbor),
    ("jenkins_", InputFormat::Distribution),
    ("jfrog_", InputFormat::Jfrog),
    ("lab_", InputFormat::Distribution),
    ("quay_", InputFormat::Quay),
    ("seq_", InputFormat::Distribution),
    ("synth_gitlab_", InputFormat::Gitlab),
    ("synth_zot_", InputFormat::Zot),
];

/// A recording of the corpus.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) format: InputFormat,
    pub(crate) recording: Recording,
    /// What must come of it; none where nothing is expected but that nothing breaks.
    pub(crate) expected: Option<Value>,
}

fn folder() -> Option<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/corpus");
    if corpus.is_dir() {
        return Some(corpus);
    }
    eprintln!("there is no corpus beside the workspace; the fixtures alone are tested");
    None
}

/// All of the corpus; nothing if there is none.
pub(crate) fn corpus() -> Vec<Entry> {
    let Some(folder) = folder() else { return Vec::new() };
    let expectations: Value = serde_json::from_slice(&fs::read(folder.join("EXPECT.json")).unwrap()).unwrap();
    let files = fs::read_dir(folder.join("input")).unwrap().map(|file| file.unwrap().path());
    let mut entries: Vec<Entry> = files.map(|path| entry(&path, &expectations)).collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(entries.len() > 80, "the corpus is elsewhere");
    entries
}

fn entry(path: &Path, expectations: &Value) -> Entry {
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let format = FORMATS.iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, format)| *format);
    let mut recording = Recording::of(&fs::read(path).unwrap());
    // GitHub says what it is about in a header, which the recordings lack.
    let events = [
        ("github_ping", "ping"),
        ("github_registry_", "registry_package"),
        ("github_package_", "package"),
        ("ghcr_", "package"),
    ];
    let event = events.iter().find(|(prefix, _)| name.starts_with(prefix));
    if let Some((_, event)) = event {
        recording = recording.with("x-github-event", event);
    }
    let expected = expectations.get(format!("input/{name}")).cloned();
    Entry { name, format: format.unwrap_or(InputFormat::Distribution), recording, expected }
}

fn differences_as(entry: &Entry, format: InputFormat, recording: &Recording) -> Vec<String> {
    let Some(expected) = &entry.expected else { return Vec::new() };
    let mut found = differences(recording, format, expected);
    found.retain(|difference| entry.name != LAYERS_AT_MANIFESTS || !difference.starts_with("kind "));
    found.into_iter().map(|difference| format!("{} as {}: {difference}", entry.name, format.as_str())).collect()
}

#[test]
fn recordings_are_read_as_expected_in_their_format_and_in_any() {
    let (mut compared, mut found) = (0, Vec::new());
    for entry in corpus() {
        compared += usize::from(entry.expected.is_some());
        found.extend(differences_as(&entry, entry.format, &entry.recording));
        found.extend(differences_as(&entry, InputFormat::Auto, &entry.recording));
    }
    eprintln!("{compared} recordings were compared");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Not everybody who passes on what GitHub sent passes on its headers.
#[test]
fn recordings_of_github_are_known_without_their_headers() {
    let of_github = |entry: &Entry| entry.format == InputFormat::Ghcr;
    let bare = |entry: &Entry| Recording { headers: Vec::new(), ..entry.recording.clone() };
    let found: Vec<_> = corpus()
        .into_iter()
        .filter(of_github)
        .flat_map(|entry| differences_as(&entry, InputFormat::Auto, &bare(&entry)))
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn no_recording_makes_the_decoder_of_any_format_panic() {
    for entry in corpus() {
        let headers = Headers::of(entry.recording.headers());
        for format in InputFormat::ALL {
            let read = decode(format, &headers, &entry.recording.body).map(|entries| entries.len());
            eprintln!("{} as {}: {read:?}", entry.name, format.as_str());
        }
    }
}
