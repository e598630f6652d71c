//! Deliveries in the format `cloudevents` are read by other people's libraries.

use std::process::Stdio;

use dockbell_testkit::receiver::Receiver;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::calls::push;
use crate::process::Home;
use crate::verifying::{TOOLS, given};

const ON_NODE: &str = r#"
const { HTTP } = require("cloudevents");
const { headers, body } = JSON.parse(require("fs").readFileSync(0, "utf8"));
const event = HTTP.toEvent({ headers, body: Buffer.from(body, "base64").toString() });
event.validate();
console.log(JSON.stringify([event.specversion, event.type, event.source, event.subject, event.sequence, event.data]));
"#;
const ON_PYTHON: &str = r#"
import base64, json, sys
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
given = json.load(sys.stdin)
event = from_http_event(HTTPMessage(given["headers"], base64.b64decode(given["body"])))
print(json.dumps([event.get_specversion(), event.get_type(), event.get_source(), event.get_subject(),
    event.get_extension("sequence"), event.get_data()]))
"#;

/// What a library read, in its own process.
async fn read_by(mut command: Command, stdin: &str) -> Value {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().expect("node and python3");
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\nif the library is absent, run scripts/install-test-receivers");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn the_libraries_of_cloud_events_read_what_is_sent() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    dockbell.caller.add_webhook(("team/app", "cloudevents", &receiver.url("/"))).await;
    dockbell.caller.report(&push("e1", "team/app", "1.4.2")).await;
    let request = receiver.wait_for(1).await.remove(0);
    let sent: Value = serde_json::from_slice(&request.body).unwrap();
    let expected = json!([
        "1.0",
        "io.dockbell.container.image.pushed",
        sent["source"],
        "team/app:1.4.2",
        sent["sequence"],
        sent["data"],
    ]);
    assert!(sent["sequence"].as_str().is_some_and(|order| order.ends_with("-e1")), "{sent}");

    let mut node = Command::new("node");
    node.args(["-e", ON_NODE]).env("NODE_PATH", format!("{TOOLS}/cloudevents-npm/node_modules"));
    let mut python = Command::new("python3");
    python.args(["-B", "-c", ON_PYTHON]).env("PYTHONPATH", format!("{TOOLS}/cloudevents-pypi"));
    let given = given(&request, "");
    assert_eq!(read_by(node, &given).await, expected);
    assert_eq!(read_by(python, &given).await, expected);
    dockbell.stop_well().await;
}
