use clap::Parser as _;
use serde_json::json;

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(subcommand)]
    command: Command,
}

fn parse(arguments: &[&str]) -> Result<Command, clap::Error> {
    Line::try_parse_from(["webhooks"].iter().chain(arguments)).map(|line| line.command)
}

fn change(arguments: &[&str]) -> Value {
    let command = parse(&[&["update", "wh_1"], arguments].concat()).unwrap();
    let Command::Update(update) = command else { panic!("{command:?}") };
    serde_json::to_value(update.change.body()).unwrap()
}

#[test]
fn a_webhook_is_added_as_it_is_typed() {
    let command = parse(&[
        "add",
        "--name",
        "a",
        "--repository",
        "team/*",
        "--url",
        "https://ci.test/?canary",
        "--format",
        "alin",
        "--header",
        "Authorization: Basic a:b",
        "--header",
        "X-B:c",
    ])
    .unwrap();
    assert!(!format!("{command:?}").contains("canary"));
    let Command::Add(add) = command else { panic!("not an add") };
    let expected = json!({
        "name": "a", "repository": "team/*", "url": "https://ci.test/?canary", "format": "alin",
        "headers": { "Authorization": "Basic a:b", "X-B": "c" },
    });
    assert_eq!(serde_json::to_value(add.body()).unwrap(), expected);
}

#[test]
fn only_what_is_named_changes() {
    assert_eq!(change(&["--disable"]), json!({ "enabled": false }));
    assert_eq!(change(&["--enable", "--name", "b"]), json!({ "enabled": true, "name": "b" }));
    assert_eq!(change(&["--any-registry"]), json!({ "registry": null }));
    assert_eq!(change(&["--registry", "hub.test"]), json!({ "registry": "hub.test" }));
    let headers = change(&["--header", "a: 1", "--remove-header", "b"]);
    assert_eq!(headers, json!({ "headers": { "a": "1", "b": null } }));
}

#[test]
fn what_is_said_about_tls_is_read_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let (ca, chain, key) = (write("ca", "an authority"), write("chain", "a chain"), write("key", "canary"));
    let typed = ["--ca-file", &ca, "--client-cert-file", &chain, "--client-key-file", &key];
    let tls = json!({ "ca_certificates": "an authority", "client_certificate": "a chain", "client_key": "canary" });
    assert_eq!(change(&typed), json!({ "tls": tls }));
    assert_eq!(change(&["--skip-verify"]), json!({ "tls": { "skip_verify": true } }));
    assert_eq!(change(&["--skip-verify", "false"]), json!({ "tls": { "skip_verify": false } }));
    assert_eq!(change(&["--no-tls"]), json!({ "tls": null }));
    let command = parse(&[&["update", "wh_1"], &typed[..]].concat()).unwrap();
    assert!(!format!("{command:?}").contains("canary"), "{command:?}");
    assert!(parse(&["update", "wh_1", "--no-tls", "--skip-verify"]).is_err());
    let error = parse(&["update", "wh_1", "--ca-file", "/nowhere"]).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn what_proves_a_delivery_is_typed() {
    let signed = change(&["--signature", "v1", "--signature", "x-signature"]);
    assert_eq!(signed, json!({ "signatures": ["v1", "x-signature"] }));
    let bearer = change(&["--bearer", "canary"]);
    assert_eq!(bearer, json!({ "authorization": { "kind": "bearer", "token": "canary" } }));
    let basic = change(&["--basic", "a:b:c"]);
    assert_eq!(basic, json!({ "authorization": { "kind": "basic", "user": "a", "password": "b:c" } }));
    let verbatim = change(&["--authorization", "canary"]);
    assert_eq!(verbatim, json!({ "authorization": { "kind": "verbatim", "value": "canary" } }));
    assert_eq!(change(&["--no-authorization"]), json!({ "authorization": null }));
    assert!(!format!("{:?}", parse(&["update", "wh_1", "--basic", "a:canary"])).contains("canary"));
    for arguments in [
        &["--signature", "v2"][..],
        &["--basic", "canary"],
        &["--basic", "a:b", "--bearer", "c"],
        &["--bearer", "c", "--no-authorization"],
    ] {
        assert!(parse(&[&["update", "wh_1"], arguments].concat()).is_err(), "{arguments:?}");
    }
}

#[test]
fn a_command_that_says_nothing_or_two_things_is_refused() {
    for arguments in [
        &["update", "wh_1"][..],
        &["update", "wh_1", "--enable", "--disable"],
        &["update", "wh_1", "--registry", "a", "--any-registry"],
        &["update", "wh_1", "--header", "no-colon"],
        &["show", "msg_1"],
        &["add", "--name", "a", "--repository", "b", "--url", "c", "--format", "xml"],
    ] {
        assert!(parse(arguments).is_err(), "{arguments:?}");
    }
}

#[test]
fn a_policy_is_typed_member_by_member() {
    let typed = change(&[
        "--policy",
        "cooldown=5m",
        "--policy",
        "trickle=2",
        "--policy",
        "age=",
        "--policy",
        "schedule=5s, 1m",
    ]);
    assert_eq!(typed, json!({ "policy": { "cooldown": "5m", "trickle": 2, "age": null, "schedule": ["5s", "1m"] } }));
    assert_eq!(change(&["--default-policy"]), json!({ "policy": null }));
    for arguments in [&["--policy", "cooldown"][..], &["--policy", "a=b", "--default-policy"]] {
        assert!(parse(&[&["update", "wh_1"], arguments].concat()).is_err(), "{arguments:?}");
    }
}

#[test]
fn a_replay_takes_times_and_how_long_ago_they_were() {
    for time in ["2026-01-02T03:04:05Z", "2h", "1d12h"] {
        assert!(parse(&["replay", "wh_1", "--since", time]).is_ok(), "{time}");
    }
    assert!(parse(&["replay", "wh_1", "--since", "yesterday"]).is_err());
    assert!(parse(&["discard-skipped", "wh_1"]).is_ok() && parse(&["resume", "wh_1"]).is_ok());
}

#[test]
fn an_option_is_typed_or_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("template.json");
    std::fs::write(&file, "{\"a\": 1}\n").unwrap();
    let source = format!("source=@{}", file.display());
    let typed = change(&["--option", "repo_name=qualified", "--option", "host=", "--option", &source]);
    assert_eq!(typed, json!({ "options": { "repo_name": "qualified", "host": null, "source": "{\"a\": 1}\n" } }));
    for option in ["repo_name", "source=@/nowhere/at/all"] {
        assert!(parse(&["update", "wh_1", "--option", option]).is_err(), "{option}");
    }
}
