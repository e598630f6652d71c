//! The store for many processes: settings and counters on Redis.
//!
//! All keys are `{prefix}:<name>`. The braces put them into one slot of a cluster, on purpose: every script
//! is then atomic over all it touches, lists over all webhooks stay exact, and a delivery is found by its
//! id alone. What one primary does in a second is far more than deliverers ask of it.
//!
//! In the database of settings, which must be persistent:
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `marker` | hash | `generation` and `revision`, by which the database is known again |
//! | `webhooks` | hash | the webhook by its id, as JSON |
//! | `webhooks-by-age` | sorted set | `<place>`: time made and id |
//! | `webhooks-by-pattern` | sorted set | `<pattern>\n<place>` |
//! | `removed` | sorted set | tombstones: the id by the time of its removal |
//! | `changes` | stream | `revision`, `webhook`, `patterns` of about the last 10,000 changes |
//! | `repositories` | hash | when `<registry> <repository>` was first seen |
//!
//! In the database of counters, which may be the same, and whose loss only delays what follows from failures:
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `settled:<attempt>` | string | `<expiry> <verdict>` |
//! | `gone:<webhook>` | string | tombstone: nothing is counted any more |
//! | `health:<webhook>` | hash | `failures`, `since`, `succeeded` |
//! | `newest:<webhook>` | hash | `<expiry> <order>` by `<registry> <repository> <tag>` |
//! | `newest-until:<webhook>` | sorted set | the fields of it by their expiry |
//! | `delivery:<delivery>` | hash | the delivery as it stood before its last attempt |
//! | `attempts:<delivery>` | hash | its attempts by `<request>.<ordinal>` |
//! | `history:<webhook>` | sorted set | the places of its deliveries |
//! | `history`, `delivered`, `retrying`, `dead` | sorted sets | the places of all deliveries, and of those in a state |
//! | `history-until` | sorted set | the places by the time of the last attempt |
//!
//! What expires carries the time at which it does by the clock of who wrote it, and is hidden from then on;
//! Redis itself forgets it later. Every script first asks the `marker` whether the database is still the
//! one that was opened; where counters have a server of their own, only those of settings do. A marker is
//! made by [`RedisStore::open`] alone, and only in a database that has neither a marker nor webhooks. A store
//! that has found its database away stays away until the marker it knows is back; opening a new one, as a
//! process does that starts again, takes the database as it is.

mod address;
mod config;
mod counters;
mod document;
mod endpoint;
mod history;
mod link;
mod marker;
mod notices;
mod page;
mod persistence;
mod record;
mod scripts;
mod side;
mod store;
mod values;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockbell_proto::clock::Clock;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::store::{Notice, StoreError};
pub use config::{RedisConfig, RedisOpenError, RedisTimeouts};
pub use persistence::Persistence;

use counters::Counted;
use endpoint::Endpoint;
use link::Link;
use marker::Marker;
use notices::{Position, Reader};
use scripts::Scripts;
use side::Side;
use webhooks::Webhooks;

/// The most notices of changes that a slow reader may be behind; then it looks everything up again.
const NOTICES_LIMIT: usize = 1024;

/// Settings and counters on Redis.
///
/// Dropping it ends its tasks and closes its connections.
#[derive(Debug)]
pub struct RedisStore {
    settings: Side,
    counters: Side,
    scripts: Arc<Scripts>,
    clock: Arc<dyn Clock>,
    persistence: Persistence,
    /// None once closed, so that those who listen learn of it.
    notices: Mutex<Option<broadcast::Sender<Notice>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl RedisStore {
    /// Connects, and knows the database again from now on: what is flushed, replaced or set back afterwards
    /// is away for this store. `clock` tells when what is kept for a time expires.
    pub async fn open(config: &RedisConfig, clock: Arc<dyn Clock>) -> Result<Self, RedisOpenError> {
        let base: Arc<str> = base(&config.prefix)?.into();
        let endpoint = Endpoint::parse("the URL of settings", config.settings_url.expose(), &base, config)?;
        let counting = Endpoint::parse("the URL of counters", config.counters_url.expose(), &base, config)?;
        let (mut tasks, scripts) = (JoinSet::new(), Arc::new(Scripts::new()));
        let link = connect(&mut tasks, &endpoint).await?;
        let unmarked = Side { link, base: Arc::clone(&base), marker: None };
        let marker = Arc::new(claim(&unmarked, &scripts).await?);
        let settings = Side { marker: Some(marker), ..unmarked };
        let counters = if config.settings_url == config.counters_url {
            settings.clone()
        } else {
            Side { link: connect(&mut tasks, &counting).await?, base, marker: None }
        };
        let persistence = Persistence::ask(&settings.link).await;
        let sender = broadcast::Sender::new(NOTICES_LIMIT);
        let position = Position::last(&settings, &scripts).await?;
        let (notices, of_reader) = (sender.downgrade(), (settings.clone(), Arc::clone(&scripts)));
        let reader = Reader { side: of_reader.0, scripts: of_reader.1, endpoint, notices };
        tasks.spawn(reader.run(position).instrument(tracing::info_span!("redis.changes")));
        let (notices, tasks) = (Mutex::new(Some(sender)), Mutex::new(tasks));
        Ok(Self { settings, counters, scripts, clock, persistence, notices, tasks })
    }

    /// Whether the server of settings said at the opening that it keeps them when it restarts.
    pub fn persistence(&self) -> Persistence {
        self.persistence
    }

    /// Ends the tasks and waits for them. Those who listen for changes learn that there will be none; other
    /// calls fail.
    pub async fn close(&self) {
        self.notices().take();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        for side in [&self.settings, &self.counters] {
            side.link.close();
        }
    }

    fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { side: &self.settings, scripts: &self.scripts }
    }

    fn counted(&self) -> Counted<'_> {
        Counted { side: &self.counters, scripts: &self.scripts, now: self.clock.now() }
    }

    fn notices(&self) -> MutexGuard<'_, Option<broadcast::Sender<Notice>>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<StoreError> for RedisOpenError {
    fn from(StoreError(why): StoreError) -> Self {
        Self::Away(why)
    }
}

fn base(prefix: &str) -> Result<String, RedisOpenError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if prefix.is_empty() || !prefix.bytes().all(allowed) {
        let problem = "the prefix of keys must consist of letters, digits, `-` and `_`";
        return Err(RedisOpenError::Config(problem.to_owned()));
    }
    Ok(format!("{{{prefix}}}:"))
}

async fn connect(tasks: &mut JoinSet<()>, endpoint: &Endpoint) -> Result<Arc<Link>, RedisOpenError> {
    let timeouts = endpoint.timeouts();
    let link = Arc::new(Link::new(timeouts.response));
    tasks.spawn(Arc::clone(&link).keep(endpoint.clone()).instrument(tracing::info_span!("redis.link")));
    link.up(timeouts.connect + timeouts.response).await.map_err(RedisOpenError::Away)?;
    Ok(link)
}

/// Reads the marker, which is made if the database is new.
async fn claim(side: &Side, scripts: &Scripts) -> Result<Marker, StoreError> {
    let mut call = scripts.claim.prepare_invoke();
    for name in ["marker", "webhooks"] {
        call.key(side.key(name));
    }
    let (generation, revision) = side.call(&call).await?;
    Ok(Marker::new(generation, revision))
}
