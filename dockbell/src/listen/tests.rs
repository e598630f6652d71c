use clap::Parser as _;
use dockbell_chassis::crypto::http_client;
use dockbell_proto::signature::ed25519::SigningKey;

use super::*;

#[derive(Debug, clap::Parser)]
struct Typed {
    #[command(flatten)]
    listen: Listen,
}

/// What was written, for all to read.
#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is shown of a request with `headers`, and the status that answers it, if `typed` is on the command line.
async fn shown(typed: &[&str], headers: &[(&str, String)], body: &'static str) -> (String, u16) {
    let typed = Typed::parse_from([&["listen", "--port", "0"], typed].concat());
    let written = Written::default();
    let receiver = typed.listen.bind(written.clone()).await.unwrap();
    let url = format!("http://{}/hook?a=b", receiver.socket.local_addr().unwrap());
    let mut serving = JoinSet::new();
    serving.spawn(receiver.serve());
    let client = http_client(|| reqwest::Client::builder().no_proxy()).unwrap();
    let request = headers.iter().fold(client.post(url), |request, (name, value)| request.header(*name, value));
    let status = request.body(body).send().await.unwrap().status().as_u16();
    serving.shutdown().await;
    let written = written.0.lock().unwrap().clone();
    (String::from_utf8(written).unwrap(), status)
}

const BODY: &str = r#"{"tag":"1.0","who":"\u001b[31mred"}"#;

#[tokio::test]
async fn what_comes_is_shown_in_full_and_every_proof_is_judged() {
    let (secret, key) = (SigningSecret::from_random([7; 32]), SigningKey::from_random([8; 32]));
    let now = SystemClock.now();
    let sign = |secret: &SigningSecret| {
        let signatures = [secret.sign("msg_1", now, BODY.as_bytes()), key.sign("msg_1", now, BODY.as_bytes())];
        vec![
            ("webhook-id", "msg_1".to_owned()),
            ("webhook-timestamp", now.as_second().to_string()),
            ("webhook-signature", signatures.join(" ")),
            ("x-hub-signature-256", secret.sign_body(BODY.as_bytes())),
        ]
    };
    let (typed_secret, typed_key) = (secret.expose(), key.public().to_string());
    let typed = ["--secret", &typed_secret, "--public-key", &typed_key, "--answer", "503"];
    let (good, status) = shown(&typed, &sign(&secret), BODY).await;
    assert_eq!(status, 503);
    for part in [
        "POST /hook?a=b\n",
        "webhook-id: msg_1\n",
        "  \"tag\": \"1.0\"",
        "webhook-signature v1: verified\n",
        "webhook-signature v1a: verified\n",
        "x-hub-signature-256: verified\n",
        "answered 503",
    ] {
        assert!(good.contains(part), "{part}: {good}");
    }
    assert!(!good.contains('\u{1b}'), "nothing steers the terminal");

    let (wrong, _) = shown(&typed, &sign(&SigningSecret::from_random([9; 32])), BODY).await;
    assert!(wrong.contains("webhook-signature v1: WRONG: no signature fits\n"), "{wrong}");
    assert!(wrong.contains("webhook-signature v1a: verified\n"), "{wrong}");
    assert!(wrong.contains("x-hub-signature-256: WRONG"), "{wrong}");

    let (unjudged, status) = shown(&[], &sign(&secret), BODY).await;
    assert_eq!(status, 200);
    assert!(unjudged.contains("v1: not judged: give --secret\n"), "{unjudged}");
    assert!(unjudged.contains("v1a: not judged: give --public-key\n"), "{unjudged}");
    let (unproved, _) = shown(&typed, &[], "no\u{7} JSON").await;
    assert!(unproved.contains("proof: WRONG: there is none\n") && unproved.contains("no\u{fffd} JSON\n"), "{unproved}");
}

#[tokio::test]
async fn a_wrong_secret_is_refused_and_not_shown() {
    let typed = Typed::parse_from(["listen", "--port", "0", "--secret", "canary"]);
    let error = typed.listen.bind(io::sink()).await.err().unwrap().to_string();
    assert!(error.contains("whsec_") && !error.contains("canary"), "{error}");
}

#[test]
fn it_listens_for_this_machine_alone_unless_it_is_told_otherwise() {
    let typed = Typed::parse_from(["listen"]).listen;
    assert!(typed.address.is_loopback() && typed.answer == StatusCode::OK);
    let wrong = ["--answer", "99"];
    for wrong in [wrong, ["--answer", "101"], ["--public-key", "canary"]] {
        assert!(Typed::try_parse_from([&["listen"][..], &wrong].concat()).is_err(), "{wrong:?}");
    }
}
