//! Tokens from the command line: an owner with one does what it permits, and nothing else.

use dockbell_testkit::receiver::Receiver;
use dockbell_testkit::wait;
use serde_json::Value;

use crate::calls::{Caller, push, send};
use crate::fleet::Fleet;
use crate::process::{Dockbell, Ended, Home};

/// The operator's own, where a test sets it.
const ADMIN: &str = "the-admin-token";

fn json(ended: &Ended) -> Value {
    assert_eq!(ended.code, Some(0), "{ended:?}");
    serde_json::from_str(&ended.stdout).unwrap()
}

fn refused(ended: &Ended, words: &str) {
    assert!(ended.code == Some(1) && ended.stderr.contains(words), "{words:?} is not told: {ended:?}");
}

async fn add(owner: &Home, dockbell: &Dockbell, repository: &str, url: &str) -> Ended {
    let add = ["webhooks", "add", "--name", "ci", "--format", "batch", "--url", url, "--repository", repository];
    owner.operate(dockbell, &[&add[..], &["--json"]].concat()).await
}

#[tokio::test]
async fn an_owner_sets_webhooks_and_reports_with_a_token_until_it_is_revoked() {
    let (home, receiver) = (Home::new(), Receiver::start().await);
    let dockbell = home.up().await;
    let create = ["tokens", "create", "owner of team", "--repository", "team/*", "--expires-in", "90d"];
    let permit = ["--permit", "write", "--permit", "ingest", "--json"];
    let made = json(&home.operate(&dockbell, &[&create[..], &permit].concat()).await);
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());

    let owner = Home::new().with("DOCKBELL_API_TOKEN", token);
    let webhook = json(&add(&owner, &dockbell, "team/app", &receiver.url("/")).await);
    refused(&add(&owner, &dockbell, "other/app", &receiver.url("/")).await, "this token does not reach other/app");
    refused(&owner.operate(&dockbell, &["tokens", "list"]).await, "this is for operators alone");
    let by_token = Caller { ingest_token: token.to_owned(), ..dockbell.caller.clone() };
    by_token.report(&push("e-1", "team/app", "1.0")).await;
    receiver.wait_for(1).await;

    let listed = home.operate(&dockbell, &["tokens", "list"]).await;
    for word in [id, "owner of team", "team/*", "write, ingest"] {
        assert!(listed.stdout.contains(word), "{word:?} is not listed: {listed:?}");
    }
    let trail = home.operate(&dockbell, &["audit"]).await;
    for word in ["127.0.0.1", "owner of team", "create_webhook", webhook["id"].as_str().unwrap(), "create_token"] {
        assert!(trail.stdout.contains(word), "{word:?} is not in the trail: {trail:?}");
    }
    assert!(!format!("{listed:?}{trail:?}").contains(token));

    assert_eq!(home.operate(&dockbell, &["tokens", "revoke", id]).await.stdout, format!("revoked {id}\n"));
    refused(&owner.operate(&dockbell, &["webhooks", "list"]).await, "this needs a token that is valid");
    refused(&home.operate(&dockbell, &["tokens", "show", id]).await, "there is no token of this id");
    dockbell.stop_well().await;
}

/// The file is there for the command line: who takes it away takes the token along.
#[tokio::test]
async fn the_operators_token_is_known_without_being_kept() {
    let home = Home::new();
    let dockbell = home.up().await;
    let token = dockbell.caller.admin_token.clone();
    dockbell.stop_well().await;
    std::fs::remove_file(home.data().join("admin-token")).unwrap();
    let home = home.with("DOCKBELL_ADMIN_TOKEN", "");
    let process = home.start(&["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", "data"]);
    let (listen, _) = process.addresses().await;
    let api = format!("http://{}", listen.unwrap());
    let list = ["webhooks", "list", "--data", "data", "--api-url", &api];
    refused(&home.run(&list).await, "no API token");
    let operator = Home::new().with("DOCKBELL_API_TOKEN", &token);
    assert_eq!(operator.run(&list).await.code, Some(0));
    process.stop_well().await;
    assert!(!home.data().join("admin-token").exists(), "it is not made anew");
}

#[tokio::test]
async fn an_operators_token_may_be_set_as_its_hash() {
    let hash = dockbell_proto::token::TokenHash::of(ADMIN).to_string();
    let home = Home::new();
    let file = home.write("dockbell.toml", &format!("admin_token = \"{hash}\"\n"));
    let home = home.with("DOCKBELL_CONFIG", &file).with("DOCKBELL_ADMIN_TOKEN", "");
    let arguments = ["up", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--data", "data"];
    let process = home.start(&arguments);
    let (listen, _) = process.addresses().await;
    let api = format!("http://{}", listen.unwrap());
    let list = ["webhooks", "list", "--data", "data", "--api-url", &api];
    refused(&home.run(&list).await, "no API token");
    for (token, code) in [(ADMIN, 0), (hash.as_str(), 1)] {
        let ended = Home::new().with("DOCKBELL_API_TOKEN", token).run(&list).await;
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
    process.stop_well().await;
    let wrong = Home::new().with("DOCKBELL_ADMIN_TOKEN", "sha256:12").run(&["up"]).await;
    assert_eq!(wrong.code, Some(64), "{wrong:?}");
    assert!(
        wrong.stderr.contains("DOCKBELL_ADMIN_TOKEN") && wrong.stderr.contains("64 hexadecimal digits"),
        "{wrong:?}"
    );
}

/// A token that the API made, at the intake of another process.
pub(crate) async fn a_token_reports_to_a_producer_that_knows_the_store(fleet: Fleet<'_>) {
    let (console, producer) = (fleet.console().await, fleet.producer().await);
    let create = ["tokens", "create", "ci", "--repository", "team/app", "--permit", "ingest", "--json"];
    let made = json(&fleet.operate(&console, &create).await);
    let token = made["token"].as_str().unwrap();
    let by_token = Caller { ingest_token: token.to_owned(), ..producer.caller.clone() };
    let accepted = async |repository: &str| {
        let body = push("e", repository, "1.0").to_string();
        let answer =
            async || Some(send(by_token.report_request(body.clone())).await).filter(|answer| answer.status != 503);
        wait::until("an answer of the intake", answer).await.json()["accepted"].clone()
    };
    assert_eq!((accepted("team/app").await, accepted("team/web").await), (1.into(), 0.into()));
    producer.stop_well().await;
    let alone = fleet.with("DOCKBELL_REDIS_URL", "").producer().await;
    let by_token = Caller { ingest_token: token.to_owned(), ..alone.caller.clone() };
    let answer = send(by_token.report_request(push("e", "team/app", "1.0").to_string())).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert!(answer.body.contains("`redis.url` is not set"), "{}", answer.body);
    alone.stop_well().await;
    console.stop_well().await;
}
