//! A certificate authority, what it certifies, and receivers that show it.

use std::convert::Infallible;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::Response;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// An authority of a test, in a folder of its own.
#[derive(Debug)]
pub struct Authority(TempDir);

/// What is the matter with a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// Its time is over.
    Expired,
    /// It vouches for itself.
    SelfSigned,
    /// It is signed over a SHA-1 digest.
    Sha1,
    /// More than a megabyte of certificates follows it.
    LongChain,
}

/// A receiver that answers 200, after it has shown a certificate. Dropping it closes its connections.
#[derive(Debug)]
pub struct TlsReceiver {
    address: SocketAddr,
    requests: Arc<AtomicUsize>,
    handshakes: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Authority {
    /// Founds an authority.
    ///
    /// # Panics
    /// If `openssl` does not do as it is told.
    pub fn new() -> Self {
        let this = Self(TempDir::new().expect("a folder"));
        // No two have one name.
        let name = this.0.path().file_name().expect("a name").to_string_lossy().into_owned();
        this.openssl(&format!("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=authority-{name} -keyout ca.key -out ca.pem"));
        this
    }

    /// The certificate of the authority itself, in PEM.
    ///
    /// # Panics
    /// If it is gone.
    pub fn certificate(&self) -> Vec<u8> {
        fs::read(self.path("ca.pem")).expect("a certificate")
    }

    /// A new certificate for `name` and its key, in PEM.
    ///
    /// # Panics
    /// If `openssl` does not do as it is told.
    pub fn identity(&self, name: &str) -> (Vec<u8>, Vec<u8>) {
        self.certify(name, Flaw::None);
        let read = |file| fs::read(self.path(file)).expect("a file");
        (read("leaf.pem"), read("leaf.key"))
    }

    /// Starts a receiver with a certificate for `name`.
    ///
    /// # Panics
    /// If `openssl` does not do as it is told, or there is no free port.
    pub async fn receiver(&self, name: &str, flaw: Flaw) -> TlsReceiver {
        let key = self.path("leaf.key");
        let mut chain = self.certify(name, flaw);
        if flaw == Flaw::LongChain {
            let authority = CertificateDer::from_pem_slice(&self.certificate()).expect("a certificate");
            let count = 1024 * 1024 / authority.len() + 1;
            chain.extend(std::iter::repeat_n(authority, count));
        }
        let key = PrivateKeyDer::from_pem_file(key).expect("a key");
        let builder = server().with_no_client_auth();
        TlsReceiver::start(builder.with_single_cert(chain, key).expect("a certificate with its key")).await
    }

    /// Starts a receiver with a certificate for `name`, which asks for one that this authority has certified.
    ///
    /// # Panics
    /// If `openssl` does not do as it is told, or there is no free port.
    pub async fn receiver_that_asks(&self, name: &str) -> TlsReceiver {
        let chain = self.certify(name, Flaw::None);
        let key = PrivateKeyDer::from_pem_file(self.path("leaf.key")).expect("a key");
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&self.certificate()).expect("a certificate")).expect("an authority");
        let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider()));
        let builder = server().with_client_cert_verifier(clients.build().expect("a verifier"));
        TlsReceiver::start(builder.with_single_cert(chain, key).expect("a certificate with its key")).await
    }

    fn certify(&self, name: &str, flaw: Flaw) -> Vec<CertificateDer<'static>> {
        let extensions = format!("subjectAltName=DNS:{name}\nbasicConstraints=critical,CA:FALSE\n");
        fs::write(self.path("extensions"), extensions).expect("a file");
        self.openssl("req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=receiver -keyout leaf.key -out leaf.csr");
        let signer =
            if flaw == Flaw::SelfSigned { "-key leaf.key" } else { "-CA ca.pem -CAkey ca.key -CAcreateserial" };
        let days = if flaw == Flaw::Expired { -1 } else { 2 };
        let digest = if flaw == Flaw::Sha1 { "sha1" } else { "sha256" };
        self.openssl(&format!(
            "x509 -req -in leaf.csr {signer} -days {days} -{digest} -extfile extensions -out leaf.pem"
        ));
        vec![CertificateDer::from_pem_file(self.path("leaf.pem")).expect("a certificate")]
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        let made = Command::new("openssl").args(arguments.split(' ')).current_dir(self.0.path()).output();
        let made = made.expect("openssl is installed");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

fn server() -> ConfigBuilder<ServerConfig, WantsVerifier> {
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    builder.with_safe_default_protocol_versions().expect("versions of TLS")
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

impl TlsReceiver {
    async fn start(config: ServerConfig) -> Self {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let (requests, handshakes, mut serving) = (Arc::default(), Arc::default(), JoinSet::new());
        let counts = (Arc::clone(&requests), Arc::clone(&handshakes));
        serving.spawn(serve(socket, TlsAcceptor::from(Arc::new(config)), counts));
        Self { address, requests, handshakes, _serving: serving }
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// How many handshakes succeeded.
    pub fn handshakes(&self) -> usize {
        self.handshakes.load(Ordering::SeqCst)
    }

    /// How many requests came.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// How many requests came, and on how many connections.
type Counts = (Arc<AtomicUsize>, Arc<AtomicUsize>);

async fn serve(socket: TcpListener, acceptor: TlsAcceptor, counts: Counts) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Ok((stream, _)) = socket.accept() => {
                connections.spawn(converse(stream, acceptor.clone(), counts.clone()));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn converse(stream: TcpStream, acceptor: TlsAcceptor, (requests, handshakes): Counts) {
    // Who does not like the certificate goes.
    let Ok(stream) = acceptor.accept(stream).await else { return };
    handshakes.fetch_add(1, Ordering::SeqCst);
    let service = service_fn(|_| {
        requests.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, Infallible>(Response::new(axum::body::Body::empty())) }
    });
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}
