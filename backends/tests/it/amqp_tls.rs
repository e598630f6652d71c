//! AMQP over TLS: who vouches for the broker, and for us, and who does not.

use std::fs;
use std::path::{Path, PathBuf};

use dockbell_backends::ClientIdentity;
use dockbell_backends::amqp::{AmqpConfig, AmqpConfigError, AmqpOptions};
use dockbell_backends::bus::{Bus as _, Queue};
use dockbell_proto::secret::Secret;
use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::wait::until;
use tempfile::TempDir;
use tokio::process::Command;

use crate::amqp_harness::{open_any, options, start_any, trouble};
use crate::amqp_traffic::publish;

/// An authority of our own, with certificates of the broker and of a client by it, and another authority with one of a
/// client.
pub(crate) struct Certificates(TempDir);

impl Certificates {
    pub(crate) async fn make() -> Self {
        let folder = TempDir::new().unwrap();
        make_authority(folder.path(), "own").await;
        make_authority(folder.path(), "other").await;
        for (name, authority) in [("broker", "own"), ("client", "own"), ("stranger", "other")] {
            let path = |kind: &str| folder.path().join(format!("{authority}.{kind}"));
            let mut command = request(folder.path(), name, "subjectAltName=IP:127.0.0.1");
            command.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
            command.arg("-CA").arg(path("pem")).arg("-CAkey").arg(path("key"));
            assert!(command.output().await.unwrap().status.success());
        }
        Self(folder)
    }

    pub(crate) fn certificate(&self) -> PathBuf {
        self.0.path().join("broker.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.path().join("broker.key")
    }

    pub(crate) fn authority_file(&self) -> PathBuf {
        self.0.path().join("own.pem")
    }

    fn authority(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(format!("{name}.pem"))).unwrap()
    }

    fn identity(&self, name: &str) -> ClientIdentity {
        let read = |kind: &str| fs::read_to_string(self.0.path().join(format!("{name}.{kind}"))).unwrap();
        ClientIdentity { chain: read("pem"), key: Secret::new(read("key")) }
    }
}

async fn make_authority(folder: &Path, name: &str) {
    let mut command = request(folder, name, "basicConstraints=critical,CA:TRUE");
    assert!(command.output().await.unwrap().status.success());
}

fn request(folder: &Path, name: &str, extension: &str) -> Command {
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]);
    command.args(["-subj", &format!("/CN={name}"), "-addext", extension]);
    command.arg("-keyout").arg(folder.join(format!("{name}.key")));
    command.arg("-out").arg(folder.join(format!("{name}.pem")));
    command
}

pub(crate) async fn a_broker_is_believed_by_the_certificates_that_are_given(
    node: &Node,
    host: &str,
    certificates: &Certificates,
) {
    // Another test of this process may have installed it.
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = |name: &str| {
        let url = Node::url(node.tls_port(), host).replacen("amqp:", "amqps:", 1);
        url.replacen("127.0.0.1", name, 1)
    };
    let shown = |authority: Option<Vec<u8>>, identity: Option<&str>| {
        let identity = identity.map(|name| certificates.identity(name));
        AmqpOptions { root_certificates: authority, identity, ..options(1) }
    };
    let trusting = |authority| shown(authority, Some("client"));
    let own = || Some(certificates.authority("own"));
    let bus = open_any(&[url("127.0.0.1")], trusting(own())).await.unwrap();
    publish(&bus, Queue::Deliveries, &["a"]).await;
    assert_eq!(bus.depth(Queue::Deliveries).await.unwrap().messages, 1);
    bus.close().await;
    until("the end of its connections", || async { (node.connections(host).await == 0).then_some(()) }).await;
    let refused = [("127.0.0.1", Some(certificates.authority("other"))), ("127.0.0.1", None), ("localhost", own())];
    for (name, authority) in refused {
        let bus = start_any(&[url(name)], trusting(authority));
        trouble(&bus, "certificate").await;
        bus.close().await;
    }
    for identity in [None, Some("stranger")] {
        let bus = start_any(&[url("127.0.0.1")], shown(own(), identity));
        trouble(&bus, "").await;
        bus.close().await;
    }
    assert_eq!(node.connections(host).await, 0);
    let plain = url("127.0.0.1").replacen("amqps:", "amqp:", 1);
    let refused = AmqpConfig::new(&[Secret::new(plain)], trusting(own())).unwrap_err();
    assert_eq!(refused, AmqpConfigError::Plaintext(1));
    let refused = AmqpConfig::new(&[Secret::new(url("127.0.0.1"))], trusting(Some(b"none".to_vec()))).unwrap_err();
    assert_eq!(refused, AmqpConfigError::Certificates);
}
