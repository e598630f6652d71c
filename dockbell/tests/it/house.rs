//! The rules of the house that no compiler checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

/// Who may know whom, as `docs/ARCHITECTURE.md` draws it. The names are those of the folders.
const MAY_KNOW: [(&str, &[&str]); 10] = [
    ("proto", &[]),
    ("backends", &["proto"]),
    ("chassis", &[]),
    ("process", &["proto", "backends", "chassis"]),
    ("producer", &["proto", "backends", "chassis", "process"]),
    ("deliverer", &["proto", "backends", "chassis", "process"]),
    ("console", &["proto", "backends", "chassis"]),
    ("dockbell", &["proto", "backends", "chassis", "process", "producer", "deliverer", "console"]),
    ("testkit", &["proto", "backends"]),
    ("load-tests", &["proto", "backends", "chassis", "producer", "deliverer", "testkit"]),
];
/// Who may use what is not ours. The chassis sends telemetry with reqwest.
const MAY_USE: [(&str, &[&str]); 7] = [
    ("lapin", &["backends", "load-tests"]),
    ("rusqlite", &["backends"]),
    ("redis", &["backends"]),
    ("hyper-rustls", &["deliverer"]),
    ("reqwest", &["dockbell", "chassis", "load-tests"]),
    ("hickory-resolver", &["deliverer"]),
    ("axum", &["chassis", "console", "producer", "testkit"]),
];
/// What needs a C library, a build tool or a second TLS stack.
const BANNED: [&str; 6] = ["aws-lc-rs", "aws-lc-sys", "cmake", "native-tls", "openssl", "openssl-sys"];
const LINES_LIMIT: usize = 400;
/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 7] = ["mod", "util", "common", "helpers", "imp", "manager", "v2"];
/// Put together here, so that this file does not hold them.
const POSTPONED: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn workspace() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps().other_options(["--offline".to_owned()]);
    command.exec().unwrap()
}

fn folder(package: &Package) -> &str {
    package.manifest_path.parent().unwrap().file_name().unwrap()
}

/// Every Rust file of the workspace with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let mut folders: Vec<PathBuf> = MAY_KNOW.iter().map(|(name, _)| root().join(name)).collect();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if entry.file_type().unwrap().is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = read(&path);
                sources.push((path, text));
            }
        }
    }
    assert!(sources.len() > 50, "the sources are elsewhere");
    sources
}

/// Fails with the files that break a rule.
fn assert_none(rule: &str, broken: impl Iterator<Item = String>) {
    let broken: Vec<String> = broken.collect();
    assert!(broken.is_empty(), "{rule}:\n{}", broken.join("\n"));
}

#[test]
fn crates_know_only_whom_the_map_says() {
    let workspace = workspace();
    let members: BTreeSet<&str> = workspace.packages.iter().map(folder).collect();
    assert_eq!(members, MAY_KNOW.iter().map(|(name, _)| *name).collect(), "the map shows every crate");
    for (name, may_know) in MAY_KNOW {
        let package = workspace.packages.iter().find(|package| folder(package) == name).unwrap();
        let ours = package.dependencies.iter().filter_map(|dependency| {
            let folder = dependency.path.as_ref()?.file_name()?.to_owned();
            Some((folder, dependency.kind))
        });
        for (known, kind) in ours {
            let for_tests = known == "testkit" && kind == DependencyKind::Development;
            assert!(for_tests || may_know.contains(&&*known), "{name} must not know {known} ({kind})");
        }
    }
}

#[test]
fn what_is_not_ours_is_used_where_it_belongs() {
    let workspace = workspace();
    for (name, users) in MAY_USE {
        let uses = |package: &&Package| package.dependencies.iter().any(|dependency| dependency.name == name);
        let found: BTreeSet<&str> = workspace.packages.iter().filter(uses).map(folder).collect();
        assert_eq!(found, users.iter().copied().collect(), "who uses {name}");
    }
}

/// The lock file names what any platform needs, so it is stricter than what is built here.
#[test]
fn there_is_one_tls_stack_and_it_needs_no_library_of_the_system() {
    let lock = read(root().join("Cargo.lock"));
    let names = || lock.lines().filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    assert_none("the lock file holds what is banned", names().filter(|name| BANNED.contains(name)).map(str::to_owned));
    assert_eq!(names().filter(|name| *name == "rustls").count(), 1, "there is one rustls");
}

