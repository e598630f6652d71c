//! What the data folder keeps besides the store: tokens, and the key that seals secrets. All are made at the first start.

use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use dockbell_backends::keyring::new_key;
use dockbell_proto::secret::Secret;
use dockbell_proto::token::TokenHash;
use rand::Rng;

use crate::settings::AdminToken;

/// The file of the operator's token. It is there for the command line alone, and may be taken away.
pub(crate) const ADMIN_TOKEN: &str = "admin-token";
/// The file of its hash, by which the API knows it.
const ADMIN_TOKEN_HASH: &str = "admin-token.sha256";
/// The file of the secret that the default source presents.
pub(crate) const INGEST_TOKEN: &str = "ingest-token";

/// The file of the keys that seal secrets.
const KEYS: &str = "keys";

/// A file of the folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("use the file {path}")]
pub(crate) struct FolderError {
    path: PathBuf,
    source: io::Error,
}

/// The token that was set, else the one that `folder` keeps, else a new one, which it keeps from now on.
pub(crate) fn token(set: Option<Secret>, folder: &Path, name: &str, rng: &mut impl Rng) -> Result<Secret, FolderError> {
    if let Some(token) = set {
        return Ok(token);
    }
    let path = folder.join(name);
    let failed = |source| FolderError { path: path.clone(), source };
    if let Some(token) = kept(folder, name).map_err(failed)? {
        return Ok(token);
    }
    let mut random = [0; 32];
    rng.fill_bytes(&mut random);
    let token = format!("dbl_{}", base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, random));
    if make(&path, &token, rng).map_err(failed)? {
        return Ok(Secret::new(token));
    }
    // Another process was faster.
    kept(folder, name).and_then(|kept| kept.ok_or(io::ErrorKind::NotFound.into())).map_err(failed)
}

/// The hash of the operator's token: of the one that was set, else the one that `folder` keeps, else of the token there, which
/// is made if there is none.
pub(crate) fn admin_token(
    set: Option<&AdminToken>,
    folder: &Path,
    rng: &mut impl Rng,
) -> Result<TokenHash, FolderError> {
    if let Some(set) = set {
        return Ok(set.hash().clone());
    }
    let path = folder.join(ADMIN_TOKEN_HASH);
    let failed = |source| FolderError { path: path.clone(), source };
    let kept_hash = || -> io::Result<Option<TokenHash>> {
        let Some(text) = kept(folder, ADMIN_TOKEN_HASH)? else { return Ok(None) };
        TokenHash::parse(text.expose()).map(Some).map_err(io::Error::other)
    };
    if let Some(hash) = kept_hash().map_err(failed)? {
        return Ok(hash);
    }
    let hash = TokenHash::of(token(None, folder, ADMIN_TOKEN, rng)?.expose());
    if make(&path, &hash.to_string(), rng).map_err(failed)? {
        return Ok(hash);
    }
    // Another process was faster.
    kept_hash().and_then(|kept| kept.ok_or(io::ErrorKind::NotFound.into())).map_err(failed)
}

/// The file of keys that `folder` keeps, which is made with a key if there is none.
pub(crate) fn kept_keys(folder: &Path, rng: &mut impl Rng) -> Result<PathBuf, FolderError> {
    let path = folder.join(KEYS);
    let failed = |source| FolderError { path: path.clone(), source };
    if kept(folder, KEYS).map_err(failed)?.is_none() {
        make(&path, &new_key(), rng).map_err(failed)?;
    }
    Ok(path)
}

/// The token that `folder` keeps.
pub(crate) fn kept(folder: &Path, name: &str) -> io::Result<Option<Secret>> {
    match std::fs::read_to_string(folder.join(name)) {
        Ok(text) if !text.trim().is_empty() => Ok(Some(Secret::new(text.trim()))),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a new file aside and links it into place, so that no reader sees half of it. Says whether there was none.
fn make(path: &Path, line: &str, rng: &mut impl Rng) -> io::Result<bool> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    }
    let aside = path.with_extension(format!("{:016x}", rng.next_u64()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(file, "{line}")?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&aside, path);
    std::fs::remove_file(&aside)?;
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_readable_by_its_owner_alone() {
        let parent = tempfile::tempdir().unwrap();
        // Nobody else may have made it.
        let folder = parent.path().join("data");
        let folder = folder.as_path();
        let mut rng = StdRng::seed_from_u64(1);
        let first = token(None, folder, ADMIN_TOKEN, &mut rng).unwrap();
        assert_eq!(token(None, folder, ADMIN_TOKEN, &mut rng).unwrap(), first);
        let hash = admin_token(None, folder, &mut rng).unwrap();
        assert_eq!(hash, TokenHash::of(first.expose()));
        std::fs::remove_file(folder.join(ADMIN_TOKEN)).unwrap();
        assert_eq!(admin_token(None, folder, &mut rng).unwrap(), hash, "it is known without being kept");
        assert_eq!(token(Some(first.clone()), folder, ADMIN_TOKEN, &mut rng).unwrap(), first);
        let mode = std::fs::metadata(folder.join(ADMIN_TOKEN_HASH)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(token(None, folder, INGEST_TOKEN, &mut rng).unwrap(), first);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2, "nothing else is left");
        assert_eq!(token(Some(Secret::new("set")), folder, ADMIN_TOKEN, &mut rng).unwrap(), Secret::new("set"));
    }
}
