//! What every format writes, byte for byte, as it was promised to those who read it.
//!
//! `outputs/FORMAT/VERSION/SAMPLE.http` is a request: its headers, an empty line, and the body. A change that a
//! consumer could notice makes a new version of the format's folder beside the earlier ones, which stay: they are what
//! the models of consumers are tried with. What is absent is written by the test, which fails then, and nothing is ever
//! replaced.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use dockbell_proto::batch::{BATCH_LIMIT, Batch};
use dockbell_proto::options::Options;
use dockbell_proto::output::{BODY_LIMIT, Rendered, render};
use dockbell_proto::webhook::Format;
use proptest::prelude::*;
use serde_json::{Value, json};

/// The version of each format's goldens that the code writes.
const VERSION: &str = "1";

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// Batches that say much, little, and what is hard to write.
pub(crate) fn samples() -> Vec<(String, Batch)> {
    let files = fs::read_dir(folder("samples")).unwrap().map(|entry| entry.unwrap().path());
    let mut samples: Vec<_> = files
        .map(|path| {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            (name, serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
        })
        .collect();
    samples.sort_by(|a: &(String, Batch), b| a.0.cmp(&b.0));
    assert!(samples.len() >= 3);
    samples
}

/// The bodies of every request that a version of the format ever wrote.
pub(crate) fn kept(format: Format) -> Vec<Value> {
    let entries = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let files = entries(folder("outputs").join(format.as_str())).flat_map(entries);
    let body = |path: PathBuf| serde_json::from_str(fs::read_to_string(path).unwrap().split_once("\n\n").unwrap().1);
    files.map(|path| body(path).unwrap()).collect()
}

/// The formats whose bodies are ours to promise: not the owner's own, and not the one without.
fn promised() -> impl Iterator<Item = Format> {
    Format::ALL.into_iter().filter(|format| !matches!(format, Format::Template | Format::Empty))
}

pub(crate) fn rendered(format: Format, batch: &Batch) -> Rendered {
    render(format, &Options::default(), batch, ("2020-01-01T00:00:00Z".parse().unwrap(), "")).unwrap()
}

fn written(format: Format, batch: &Batch) -> String {
    let Rendered { headers, body } = rendered(format, batch);
    let mut text = String::new();
    for (name, value) in headers {
        // The version of the program is no part of the promise.
        let value = value.replace(env!("CARGO_PKG_VERSION"), "0.0.0");
        writeln!(text, "{name}: {value}").unwrap();
    }
    format!("{text}\n{}\n", String::from_utf8(body).unwrap())
}

#[test]
fn every_format_writes_what_it_promised() {
    for format in promised() {
        for (name, batch) in samples() {
            let path = folder("outputs").join(format.as_str()).join(VERSION).join(format!("{name}.http"));
            let found = written(format, &batch);
            if !path.exists() {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, &found).unwrap();
                panic!("{} was absent and is written now: read it", path.display());
            }
            assert_eq!(found, fs::read_to_string(&path).unwrap(), "{}", path.display());
        }
    }
}

/// The published schema says what the code writes, and every member that is written is described.
#[test]
fn batches_are_as_their_schema_says() {
    let schema: Value =
        serde_json::from_str(include_str!("../../../docs/schemas/dockbell.webhook.batch-1.json")).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    for (name, batch) in samples() {
        let body: Value = serde_json::from_slice(&rendered(Format::Batch, &batch).body).unwrap();
        validator.validate(&body).unwrap_or_else(|error| panic!("{name}: {error} at {}", error.instance_path()));
        for (written, described) in
            [(&body, &schema["properties"]), (&body["changes"][0], &schema["$defs"]["change"]["properties"])]
        {
            let unknown = written.as_object().unwrap().keys().find(|member| described.get(member).is_none());
            assert_eq!(unknown, None, "{name}");
        }
        let mut wrong = body.clone();
        wrong["changes"][0]["size"] = json!(1.5);
        assert!(!validator.is_valid(&wrong));
        let mut less = body;
        less["changes"][0].as_object_mut().unwrap().remove("event_ids");
        assert!(!validator.is_valid(&less));
    }
}

/// The request that a document shows: its headers, an empty line, and its body, laid out for people.
fn shown(document: &str, format: Format) -> (Vec<&str>, Value) {
    let (_, rest) = document.split_once(&format!("\n```http {}\n", format.as_str())).expect("an example");
    let (headers, rest) = rest.split_once("\n\n").unwrap();
    (headers.lines().collect(), serde_json::from_str(rest.split_once("\n```").unwrap().0).unwrap())
}