#[test]
fn every_file_has_one_purpose_and_is_short() {
    let sources = sources();
    let named = |(path, _): &&(PathBuf, String)| path.display().to_string();
    let long = sources.iter().filter(|(_, text)| text.lines().count() > LINES_LIMIT);
    assert_none("files of more than 400 lines", long.map(|file| named(&file)));
    // The tests of a file are told by that file.
    let is_tests = |path: &Path| path.file_name().is_some_and(|name| name == "tests.rs");
    let untold = sources.iter().filter(|(path, text)| !text.starts_with("//!") && !is_tests(path));
    assert_none("files that do not start with their purpose", untold.map(|file| named(&file)));
    let stem = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    let is_empty_name = |stem: String| EMPTY_NAMES.contains(&stem.as_str()) || stem.starts_with("new_");
    let unnamed = sources.iter().filter(|(path, _)| is_empty_name(stem(path)));
    assert_none("files whose name says nothing", unnamed.map(|file| named(&file)));
}

/// A claim of the threat model names its test, or the file of its tests.
#[test]
fn the_threat_model_names_tests_that_exist() {
    let claims = read(root().join("docs/security.md"));
    let sources = sources();
    let named = claims.split('`').skip(1).step_by(2);
    let is_test = |name: &&str| name.len() > 20 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let tests: BTreeSet<&str> = named.filter(is_test).collect();
    assert!(tests.len() > 15, "{tests:?}");
    let exists = |name: &str| sources.iter().any(|(_, text)| text.contains(&format!("fn {name}(")));
    assert_none("claims without a test", tests.into_iter().filter(|name| !exists(name)).map(str::to_owned));
}

#[test]
fn nothing_is_postponed_in_the_sources() {
    let postponed = sources().into_iter().filter(|(_, text)| POSTPONED.iter().any(|word| text.contains(word)));
    assert_none("files that postpone something", postponed.map(|(path, _)| path.display().to_string()));
}

/// Clippy counts the lines of functions; this keeps anybody from asking it not to.
#[test]
fn clippy_guards_the_length_of_functions_everywhere() {
    assert!(read(root().join("clippy.toml")).contains("\ntoo-many-lines-threshold = 60\n"));
    assert!(read(root().join("Cargo.toml")).contains("\npedantic = { level = \"warn\", priority = -1 }\n"));
    let manifests = MAY_KNOW.map(|(name, _)| root().join(name).join("Cargo.toml"));
    let unguarded = manifests.iter().filter(|path| !read(path).contains("\n[lints]\nworkspace = true\n"));
    assert_none("crates without the lints of the workspace", unguarded.map(|path| path.display().to_string()));
    let exception = concat!("too_many", "_lines");
    let excepted = sources().into_iter().filter(|(_, text)| text.contains(exception));
    assert_none("files that allow long functions", excepted.map(|(path, _)| path.display().to_string()));
}

#[test]
fn the_map_names_files_that_exist() {
    let map = read(root().join("docs/ARCHITECTURE.md"));
    let quoted = map.split('`').skip(1).step_by(2);
    let named: Vec<&str> = quoted.filter(|text| Path::new(text).extension().is_some_and(|kind| kind == "rs")).collect();
    assert!(named.len() > 15, "{named:?}");
    let missing = named.iter().filter(|path| !root().join(path).is_file());
    assert_none("files that the map names and nobody finds", missing.map(|path| (*path).to_owned()));
}

/// What is built for operators must not end at a word of the environment.
#[test]
fn failpoints_are_in_builds_for_tests_alone() {
    let workspace = workspace();
    let mut asked_by = Vec::new();
    for package in &workspace.packages {
        let asks = |features: &[String]| features.iter().any(|feature| feature.contains("failpoints"));
        for dependency in package.dependencies.iter().filter(|dependency| asks(&dependency.features)) {
            asked_by.push((folder(package), dependency.kind));
        }
        let others = package.features.iter().filter(|(name, _)| *name != "failpoints");
        assert_eq!(
            others.filter(|(_, implied)| asks(implied)).count(),
            0,
            "a feature of {} implies them",
            package.name
        );
    }
    assert_eq!(asked_by, [("dockbell", DependencyKind::Development)]);
}
