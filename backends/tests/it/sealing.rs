//! Secrets at rest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use dockbell_backends::embedded::{Embedded, EmbeddedLimits};
use dockbell_backends::keyring::{Keyring, new_key};
use dockbell_backends::store::Store;
use dockbell_proto::proof::{Authorization, Proofs};
use dockbell_proto::secret::Secret;
use dockbell_proto::tls::{ClientCertificate, TargetTls};
use dockbell_proto::webhook::{Format, Webhook};
use dockbell_testkit::redis::RedisServer;
use dockbell_testkit::sample;
use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use crate::harness::clock;
use crate::redis_harness::{config, open, started_with};

/// A file of keys, the first of which seals.
struct KeyFile {
    file: NamedTempFile,
    keys: Arc<Keyring>,
}

impl KeyFile {
    fn new() -> Self {
        let file = NamedTempFile::new().unwrap();
        fs::write(file.path(), format!("# made for a test\n\n{}\n", new_key())).unwrap();
        let keys = Arc::new(Keyring::read(file.path()).unwrap());
        Self { file, keys }
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.file.path()).unwrap().lines().map(str::to_owned).collect()
    }

    fn write(&self, lines: &[String]) {
        fs::write(self.file.path(), lines.join("\n")).unwrap();
        self.keys.read_again().unwrap();
    }

    /// A new key before the others.
    fn rotate(&self) {
        let mut lines = self.lines();
        lines.insert(0, new_key());
        self.write(&lines);
    }

    /// The first key alone.
    fn forget_the_others(&self) {
        self.write(&self.lines()[..1]);
    }
}

/// A webhook with a canary in every secret that is a text of its owner.
fn webhook(number: u8) -> Webhook {
    let basic = Authorization::basic("user", "canary-password").unwrap();
    let headers = BTreeMap::from([("x-own".to_owned(), Secret::new("canary-header"))]);
    let proofs = Proofs { authorization: Some(basic), ..sample::every_proof() };
    let webhook =
        sample::webhook(number, "team/app", Format::Batch, "https://receiver.test/canary-path?t=canary-query");
    let client = ClientCertificate { chain: "a certificate".to_owned(), key: Secret::new("canary-key") };
    let tls = TargetTls { client: Some(client), ..TargetTls::default() };
    Webhook { headers, proofs, tls, ..webhook }
}

/// What somebody does to a document who may write to the database.
type Forge<'a> = Box<dyn Fn(&mut Value) + 'a>;

/// What must not be found where secrets are sealed.
fn canaries(webhook: &Webhook) -> Vec<String> {
    let mut canaries: Vec<_> =
        ["path", "query", "header", "password", "key"].map(|what| format!("canary-{what}")).into();
    let key = |text: String| text.rsplit('_').next().unwrap().to_owned();
    canaries.push(key(webhook.proofs.secret.current.expose()));
    canaries.extend(webhook.proofs.secret.older.iter().map(|older| key(older.key.expose())));
    let keys = webhook.proofs.key.as_ref().unwrap();
    canaries.push(key(keys.current.expose()));
    canaries.extend(keys.older.iter().map(|older| key(older.key.expose())));
    assert_eq!(canaries.len(), 9);
    canaries
}

fn found_in(bytes: &[u8], canaries: &[String]) -> Vec<String> {
    let is_in = |canary: &&String| bytes.windows(canary.len()).any(|window| window == canary.as_bytes());
    canaries.iter().filter(is_in).cloned().collect()
}

fn everything_in(folder: &Path) -> Vec<u8> {
    fs::read_dir(folder).unwrap().flat_map(|entry| fs::read(entry.unwrap().path()).unwrap()).collect()
}

fn opened(folder: &Path, keys: &Arc<Keyring>) -> Embedded {
    Embedded::open_sealed(folder, clock(), EmbeddedLimits::default(), Arc::clone(keys)).unwrap()
}

async fn document(server: &RedisServer, webhook: &Webhook) -> Value {
    let text = server.run(&["HGET", "{dockbell}:webhooks", webhook.id.as_str()]).await;
    serde_json::from_str(&text).unwrap()
}

