//! The keys under which the secrets of webhooks are sealed where they are kept.
//!
//! What is sealed is `sealed:<key>:<nonce and ciphertext in unpadded base64url>`, by XChaCha20-Poly1305 with a random nonce of
//! 24 bytes. Its associated data is the webhook and the field it belongs to, so that whoever may write to the database cannot have
//! the secret of one webhook sent to the receiver of another.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{Key as CipherKey, XChaCha20Poly1305, XNonce};
use dockbell_proto::ids::WebhookId;

/// What a sealed text begins with. No URL, key or secret of ours does.
const SEALED: &str = "sealed:";
/// The bytes of a nonce.
const NONCE: usize = 24;
/// The bytes of a key.
const KEY: usize = 32;
/// The longest name of a key, in bytes.
const NAME_LIMIT: usize = 32;

/// The keys of a file. The first one seals, each of them opens.
///
/// A line of the file is the name of a key, a blank, and 32 bytes in base64; empty lines and those that begin with `#` are
/// left out.
pub struct Keyring {
    file: Option<PathBuf>,
    keys: RwLock<Arc<[Key]>>,
}

struct Key {
    name: String,
    cipher: XChaCha20Poly1305,
}

/// Why a file of keys cannot be used. It shows nothing of the keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The file cannot be read.
    #[error("the file of keys {} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not one of a key.
    #[error("line {line} of the file of keys {}: {problem}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no key in it.
    #[error("the file of keys {} has no key: `dockbell secrets new-key` makes one", .0.display())]
    Empty(PathBuf),
}

impl Keyring {
    /// No key: nothing is sealed, and what is sealed cannot be opened.
    pub fn none() -> Self {
        Self { file: None, keys: RwLock::new(Arc::new([])) }
    }

    /// The keys of a file. It blocks.
    pub fn read(file: &Path) -> Result<Self, KeyringError> {
        let keys = read(file)?;
        Ok(Self { file: Some(file.to_owned()), keys: RwLock::new(keys) })
    }

    /// Reads the file again. If it cannot be used, the keys stay as they are. It blocks.
    pub fn read_again(&self) -> Result<(), KeyringError> {
        if let Some(file) = &self.file {
            let found = read(file)?;
            *self.keys.write().unwrap_or_else(PoisonError::into_inner) = found;
        }
        Ok(())
    }

    /// The name of the key that seals; none if there is no key.
    pub fn current(&self) -> Option<String> {
        self.keys().first().map(|key| key.name.clone())
    }

    /// Seals a text. Without a key it stays as it is.
    pub(crate) fn seal(&self, place: Place<'_>, text: &str) -> String {
        let keys = self.keys();
        let Some(key) = keys.first() else { return text.to_owned() };
        let nonce: [u8; NONCE] = rand::random();
        let payload = Payload { msg: text.as_bytes(), aad: &place.bytes() };
        let sealed = key.cipher.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.unwrap_or_else(|_| unreachable!("texts are shorter than 256 GiB"));
        let encoded = BASE64_URL_SAFE_NO_PAD.encode([&nonce[..], &sealed].concat());
        format!("{SEALED}{}:{encoded}", key.name)
    }

    /// Opens a text that was sealed for the same place. An error shows nothing of it.
    pub(crate) fn open(&self, place: Place<'_>, text: &str) -> Result<String, String> {
        let wrong = |problem: &str| format!("its {} is sealed, and {problem}", place.field);
        let Some((name, encoded)) = parts(text) else { return Ok(text.to_owned()) };
        let keys = self.keys();
        let Some(key) = keys.iter().find(|key| key.name == name) else {
            return Err(wrong(&format!("there is no key {name} in the file of keys")));
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(encoded).map_err(|_| wrong("is no base64"))?;
        let Some((nonce, sealed)) = bytes.split_first_chunk::<NONCE>() else { return Err(wrong("is too short")) };
        let payload = Payload { msg: sealed, aad: &place.bytes() };
        let opened = key.cipher.decrypt(&XNonce::from(*nonce), payload);
        let opened = opened.map_err(|_| wrong(&format!("key {name} does not open it, or it belongs elsewhere")))?;
        String::from_utf8(opened).map_err(|_| wrong("is no text"))
    }

    /// The name of the key that seals a text, if that is not here.
    pub(crate) fn lacks<'a>(&self, text: &'a str) -> Option<&'a str> {
        let (name, _) = parts(text)?;
        self.keys().iter().all(|key| *key.name != *name).then_some(name)
    }

    /// Whether a text is as [`Keyring::seal`] would leave it now.
    pub(crate) fn is_current(&self, text: &str) -> bool {
        self.keys().first().map(|key| &*key.name) == parts(text).map(|(name, _)| name)
    }

    fn keys(&self) -> Arc<[Key]> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is shown is the names.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = self.keys();
        let names: Vec<&str> = keys.iter().map(|key| &*key.name).collect();
        f.debug_struct("Keyring").field("file", &self.file).field("names", &names).finish_non_exhaustive()
    }
}

/// What a sealed text belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) webhook: &'a WebhookId,
    pub(crate) field: &'a str,
}

impl Place<'_> {
    fn bytes(self) -> Vec<u8> {
        format!("dockbell webhook {} {}", self.webhook, self.field).into_bytes()
    }
}

/// Whether a text is sealed.
pub(crate) fn is_sealed(text: &str) -> bool {
    parts(text).is_some()
}

/// The line of a new key, which has a name of its own.
pub fn new_key() -> String {
    let (name, key): (u32, [u8; KEY]) = (rand::random(), rand::random());
    format!("k{name:08x} {}", BASE64_STANDARD.encode(key))
}

/// The name of the key of a sealed text, and the rest of it; none if it is not sealed.
fn parts(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix(SEALED)?.split_once(':')
}

fn read(file: &Path) -> Result<Arc<[Key]>, KeyringError> {
    let unreadable = |source| KeyringError::Unreadable { file: file.to_owned(), source };
    let text = fs::read_to_string(file).map_err(unreadable)?;
    let (mut keys, mut names) = (Vec::new(), BTreeSet::new());
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |problem| KeyringError::Line { file: file.to_owned(), line: number, problem };
        let key = parse(line).map_err(wrong)?;
        if !names.insert(key.name.clone()) {
            return Err(wrong("its name is that of a key before it"));
        }
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(KeyringError::Empty(file.to_owned()));
    }
    Ok(keys.into())
}

fn parse(line: &str) -> Result<Key, &'static str> {
    let (name, key) = line.split_once(' ').ok_or("it must be the name of a key, a blank and the key")?;
    check_name(name)?;
    let bytes = BASE64_STANDARD.decode(key.trim()).map_err(|_| "the key is no base64")?;
    let bytes: [u8; KEY] = bytes.try_into().map_err(|_| "the key must have 32 bytes, in base64")?;
    Ok(Key { name: name.to_owned(), cipher: XChaCha20Poly1305::new(&CipherKey::from(bytes)) })
}

fn check_name(name: &str) -> Result<(), &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > NAME_LIMIT || !name.bytes().all(is_allowed) {
        return Err("the name of a key must be 1 to 32 letters, digits, `-` or `_`");
    }
    Ok(())
}
