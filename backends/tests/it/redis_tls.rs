//! Redis over TLS: who vouches for the server, and for us, and who does not.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dockbell_backends::ClientIdentity;
use dockbell_backends::redis::{RedisConfig, RedisConfigError, RedisStore};
use dockbell_proto::secret::Secret;
use dockbell_testkit::redis::RedisServer;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::clock;
use crate::redis_harness::config;

/// A certificate for `subject` that vouches for itself.
async fn make_certificate(folder: &Path, name: &str, subject: &str) -> Vec<u8> {
    let (certificate, key) = (folder.join(format!("{name}.pem")), folder.join(format!("{name}.key")));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", "/CN=redis", "-addext", &format!("subjectAltName={subject}")]);
    command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
    command.arg("-keyout").arg(key).arg("-out").arg(&certificate);
    assert!(command.output().await.unwrap().status.success());
    fs::read(certificate).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_is_believed_by_its_certificate_alone() {
    // Another test of this process may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = TempDir::new().unwrap();
    let own = make_certificate(folder.path(), "own", "IP:127.0.0.1").await;
    let other = make_certificate(folder.path(), "other", "IP:127.0.0.1").await;
    let misnamed = make_certificate(folder.path(), "misnamed", "DNS:redis.test").await;
    let open = async |name: &str, roots: Option<&[u8]>| {
        let path = |kind: &str| folder.path().join(format!("{name}.{kind}"));
        let server = RedisServer::start_with_tls(&path("pem"), &path("key")).await;
        let url = Secret::new(format!("rediss://127.0.0.1:{}", server.tls_port().await));
        let root_certificates = roots.map(Into::into);
        let of_tls = RedisConfig { settings_url: url.clone(), counters_url: url, root_certificates, ..config(&server) };
        let store = RedisStore::start(&of_tls, clock())?;
        let known = |trouble: &Option<Arc<str>>| trouble.as_ref().is_none_or(|why| !why.contains("not connected yet"));
        let trouble = store.trouble().wait_for(known).await.unwrap().as_deref().map(str::to_owned);
        Ok::<_, RedisConfigError>(trouble)
    };
    assert_eq!(open("own", Some(&own)).await, Ok(None));
    for (name, roots) in [("own", Some(&*other)), ("own", None), ("misnamed", Some(&*misnamed))] {
        let trouble = open(name, roots).await.unwrap();
        assert!(trouble.as_ref().is_some_and(|why| why.contains("certificate")), "{name}: {trouble:?}");
    }
    open("own", Some(b"no certificate")).await.unwrap_err();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_asks_for_a_certificate_is_shown_ours() {
    drop(rustls::crypto::ring::default_provider().install_default());
    let folder = TempDir::new().unwrap();
    let own = make_certificate(folder.path(), "own", "IP:127.0.0.1").await;
    make_certificate(folder.path(), "other", "IP:127.0.0.1").await;
    let path = |name: &str| folder.path().join(name);
    let server = RedisServer::start_with_tls(&path("own.pem"), &path("own.key")).await;
    server.demand_certificates(&path("own.pem")).await;
    let url = Secret::new(format!("rediss://127.0.0.1:{}", server.tls_port().await));
    let of_tls = |name: Option<&str>| {
        let read = |name: &str| fs::read_to_string(path(name)).unwrap();
        let identity = name.map(|name| ClientIdentity {
            chain: read(&format!("{name}.pem")),
            key: Secret::new(read(&format!("{name}.key"))),
        });
        let (settings_url, counters_url) = (url.clone(), url.clone());
        RedisConfig { settings_url, counters_url, root_certificates: Some(own.clone()), identity, ..config(&server) }
    };
    let open = async |config: &RedisConfig| {
        let store = RedisStore::start(config, clock()).unwrap();
        let known = |trouble: &Option<Arc<str>>| trouble.as_ref().is_none_or(|why| !why.contains("not connected yet"));
        store.trouble().wait_for(known).await.unwrap().as_deref().map(str::to_owned)
    };
    assert_eq!(open(&of_tls(Some("own"))).await, None);
    for name in [None, Some("other")] {
        assert!(open(&of_tls(name)).await.is_some(), "{name:?}");
    }
    let plain = Secret::new(server.url());
    let plain = RedisConfig { settings_url: plain.clone(), counters_url: plain, ..of_tls(Some("own")) };
    let refused = RedisStore::start(&plain, clock()).unwrap_err().to_string();
    assert!(refused.contains("is not encrypted"), "{refused}");
}