#[test]
fn the_document_shows_what_each_format_writes() {
    let document = include_str!("../../../docs/formats.md");
    let (_, batch) = samples().into_iter().find(|(name, _)| name == "documented").unwrap();
    for format in promised() {
        let written = written(format, &batch);
        let (headers, body) = written.split_once("\n\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(shown(document, format), (headers.lines().collect(), body), "{}", format.as_str());
    }
}

/// A pusher, repository or platform that tries to be read as more than a name.
#[test]
fn a_chat_shows_names_as_names() {
    let (_, hostile) = samples().into_iter().find(|(name, _)| name == "hostile").unwrap();
    let body = |format| serde_json::from_slice::<Value>(&rendered(format, &hostile).body).unwrap();
    let slack = body(Format::Slack);
    assert_eq!(slack["blocks"][0]["text"]["type"], "plain_text");
    let parsed = [&slack["text"], &slack["blocks"][1]["text"]["text"]];
    assert!(parsed.iter().all(|text| !text.as_str().unwrap().contains(['<', '>', '\u{202e}'])), "{slack}");
    let link = slack["blocks"][2]["elements"][0]["text"].as_str().unwrap();
    assert_eq!(link.matches(['<', '>', '|']).count(), 3, "{link}");
    assert!(slack["text"].as_str().unwrap().contains("&lt;!channel&gt;"), "{slack}");
    let discord = body(Format::Discord);
    assert_eq!(discord["allowed_mentions"], json!({"parse": []}));
    let title = discord["embeds"][0]["title"].as_str().unwrap();
    assert!(title.contains(r"\<\!channel\>") && !title.contains("__"), "{title}");
    let teams = body(Format::Teams);
    for block in teams["attachments"][0]["content"]["body"].as_array().unwrap() {
        assert_eq!(block["type"], "RichTextBlock", "its text is not parsed");
    }
}

#[test]
fn a_chat_stays_within_its_limits_however_many_tags_change() {
    let (_, index) = samples().into_iter().find(|(name, _)| name == "index").unwrap();
    let change = |number: usize| {
        let mut change = index.changes[0].clone();
        change.tag = dockbell_proto::names::Tag::parse(&format!("{number:0128}")).unwrap();
        change
    };
    let many = Batch { changes: (0..500).map(change).collect(), ..index.clone() };
    let body = |format| serde_json::from_slice::<Value>(&rendered(format, &many).body).unwrap();
    let slack = body(Format::Slack)["blocks"][1]["text"]["text"].as_str().unwrap().to_owned();
    assert!(slack.chars().count() <= 3000 && slack.ends_with("\nand 490 more"), "{slack}");
    let discord = body(Format::Discord)["embeds"][0].clone();
    assert!(discord["title"].as_str().unwrap().chars().count() <= 256);
    assert!(discord["description"].as_str().unwrap().chars().count() <= 4096);
    assert!(rendered(Format::Teams, &many).body.len() <= 28 * 1024, "as much as a workflow takes");
}

fn texts() -> BoxedStrategy<String> {
    prop_oneof!["[a-z0-9]{1,20}", "\\PC{0,60}", ".{0,40}"].boxed()
}

/// A batch of anything that the intake lets through.
fn batches() -> impl Strategy<Value = Batch> {
    let digest = "[0-9a-f]{64}".prop_map(|hex| format!("sha256:{hex}")).boxed();
    let blob = (digest.clone(), prop::option::of(any::<u64>()), prop::option::of(texts()));
    let blobs = prop::collection::vec(blob, 0..4).boxed();
    let child = (digest.clone(), prop::option::of(texts()), blobs.clone());
    let change = (
        "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}",
        prop::option::of(digest),
        (prop::option::of(texts()), prop::option::of(texts()), prop::option::of(any::<u64>())),
        prop::collection::vec(child, 0..4),
        (blobs, any::<bool>()),
    );
    let repository = prop_oneof!["[a-z0-9]{1,20}(/[a-z0-9._-]{1,20}){0,3}", "[^\\p{C}\\s:@]{1,60}"];
    (repository, prop::collection::vec(change, 1..30), 0..4_000_000_000_i64).prop_filter_map("names", |parts| {
        let (repository, changes, at) = parts;
        let changes: Vec<Value> =
            changes.into_iter().enumerate().map(|(place, change)| written_change(place, at, change)).collect();
        let at = jiff::Timestamp::from_second(at).ok()?.to_string();
        serde_json::from_value(json!({
            "source": "lab", "registry": "hub.test:5000", "repository": repository, "events": 1,
            "opened_at": at, "closed_at": at, "changes": changes,
        }))
        .ok()
    })
}

type Blob = (String, Option<u64>, Option<String>);
type Said = (Option<String>, Option<String>, Option<u64>);
type ArbitraryChange = (String, Option<String>, Said, Vec<(String, Option<String>, Vec<Blob>)>, (Vec<Blob>, bool));

fn written_change(place: usize, at: i64, change: ArbitraryChange) -> Value {
    let (tag, digest, (media_type, pusher, size), children, (blobs, truncated)) = change;
    let blob = |(digest, size, media_type): Blob| json!({"digest": digest, "size": size, "media_type": media_type});
    let blobs_of = |blobs: Vec<Blob>| blobs.into_iter().map(blob).collect::<Vec<_>>();
    let children = children
        .into_iter()
        .map(|(digest, platform, blobs)| json!({"digest": digest, "platform": platform, "blobs": blobs_of(blobs)}));
    let children: Vec<Value> = children.collect();
    json!({
        "tag": tag, "digest": digest, "media_type": media_type, "pusher": pusher, "size": size, "truncated": truncated,
        "children": children, "blobs": blobs_of(blobs), "event_ids": [format!("e{place}")],
        "pushed_at": jiff::Timestamp::from_second(at).unwrap().to_string(), "order": format!("{:020}-e{place}", at),
    })
}

fn numbers(value: &Value) -> Vec<&serde_json::Number> {
    match value {
        Value::Number(number) => vec![number],
        Value::Array(values) => values.iter().flat_map(numbers).collect(),
        Value::Object(members) => members.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// Every format as it is by default, and with every option that changes its body.
fn choices() -> Vec<(Format, Options)> {
    let chosen = [
        (Format::Dockerhub, json!({ "repo_name": "qualified" })),
        (Format::Alin, json!({ "header": "x-image", "host": "mirror.test:5000/cache" })),
        (Format::CloudEvents, json!({ "batched": true })),
        (Format::Distribution, json!({ "version": 1 })),
        (Format::Template, json!({ "source": TEMPLATE })),
    ];
    let chosen = chosen.map(|(format, given)| {
        (format, Options::default().changed(format, format, given.as_object().unwrap()).unwrap())
    });
    promised().map(|format| (format, Options::default())).chain(chosen).collect()
}

/// An owner's, that repeats what others wrote, as text and as JSON.
const TEMPLATE: &str = r#"{"text": "{{ change.pusher or 'nobody' }}: {{ repository }}:{{ change.tag }} {{ change.media_type }}",
    "digest": {{ change.digest | tojson }}, "size": {{ change.size | tojson }}, "children": {{ change.children | tojson }}}"#;

/// What a format is given of a batch: all of it, or its lots.
fn lots(format: Format, options: &Options, batch: &Batch) -> Vec<Batch> {
    batch.changes.chunks(format.tags_at_once(options)).map(|changes| batch.with(changes.to_vec())).collect()
}

/// As many tags as a batch holds, under names as long as they may be, and as much of one tag as a batch holds.
fn largest() -> [Batch; 2] {
    let (_, index) = samples().into_iter().find(|(name, _)| name == "index").unwrap();
    let part = "a".repeat(60);
    let mut written = serde_json::to_value(&index).unwrap();
    (written["registry"], written["repository"]) = ([&*part; 4].join(".").into(), [&*part; 4].join("/").into());
    let named: Batch = serde_json::from_value(written).unwrap();
    let length = |batch: &Batch| serde_json::to_vec(batch).unwrap().len();
    let mut many = named.with(Vec::new());
    let mut bare = index.changes[0].clone();
    (bare.children, bare.blobs, bare.superseded) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0_u32.. {
        let tag = dockbell_proto::names::Tag::parse(&number.to_string()).unwrap();
        many.changes.push(dockbell_proto::batch::Change { tag, ..bare.clone() });
        if length(&many) > BATCH_LIMIT {
            break;
        }
    }
    let mut one = named;
    let child = one.changes[0].children[0].clone();
    while length(&one) < BATCH_LIMIT {
        one.changes[0].children.push(child.clone());
    }
    [many, one]
}

#[test]
fn the_largest_batches_fit_into_what_receivers_take() {
    for batch in largest() {
        for (format, options) in choices() {
            for lot in lots(format, &options, &batch) {
                let told = ("2020-01-01T00:00:00Z".parse().unwrap(), "");
                let rendered = render(format, &options, &lot, told);
                let length = rendered.map(|rendered| rendered.body.len());
                assert!(length.as_ref().is_ok_and(|length| *length < BODY_LIMIT), "{}: {length:?}", format.as_str());
            }
        }
    }
}

proptest! {
    #[test]
    fn any_batch_is_json_of_bounded_length_whose_numbers_are_integers(batch in batches()) {
        for (format, options) in choices() {
            let lots = lots(format, &options, &batch);
            let told = ("2020-01-01T00:00:00Z".parse().unwrap(), "");
            let Rendered { headers, body } = render(format, &options, &lots[0], told).unwrap();
            prop_assert!(body.len() < BODY_LIMIT);
            let payload: Value = serde_json::from_str(std::str::from_utf8(&body).unwrap()).unwrap();
            prop_assert_eq!(payload.is_array(), options.batched.is_some(), "{}", format.as_str());
            prop_assert!(payload.is_array() || payload.is_object(), "{}", format.as_str());
            prop_assert!(numbers(&payload).iter().all(|number| number.is_u64() || number.is_i64()), "{payload}");
            let is_header = |value: &str| value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
            prop_assert!(headers.iter().all(|(_, value)| is_header(value)), "{headers:?}");
        }
    }
}
