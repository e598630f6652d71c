//! TLS of our own listeners: nothing is told in plain, and a renewed certificate is shown.

use std::fs;
use std::path::Path;

use dockbell_testkit::authority::Authority;
use dockbell_testkit::wait;
use reqwest::{Certificate, Client};

use crate::process::Home;

/// The certificate that a listener shows, in DER, if it can be believed.
async fn shown(authority: &Authority, url: &str) -> Option<Vec<u8>> {
    // A client of its own: one that resumes a session is shown nothing.
    let root = Certificate::from_pem(&authority.certificate()).unwrap();
    let client = Client::builder().no_proxy().tls_certs_only([root]).tls_info(true).build().unwrap();
    let response = client.get(url).send().await.ok()?;
    assert_eq!(response.status(), 200);
    response.extensions().get::<reqwest::tls::TlsInfo>()?.peer_certificate().map(<[u8]>::to_vec)
}

fn write_identity(authority: &Authority, folder: &Path) {
    let (certificate, key) = authority.identity("localhost");
    // The key first: what does not go together is not used.
    fs::write(folder.join("tls.key"), key).unwrap();
    fs::write(folder.join("tls.pem"), certificate).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_speak_nothing_but_tls_and_show_what_was_renewed() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    write_identity(&authority, folder.path());
    fs::write(folder.path().join("ca.pem"), authority.certificate()).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let home = Home::new()
        .with("DOCKBELL_TLS_CERT_FILE", &file("tls.pem"))
        .with("DOCKBELL_TLS_KEY_FILE", &file("tls.key"))
        .with("DOCKBELL_ADMIN_TLS_CERT_FILE", &file("tls.pem"))
        .with("DOCKBELL_ADMIN_TLS_KEY_FILE", &file("tls.key"))
        .with("DOCKBELL_API_CA_FILE", &file("ca.pem"));
    let dockbell = home.up().await;
    let of_port = |url: &str| format!("https://localhost:{}", url.rsplit_once(':').unwrap().1);
    let (api, admin) = (of_port(&dockbell.caller.intake), of_port(&dockbell.caller.admin));
    let first = shown(&authority, &format!("{api}/api/v1/openapi.json")).await.unwrap();
    assert_eq!(shown(&authority, &format!("{admin}/livez")).await.as_ref(), Some(&first));
    for plain in [&dockbell.caller.intake, &dockbell.caller.admin] {
        reqwest::get(format!("{plain}/livez")).await.unwrap_err();
    }
    let listed = home.run(&["webhooks", "list", "--data", "data", "--api-url", &api]).await;
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);

    fs::write(folder.path().join("tls.pem"), "half a fi").unwrap();
    let noticed = async || {
        assert_eq!(shown(&authority, &format!("{admin}/livez")).await.as_ref(), Some(&first));
        dockbell.log().contains("the renewed certificate cannot be used").then_some(())
    };
    wait::until("the broken certificate to be noticed", noticed).await;
    write_identity(&authority, folder.path());
    let renewed = async || shown(&authority, &format!("{admin}/livez")).await.filter(|shown| *shown != first);
    wait::until("the renewed certificate", renewed).await;
    dockbell.stop_well().await;
}

#[tokio::test]
async fn files_that_do_not_go_together_are_refused_with_their_names() {
    let (authority, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    write_identity(&authority, folder.path());
    let (_, other) = authority.identity("localhost");
    fs::write(folder.path().join("other.key"), other).unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let rows = [
        (file("tls.pem"), file("other.key"), "do not go together"),
        (file("tls.key"), file("tls.key"), "holds no certificate"),
        (file("tls.pem"), file("tls.pem"), "holds no private key"),
        (file("gone.pem"), file("tls.key"), "cannot be read"),
        (file("tls.pem"), String::new(), "tls.key_file: is missing"),
    ];
    for (certificate, key, told) in rows {
        let home = Home::new().with("DOCKBELL_TLS_CERT_FILE", &certificate).with("DOCKBELL_TLS_KEY_FILE", &key);
        let ended = home.run(&["up", "--data", "data"]).await;
        assert_eq!(ended.code, Some(64), "{}", ended.stderr);
        assert!(ended.stderr.contains(told), "{told}: {}", ended.stderr);
        assert!(!ended.stderr.contains("PRIVATE KEY"), "{}", ended.stderr);
    }
}