async fn overwrite(server: &RedisServer, webhook: &Webhook, document: &Value) {
    server.run(&["HSET", "{dockbell}:webhooks", webhook.id.as_str(), &document.to_string()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_the_data_folder() {
    let (folder, file, put) = (TempDir::new().unwrap(), KeyFile::new(), webhook(1));
    let store = opened(folder.path(), &file.keys);
    store.put_webhook(&put).await.unwrap();
    assert_eq!(found_in(&everything_in(folder.path()), &canaries(&put)), Vec::<String>::new());
    store.close().await;
    assert_eq!(found_in(&everything_in(folder.path()), &canaries(&put)), Vec::<String>::new());
    let store = opened(folder.path(), &file.keys);
    assert_eq!(store.webhook(&put.id).await, Ok(Some(put.clone())));
    assert_eq!(store.webhooks_on(&put.pattern).await, Ok(vec![put.clone()]));
    store.close().await;
    // The look itself finds what is not sealed.
    let bare = TempDir::new().unwrap();
    let store = opened(bare.path(), &Arc::new(Keyring::none()));
    store.put_webhook(&put).await.unwrap();
    store.close().await;
    assert_eq!(found_in(&everything_in(bare.path()), &canaries(&put)), canaries(&put));
}

/// It would be of no use, and what is sealed must not be taken for lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_data_folder_whose_key_is_lost_is_refused_by_the_name_of_the_key() {
    let (folder, file) = (TempDir::new().unwrap(), KeyFile::new());
    let store = opened(folder.path(), &file.keys);
    store.put_webhook(&webhook(1)).await.unwrap();
    file.rotate();
    store.put_webhook(&webhook(2)).await.unwrap();
    store.close().await;
    let lines = file.lines();
    file.forget_the_others();
    let open = |keys: &Arc<Keyring>| {
        Embedded::open_sealed(folder.path(), clock(), EmbeddedLimits::default(), Arc::clone(keys))
    };
    let name = lines.last().unwrap().split_once(' ').unwrap().0;
    let error = open(&file.keys).unwrap_err().to_string();
    assert!(error.contains(&format!("under the key {name},")), "{error}");
    assert!(open(&Arc::new(Keyring::none())).is_err());
    file.write(&lines);
    let store = open(&file.keys).unwrap();
    assert_eq!(store.webhook(&webhook(1).id).await, Ok(Some(webhook(1))));
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_stands_in_redis() {
    let (server, file, put) = (RedisServer::start().await, KeyFile::new(), webhook(1));
    let store = started_with(&config(&server), clock(), Arc::clone(&file.keys)).await;
    store.put_webhook(&put).await.unwrap();
    let kept = document(&server, &put).await.to_string();
    assert_eq!(found_in(kept.as_bytes(), &canaries(&put)), Vec::<String>::new());
    assert_eq!(store.webhook(&put.id).await, Ok(Some(put.clone())));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_before_there_was_a_key_is_read_and_then_sealed() {
    let (server, file, put) = (RedisServer::start().await, KeyFile::new(), webhook(1));
    open(&server).await.put_webhook(&put).await.unwrap();
    assert_eq!(found_in(document(&server, &put).await.to_string().as_bytes(), &canaries(&put)), canaries(&put));
    let store = started_with(&config(&server), clock(), Arc::clone(&file.keys)).await;
    assert_eq!(store.webhook(&put.id).await, Ok(Some(put.clone())));
    assert_eq!(store.reseal(&put.id).await, Ok(true));
    assert_eq!(store.reseal(&put.id).await, Ok(false));
    assert_eq!(found_in(document(&server, &put).await.to_string().as_bytes(), &canaries(&put)), Vec::<String>::new());
    assert_eq!(store.webhook(&put.id).await, Ok(Some(put)));
}

/// The steps of a rotation, in both stores: at none of them a webhook cannot be read.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_rotated_while_everything_goes_on() {
    let (server, folder, file, put) = (RedisServer::start().await, TempDir::new().unwrap(), KeyFile::new(), webhook(1));
    let on_redis: Arc<dyn Store> = Arc::new(started_with(&config(&server), clock(), Arc::clone(&file.keys)).await);
    let embedded: Arc<dyn Store> = Arc::new(opened(folder.path(), &file.keys));
    for store in [&on_redis, &embedded] {
        store.put_webhook(&put).await.unwrap();
    }
    let before = file.keys.current();
    file.rotate();
    assert_ne!(file.keys.current(), before);
    for store in [&on_redis, &embedded] {
        assert_eq!(store.webhook(&put.id).await, Ok(Some(put.clone())));
        assert_eq!(store.reseal(&put.id).await, Ok(true));
        assert_eq!(store.reseal(&put.id).await, Ok(false));
    }
    file.forget_the_others();
    for store in [&on_redis, &embedded] {
        assert_eq!(store.webhook(&put.id).await, Ok(Some(put.clone())));
    }
    // Without its key it is away, and not gone.
    file.rotate();
    file.forget_the_others();
    for store in [&on_redis, &embedded] {
        let error = store.webhook(&put.id).await.unwrap_err().to_string();
        assert!(error.contains("there is no key k") && error.contains(put.id.as_str()), "{error}");
        assert_eq!(found_in(error.as_bytes(), &canaries(&put)), Vec::<String>::new());
    }
}

/// Whoever may write to the database cannot have the secrets of a webhook sent where he likes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_secret_is_of_one_webhook_and_one_field() {
    let (server, file) = (RedisServer::start().await, KeyFile::new());
    let (rich, own) = (webhook(1), webhook(2));
    let store = started_with(&config(&server), clock(), Arc::clone(&file.keys)).await;
    for put in [&rich, &own] {
        store.put_webhook(put).await.unwrap();
    }
    let (of_rich, of_own) = (document(&server, &rich).await, document(&server, &own).await);
    let forged: [(&str, Forge<'_>); 6] = [
        ("belongs elsewhere", Box::new(|document| document["headers"] = of_rich["headers"].clone())),
        ("belongs elsewhere", Box::new(|document| document["url"] = of_rich["url"].clone())),
        ("belongs elsewhere", Box::new(|document| document["headers"]["x-own"] = of_own["secret"].clone())),
        ("belongs elsewhere", Box::new(|document| document["tls"] = of_rich["tls"].clone())),
        (
            "belongs elsewhere",
            Box::new(|document| document["headers"]["x-own"] = of_own["tls"]["client"]["key"].clone()),
        ),
        ("some are not", Box::new(|document| document["url"] = "https://elsewhere.test/".into())),
    ];
    for (said, forge) in forged {
        let mut document = of_own.clone();
        forge(&mut document);
        overwrite(&server, &own, &document).await;
        let error = store.webhook(&own.id).await.unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    overwrite(&server, &own, &of_own).await;
    assert_eq!(store.webhook(&own.id).await, Ok(Some(own)));
}

#[test]
fn a_file_of_keys_that_cannot_be_used_is_refused_by_the_line_and_shows_no_key() {
    let file = NamedTempFile::new().unwrap();
    let key = new_key();
    let (name, bytes) = key.split_once(' ').unwrap();
    let short = bytes.get(4..).unwrap();
    for (text, said) in [
        (String::new(), "has no key"),
        ("# nothing\n".to_owned(), "has no key"),
        (format!("# one\n{bytes}\n"), "line 2 "),
        (format!("{name} {short}"), "32 bytes"),
        (format!("{name} {bytes}!"), "no base64"),
        (format!("{name}:1 {bytes}"), "the name of a key"),
        (format!("{key}\n{key}\n"), "line 2 "),
    ] {
        fs::write(file.path(), text).unwrap();
        let error = Keyring::read(file.path()).unwrap_err().to_string();
        assert!(error.contains(said) && !error.contains(short), "{error}");
    }
    fs::write(file.path(), &key).unwrap();
    let keys = Keyring::read(file.path()).unwrap();
    fs::write(file.path(), "broken").unwrap();
    assert!(keys.read_again().is_err());
    assert_eq!(keys.current().as_deref(), Some(name), "the keys of before stay");
    assert!(!format!("{keys:?}").contains(short), "{keys:?}");
}
