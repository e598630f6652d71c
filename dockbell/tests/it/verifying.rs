//! `docs/verifying.md`: what its examples verify is what a running Dockbell sends, and nothing else.

use std::process::Stdio;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dockbell_testkit::command_receiver::CommandReceiver;
use dockbell_testkit::receiver::{Receiver, Recorded};
use dockbell_testkit::registry::{Registry, Reporting};
use dockbell_testkit::wait;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::calls::{Caller, Made, push, send};
use crate::payload::header;
use crate::process::Home;

const DOCUMENT: &str = include_str!("../../../docs/verifying.md");
/// Where other people's libraries are.
pub(crate) const TOOLS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/test-tools");

const ON_NODE: &str = r#"
const { secret, headers, body } = JSON.parse(require("fs").readFileSync(0, "utf8"));
verify(secret, headers, Buffer.from(body, "base64").toString());
"#;
const ON_PYTHON: &str = r#"
import base64, json, sys
given = json.load(sys.stdin)
verify(given["secret"], given["headers"], base64.b64decode(given["body"]))
"#;

/// The first example in `language` under `heading`.
fn example(heading: &str, language: &str) -> String {
    let (_, section) = DOCUMENT.split_once(&format!("# {heading}\n")).unwrap();
    let (_, block) = section.split_once(&format!("```{language}\n")).unwrap();
    block.split_once("```").unwrap().0.to_owned()
}

/// Whether a program that runs an example ends well.
async fn succeeds(mut command: Command, stdin: &str) -> bool {
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("a program of the examples");
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(
        !told.contains("Cannot find module") && !told.contains("ModuleNotFoundError"),
        "run scripts/install-test-receivers"
    );
    output.status.success()
}

/// A request and a secret, as programs of other languages read them.
pub(crate) fn given(request: &Recorded, secret: &str) -> String {
    let headers = request.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().into()));
    let headers: Map<String, Value> = headers.collect();
    json!({ "secret": secret, "headers": headers, "body": STANDARD.encode(&request.body) }).to_string()
}

async fn on_node(request: &Recorded, secret: &str) -> bool {
    let mut command = Command::new("node");
    command.args(["-e", &(example("JavaScript", "js") + ON_NODE)]);
    command.env("NODE_PATH", format!("{TOOLS}/standardwebhooks-npm/node_modules"));
    succeeds(command, &given(request, secret)).await
}

async fn on_python(request: &Recorded, secret: &str) -> bool {
    let mut command = Command::new("python3");
    command.args(["-B", "-c", &(example("Python", "python") + ON_PYTHON)]);
    command.env("PYTHONPATH", format!("{TOOLS}/standardwebhooks-pypi"));
    succeeds(command, &given(request, secret)).await
}

/// Runs an example of the shell beside the body.
async fn in_shell(request: &Recorded, example: &str, variables: &[(&str, &str)]) -> bool {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("body"), &request.body).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", example]).current_dir(folder.path()).envs(variables.iter().copied());
    succeeds(command, "").await
}

async fn by_openssl(request: &Recorded, key: &str) -> bool {
    let named = |name, of| (name, header(request, of));
    let variables = [
        named("id", "webhook-id"),
        named("timestamp", "webhook-timestamp"),
        named("signature", "webhook-signature"),
        ("key", key),
    ];
    in_shell(request, &example("v1a with openssl", "sh"), &variables).await
}

async fn by_code(request: &Recorded, name: &str, secret: &str) -> bool {
    let variables = [("header", header(request, name)), ("secret", secret)];
    in_shell(request, &example("Verifying a code over the body", "sh"), &variables).await
}

async fn public_keys(caller: &Caller, id: &str) -> Vec<String> {
    let answer = send(caller.http.get(format!("{}/.well-known/webhook-keys/{id}", caller.intake))).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    serde_json::from_value(answer.json()["keys"].clone()).unwrap()
}

async fn add(caller: &Caller, members: Value) -> Made {
    let answer = caller.api(Method::POST, "webhooks", Some(members)).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    let member = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
    Made { id: member("id"), secret: member("secret") }
}

