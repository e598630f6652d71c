//! The API answers as its description says, whatever it is asked: Schemathesis reads the description and asks.

use std::process::Output;

use serde_json::Value;
use tokio::process::Command;

use crate::calls::push;
use crate::process::Home;
use crate::verifying::TOOLS;

const CHECKS: &str = "not_a_server_error,content_type_conformance,status_code_conformance,response_schema_conformance";
/// Of each operation; more find little more, and take longer.
const EXAMPLES: &str = "30";
/// What is asked follows from it, so that what fails once fails again; another one asks other things.
const SEED: &str = "1";
/// As the program's own entry point is.
const RUN: &str = "from schemathesis.cli import schemathesis; schemathesis()";

async fn ask_everything(api: &str, token: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command.args(["-B", "-c", RUN, "run", &format!("{api}/api/v1/openapi.json"), "--checks", CHECKS]);
    command.args(["--max-examples", EXAMPLES, "--phases", "examples,coverage,fuzzing,stateful", "--seed", SEED]);
    command.args(["-H", &format!("Authorization: Bearer {token}"), "--no-color"]);
    // What it remembers of a run goes with it.
    command.env("PYTHONPATH", format!("{TOOLS}/schemathesis-pypi")).current_dir(folder.path());
    command.output().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_as_it_is_described_whatever_it_is_asked() {
    let home = Home::new()
        .with("DOCKBELL_LIMITS_API_PER_ADDRESS", "0")
        .with("DOCKBELL_LIMITS_API_PER_TOKEN", "0")
        .with("DOCKBELL_PUBLIC_URL", "https://dockbell.test");
    let dockbell = home.up().await;
    let caller = &dockbell.caller;
    caller.add_webhook(("team/app", "dockerhub", "http://127.0.0.1:9/")).await;
    caller.report(&push("e", "team/app", "1")).await;
    let output = ask_everything(&caller.intake, &caller.admin_token).await;
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}\n{}", String::from_utf8_lossy(&output.stderr));
    let described: Value = caller.api(reqwest::Method::GET, "openapi.json", None).await.json();
    let paths = described["paths"].as_object().unwrap().values();
    let operations: usize = paths.map(|path| path.as_object().unwrap().len()).sum();
    // All but the description itself, which it has read.
    let asked = format!("Tested: {}", operations - 1);
    assert!(operations > 20 && told.contains(&asked), "{asked}: {told}");
    assert_eq!(caller.admin("/livez").await.status, 200);
    dockbell.stop_well().await;
}
