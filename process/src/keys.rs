//! The keys that seal the secrets of webhooks: the setting, and the file, which is followed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dockbell_backends::keyring::Keyring;
use dockbell_chassis::config::Reader;
use dockbell_chassis::lifecycle::{BoxError, Shutdown};
use tokio::time::{MissedTickBehavior, interval};

use crate::command::chain;

/// The setting that names the file.
pub const KEY_FILE: &str = "secrets.key_file";
/// The setting that does without one on servers.
const UNSEALED: &str = "secrets.unsealed";
/// How often the file is read again, so that a key is changed without a restart.
const READ_EVERY: Duration = Duration::from_secs(5);

/// The file of keys, if one is named. Where the store is on servers one must be, unless `secrets.unsealed` says otherwise.
pub fn key_file(reader: &mut Reader, is_on_servers: bool) -> Option<PathBuf> {
    let (file, is_unsealed) = (reader.text(KEY_FILE).map(PathBuf::from), reader.flag(UNSEALED, false));
    if is_unsealed && reader.is_given(KEY_FILE) {
        reader.reject(UNSEALED, format!("is of no use beside {KEY_FILE}: take one of them out"));
    } else if is_on_servers && !is_unsealed && !reader.is_given(KEY_FILE) {
        reader.reject(
            KEY_FILE,
            format!(
                "is missing: the secrets of webhooks are sealed in redis under a key of this file, which `dockbell secrets \
                 new-key` makes, and which is the same for every process; {UNSEALED} = true keeps them in redis as they are"
            ),
        );
    }
    file
}

/// Reads the file again from time to time, until `shutdown`. One that cannot be used is told once, and the keys stay as they
/// were.
pub(crate) async fn follow(keys: Arc<Keyring>, shutdown: Shutdown) -> Result<(), BoxError> {
    let mut ticks = interval(READ_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    loop {
        tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            _ = ticks.tick() => {}
        }
        let (reader, before) = (Arc::clone(&keys), keys.current());
        // A file system that hangs must hold up nobody, not even the end of the process.
        let reading = tokio::task::spawn_blocking(move || reader.read_again());
        let read = tokio::select! {
            biased;
            () = shutdown.requested() => return Ok(()),
            read = reading => read?,
        };
        let problem = read.err().map(|error| chain(&error));
        if problem != told {
            if let Some(problem) = &problem {
                tracing::warn!(problem, "the keys of before stay in use");
            } else {
                tracing::info!("the file of keys can be used again");
            }
            told = problem;
        }
        let now = keys.current();
        if now != before {
            tracing::info!(key = now, "another key seals secrets from now on");
        }
    }
}
