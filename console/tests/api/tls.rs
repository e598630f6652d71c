//! What a webhook says about the TLS of its receiver.

use dockbell_backends::Store as _;
use dockbell_proto::ids::WebhookId;
use dockbell_proto::tls::TargetTls;
use dockbell_testkit::authority::Authority;
use serde_json::{Value, json};

use crate::bench::{Bench, each, new_webhook, text};

fn with(tls: Value) -> Value {
    let mut webhook = new_webhook();
    webhook["tls"] = tls;
    webhook
}

/// A certificate and its key, in PEM.
fn identity(authority: &Authority) -> (String, String) {
    let (chain, key) = authority.identity("client");
    (String::from_utf8(chain).unwrap(), String::from_utf8(key).unwrap())
}

fn certificate(authority: &Authority) -> String {
    String::from_utf8(authority.certificate()).unwrap()
}

async fn kept(bench: &Bench, path: &str) -> TargetTls {
    let id = WebhookId::parse(path.rsplit('/').next().unwrap()).unwrap();
    bench.backend.webhook(&id).await.unwrap().unwrap().tls
}

#[tokio::test]
async fn what_is_said_about_tls_is_shown_without_the_key() {
    let (bench, authority) = (Bench::open(), Authority::new());
    let ((chain, key), ca) = (identity(&authority), certificate(&authority));
    let all = json!({ "ca_certificates": ca, "client_certificate": chain, "client_key": key });
    let answer = bench.post("/api/v1/webhooks", with(all)).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    let path = format!("/api/v1/webhooks/{}", text(&answer.json()["id"]));
    let shown = bench.get(&path).await.json()["tls"].clone();
    let expected =
        json!({ "ca_certificates": ca, "client_certificate": chain, "client_key": "***", "skip_verify": false });
    assert_eq!(shown, expected);
    assert_eq!(kept(&bench, &path).await.client.unwrap().key.expose(), key);

    // Members change one by one.
    let changed = bench.patch(&path, json!({ "tls": { "ca_certificates": null } })).await.json()["tls"].clone();
    let expected =
        json!({ "ca_certificates": null, "client_certificate": chain, "client_key": "***", "skip_verify": false });
    assert_eq!(changed, expected);
    let (other_chain, other_key) = identity(&authority);
    let both = json!({ "client_certificate": other_chain, "client_key": other_key });
    assert_eq!(bench.patch(&path, json!({ "tls": both })).await.status, 200);
    assert_eq!(kept(&bench, &path).await.client.unwrap().key.expose(), other_key);
    assert_eq!(bench.patch(&path, json!({ "name": "b" })).await.status, 200);
    assert_eq!(kept(&bench, &path).await.client.unwrap().chain, other_chain);
    assert_eq!(bench.patch(&path, json!({ "tls": null })).await.status, 200);
    assert_eq!(kept(&bench, &path).await, TargetTls::default());
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_without_showing_it() {
    let (bench, authority) = (Bench::open(), Authority::new());
    let ((chain, key), (_, other_key), ca) = (identity(&authority), identity(&authority), certificate(&authority));
    for (tls, words) in [
        (json!({ "ca_certificates": "canary" }), "ca_certificates holds no certificate (PEM)"),
        (json!({ "ca_certificates": ca.repeat(17) }), "ca_certificates must be at most 16"),
        (json!({ "ca_certificates": "x".repeat(65_537) }), "at most 65536 bytes"),
        (json!({ "client_certificate": chain }), "client_key must be given"),
        (json!({ "client_key": key }), "client_certificate must be given"),
        (json!({ "client_certificate": chain, "client_key": other_key }), "do not go together"),
        (json!({ "client_certificate": chain, "client_key": "canary" }), "holds no private key"),
        (json!({ "client_certificate": "canary", "client_key": key }), "holds no certificate"),
        (json!({ "client_certificate": chain, "client_key": "***" }), "client_key is a mask"),
        (json!({ "client_key": 7 }), "client_key must be a string"),
        (json!({ "skip_verify": "yes" }), "skip_verify must be true or false"),
        (json!({ "verify": true }), "there is no member"),
        (json!([]), "tls must be an object"),
    ] {
        let answer = bench.post("/api/v1/webhooks", with(tls)).await;
        assert_eq!(answer.problem(422), "invalid", "{words}");
        let errors = answer.json()["errors"].clone();
        assert_eq!(each(&errors, "member"), ["tls"]);
        let problem = text(&errors[0]["problem"]);
        assert!(problem.contains(words) && !problem.contains("canary") && !problem.contains("BEGIN"), "{problem}");
    }
    let plain = json!({ "ca_certificates": ca });
    let mut webhook = with(plain);
    webhook["url"] = json!("http://ci.test/");
    let answer = bench.post("/api/v1/webhooks", webhook).await;
    assert_eq!(answer.problem(422), "invalid");
    assert!(text(&answer.json()["errors"][0]["problem"]).contains("https://"), "{:?}", answer.body);
}

#[tokio::test]
async fn verification_is_skipped_only_where_the_operator_allows_it() {
    let skips = || with(json!({ "skip_verify": true }));
    let answer = Bench::open().post("/api/v1/webhooks", skips()).await;
    assert_eq!(answer.problem(422), "invalid");
    let problem = text(&answer.json()["errors"][0]["problem"]);
    assert!(problem.contains("targets.allow_skip_verify"), "{problem}");
    let bench = Bench::open_allowing_skipped_verification();
    let made = bench.post("/api/v1/webhooks", skips()).await;
    assert_eq!((made.status.as_u16(), &made.json()["tls"]["skip_verify"]), (201, &json!(true)));
}