/// Everything about one delivery that a receiver can verify, and that a receiver of another webhook cannot.
#[tokio::test]
async fn the_examples_verify_what_is_sent_and_nothing_else() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    let made = add(
        caller,
        json!({
            "name": "all", "repository": "*", "format": "batch", "url": receiver.url("/"),
            "signatures": ["v1", "v1a", "x-hub-signature-256", "x-signature"],
            "authorization": { "kind": "basic", "user": "alice", "password": "s3cret" },
        }),
    )
    .await;
    caller.report(&push("e-1", "team/äpp", "1.0")).await;
    let good = receiver.wait_for(1).await.remove(0);
    assert_eq!(header(&good, "authorization"), "Basic YWxpY2U6czNjcmV0");
    let keys = public_keys(caller, &made.id).await;
    let other = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let bad = Recorded { body: [b" ", &good.body[..]].concat().into(), ..good.clone() };
    for (request, secret, holds) in
        [(&good, made.secret.as_str(), true), (&good, other, false), (&bad, &made.secret, false)]
    {
        assert_eq!(on_node(request, secret).await, holds);
        assert_eq!(on_python(request, secret).await, holds);
        for name in ["x-hub-signature-256", "x-signature"] {
            assert_eq!(by_code(request, name, secret).await, holds, "{name}");
        }
    }
    let other_key = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    for (request, key, holds) in [(&good, keys[0].as_str(), true), (&good, other_key, false), (&bad, &keys[0], false)] {
        assert_eq!(by_openssl(request, key).await, holds);
    }
}

/// A receiver that has only the old secret, and one that has only the new one.
#[tokio::test]
async fn after_a_rotation_the_examples_verify_with_the_old_and_the_new_secret() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    let members = json!({
        "name": "rotated", "repository": "*", "format": "batch", "url": receiver.url("/"),
        "signatures": ["v1", "v1a", "x-hub-signature-256"],
    });
    let made = add(caller, members).await;
    let rotated = home.operate(&dockbell, &["webhooks", "rotate", &made.id, "--json"]).await;
    assert_eq!(rotated.code, Some(0), "{}", rotated.stderr);
    let rotated: Value = serde_json::from_str(&rotated.stdout).unwrap();
    let fresh = rotated["secret"].as_str().unwrap();
    assert_ne!(fresh, made.secret);
    assert!(rotated["older_secrets_until"].is_string(), "{rotated}");
    caller.report(&push("e-1", "team/app", "1.0")).await;
    let sent = receiver.wait_for(1).await.remove(0);
    for secret in [made.secret.as_str(), fresh] {
        assert!(on_node(&sent, secret).await && on_python(&sent, secret).await);
        assert_eq!(by_code(&sent, "x-hub-signature-256", secret).await, secret == fresh);
    }
    let keys = public_keys(caller, &made.id).await;
    assert_eq!(keys.len(), 2);
    for key in keys {
        assert!(by_openssl(&sent, &key).await);
    }
    let shown = home.operate(&dockbell, &["webhooks", "show", &made.id]).await.stdout;
    assert!(shown.contains("older secrets until") && !shown.contains("whsec_"), "{shown}");
}

/// The whole way: a registry, Dockbell, and a receiver that was written for somebody else.
#[tokio::test]
async fn a_push_to_a_real_registry_runs_a_command_of_a_packaged_receiver() {
    assert!(Registry::is_installed(), "install them with `scripts/install-test-packages docker-registry skopeo`");
    let home = Home::new();
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    let members = json!({
        "name": "deploy", "repository": "team/*", "format": "dockerhub", "url": "http://127.0.0.1:9/hooks/deploy",
        "signatures": ["x-hub-signature-256"],
    });
    let made = add(caller, members).await;
    let example = example("Running a command with `webhook`", "json");
    let documented = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert!(example.contains(documented) && example.contains(CommandReceiver::COMMAND));
    let stranger = CommandReceiver::start(&example).await;
    let receiver = CommandReceiver::start(&example.replace(documented, &made.secret)).await;
    let ours = json!({ "url": receiver.url("deploy") });
    assert_eq!(caller.api(Method::PATCH, &format!("webhooks/{}", made.id), Some(ours)).await.status, 200);
    // This one has another secret, so that it must not believe what it gets.
    let unbelieved = json!({
        "name": "stranger", "repository": "team/*", "format": "dockerhub", "url": stranger.url("deploy"),
        "signatures": ["x-hub-signature-256"],
    });
    let unbelieved = add(caller, unbelieved).await;

    let url = format!("{}/ingest/registry", caller.intake);
    let registry =
        Registry::start(&Reporting { url, token: caller.ingest_token.clone(), include_references: true }).await;
    registry.push_multi_arch("team/app", "1.4.2").await;
    let ran = async || receiver.commands().into_iter().next();
    assert_eq!(wait::until("a command", ran).await, "team/app 1.4.2");
    let path = format!("deliveries?webhook={}", unbelieved.id);
    let refused = async || {
        let page = caller.read(&path).await;
        (page["items"][0]["state"] == "dead").then_some(())
    };
    wait::until("the other receiver to have refused each attempt", refused).await;
    assert_eq!((receiver.commands().len(), stranger.commands().len()), (1, 0));
}
