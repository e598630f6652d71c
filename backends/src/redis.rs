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
//! | `changes` | stream | `revision`, and `webhook` and `patterns`, or `standing`, of about the last 10,000 changes |
//! | `tokens` | hash | the token by its id, as JSON, with the hash of its text |
//! | `tokens-by-age` | sorted set | `<place>`: time made and id |
//! | `tokens-until` | sorted set | the ids of those that expire, by when they do |
//! | `audit` | sorted set | `<place> <change>` of the last 20,000 changes that people made |
//! | `repositories` | hash | when `<registry> <repository>` was first seen |
//!
//! In the database of counters, which may be the same, and whose loss only delays what follows from failures:
//!
//! | key | kind | holds |
//! |---|---|---|
//! | `settled:<attempt>` | string | `<expiry> <verdict>`, or `<until> @<holder>` while the attempt is under way |
//! | `gone:<webhook>` | string | tombstone: nothing is counted any more |
//! | `health:<webhook>` | hash | the counters, as `lua/health.lua` lists them |
//! | `waiting:<webhook>` | sorted set | its deliveries that wait, by the time at which they cannot any more |
//! | `trials:<webhook>` | sorted set | attempts that are under way while it is not healthy, by their expiry |
//! | `standings:<webhook>` | list | the changes of its standing, newest first |
//! | `newest:<webhook>` | hash | `<expiry> <order>` by `<registry> <repository> <tag>` |
//! | `newest-until:<webhook>` | sorted set | the fields of it by their expiry |
//! | `told:<webhook>` | hash | `<expiry> <sure from> <as of> <digest> <order>` of what was last told, by `<registry> <repository> <tag>` |
//! | `told-until:<webhook>` | sorted set | the fields of it by their expiry |
//! | `delivery:<delivery>` | hash | the delivery as it stood before its last attempt, and its attempts by `attempt:<request>.<ordinal>` |
//! | `history:<webhook>` | sorted set | the places of its deliveries |
//! | `history`, `retrying`, `dead`, … | sorted sets | the places of all deliveries, and of those in each state but `delivered` |
//! | `dead-mark:<position>.<time>` | string | `<expiry> <decision> <time>` of what was decided about a dead letter |
//! | `history-until` | sorted set | the places by the time of the last attempt |
//!
//! What expires carries the time at which it does by the clock of who wrote it, and is hidden from then on;
//! Redis itself forgets it later. Every script first asks the `marker` whether the database is still the
//! one that this process knows; where counters have a server of their own, only those of settings do. A marker
//! is made when a process reaches a database for the first time, and only if that has neither a marker nor
//! webhooks. A store that has found its database away stays away until the marker it knows is back; starting
//! a new one, as a process does that starts again, takes the database as it is.

mod access;
mod address;
mod callbacks;
mod claims;
mod config;
mod counters;
mod document;
mod endpoint;
mod entering;
mod history;
mod keeper;
mod kept;
mod link;
mod lots;
mod marker;
mod marks;
mod notices;
mod page;
mod park;
mod persistence;
mod record;
mod scripts;
mod side;
mod standing;
mod stats;
mod store;
mod told;
mod trouble;
mod values;
mod webhooks;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use dockbell_proto::clock::Clock;
use dockbell_proto::ids::WebhookId;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::keyring::Keyring;
use crate::store::claims::Claim;
use crate::store::{Notice, StoreError};
pub use config::{RedisConfig, RedisConfigError, RedisTimeouts};
pub use persistence::Persistence;
pub use stats::{RedisServerStats, RedisStats};

use counters::Counted;
use endpoint::Endpoint;
use keeper::Keeper;
use link::Link;
use lots::Lots;
use marker::Marker;
use notices::Reader;
use scripts::Scripts;
use side::Side;
use trouble::Troubles;
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
    keys: Arc<Keyring>,
    clock: Arc<dyn Clock>,
    records: Lots<entering::Told, record::Answer>,
    claims: Lots<Claim, String>,
    persistence: watch::Sender<Persistence>,
    troubles: Arc<Troubles>,
    /// None once closed, so that those who listen learn of it.
    notices: Mutex<Option<broadcast::Sender<Notice>>>,
    tasks: Mutex<JoinSet<()>>,
}

impl RedisConfig {
    /// Whether a store can work as this says, as far as that is known without a server.
    pub fn check(&self) -> Result<(), RedisConfigError> {
        read(self).map(drop)
    }
}

/// The beginning of all keys, and where settings and counters are.
fn read(config: &RedisConfig) -> Result<(Arc<str>, Endpoint, Endpoint), RedisConfigError> {
    let base: Arc<str> = base(&config.prefix)?.into();
    let settings = Endpoint::parse("the URL of settings", config.settings_url.expose(), &base, config)?;
    let counters = Endpoint::parse("the URL of counters", config.counters_url.expose(), &base, config)?;
    Ok((base, settings, counters))
}

impl RedisStore {
    /// Connects in the background, for ever, and must be called within a runtime. Calls fail until the
    /// database is reached, which is known again from then on: what is flushed, replaced or set back
    /// afterwards is away for this store. `clock` tells when what is kept for a time expires. Secrets are kept as they are.
    pub fn start(config: &RedisConfig, clock: Arc<dyn Clock>) -> Result<Self, RedisConfigError> {
        Self::start_sealed(config, clock, Arc::new(Keyring::none()))
    }

    /// The same with `keys`, which seal secrets.
    pub fn start_sealed(
        config: &RedisConfig,
        clock: Arc<dyn Clock>,
        keys: Arc<Keyring>,
    ) -> Result<Self, RedisConfigError> {
        let (base, endpoint, counting) = read(config)?;
        let mut tasks = Tasks::default();
        let is_one = config.settings_url == config.counters_url;
        let kept = if is_one { "settings and counters" } else { "settings" };
        let marker = Some(Arc::new(Marker::new(config.accepts_empty)));
        let settings = tasks.keep(kept, endpoint.clone(), &base, marker);
        let counters = if is_one { settings.clone() } else { tasks.keep("counters", counting, &base, None) };
        let counted = (&counters, &clock);
        let records = tasks.serve(counted, |counting, lot| async move { counting.counted().record(&lot).await });
        let claims = tasks.serve(counted, |counting, lot| async move { counting.counted().claim(&lot).await });
        let sender = broadcast::Sender::new(NOTICES_LIMIT);
        tasks.read(settings.clone(), endpoint, sender.downgrade());
        let Tasks { all, scripts, troubles, persistence } = tasks;
        let (notices, tasks) = (Mutex::new(Some(sender)), Mutex::new(all));
        Ok(Self { settings, counters, scripts, keys, clock, records, claims, persistence, troubles, notices, tasks })
    }

    /// Why the store does not work, or not all of it, with the server and what can be done; none while both
    /// servers are connected and the database of settings is the one that is known.
    pub fn trouble(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.troubles.watch()
    }

    /// Whether the server of settings said at the latest connecting that it keeps them when it restarts.
    pub fn persistence(&self) -> Persistence {
        *self.persistence.borrow()
    }

    /// What was counted of the servers so far.
    pub fn stats(&self) -> RedisStats {
        let (settings, counters) = (&self.settings.link, &self.counters.link);
        let counters = (!Arc::ptr_eq(settings, counters)).then(|| counters.stats());
        RedisStats { settings: settings.stats(), counters }
    }

    /// Ends the tasks and waits for them. Those who listen for changes learn that there will be none; other
    /// calls fail.
    pub async fn close(&self) {
        self.notices().take();
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        for side in [&self.settings, &self.counters] {
            side.link.stay_down("the store is closed");
        }
    }

    fn webhooks(&self) -> Webhooks<'_> {
        Webhooks { side: &self.settings, scripts: &self.scripts, keys: &self.keys }
    }

    /// Tells the others that a standing changed. They look it up themselves if this fails, a little later; so what
    /// was counted has not failed. It takes as long as an answer may, at most.
    async fn tell_standing(&self, webhook: &WebhookId) {
        if let Err(error) = self.webhooks().tell_standing(webhook).await {
            tracing::debug!(webhook.id = %webhook, %error, "a change of standing was not told");
        }
    }

    fn counted(&self) -> Counted<'_> {
        Counted { side: &self.counters, scripts: &self.scripts, now: self.clock.now() }
    }

    fn notices(&self) -> MutexGuard<'_, Option<broadcast::Sender<Notice>>> {
        self.notices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where lots are counted, for tasks.
#[derive(Debug, Clone)]
struct Counting {
    side: Side,
    scripts: Arc<Scripts>,
    clock: Arc<dyn Clock>,
}

impl Counting {
    fn counted(&self) -> Counted<'_> {
        Counted { side: &self.side, scripts: &self.scripts, now: self.clock.now() }
    }
}

/// The tasks of a store, and what they share with it.
#[derive(Default)]
struct Tasks {
    all: JoinSet<()>,
    scripts: Arc<Scripts>,
    troubles: Arc<Troubles>,
    persistence: watch::Sender<Persistence>,
}

impl Tasks {
    /// Begins to keep a connection to the server of what is `kept` there.
    fn keep(&mut self, kept: &str, endpoint: Endpoint, base: &Arc<str>, marker: Option<Arc<Marker>>) -> Side {
        let (server, response) = (format!("{kept} on redis at {endpoint}"), endpoint.timeouts().response);
        let link = Arc::new(Link::new(server, response, Arc::clone(&self.troubles)));
        let side = Side { link, base: Arc::clone(base), marker };
        let (scripts, persistence) = (Arc::clone(&self.scripts), self.persistence.clone());
        let keeper = Keeper { side: side.clone(), scripts, endpoint, persistence };
        self.all.spawn(keeper.run().instrument(tracing::info_span!("redis.link")));
        side
    }

    /// Begins to make calls of lots.
    fn serve<T: Send + 'static, A: Send + 'static, F>(
        &mut self,
        (side, clock): (&Side, &Arc<dyn Clock>),
        call: impl Fn(Counting, Vec<T>) -> F + Copy + Send + 'static,
    ) -> Lots<T, A>
    where
        F: Future<Output = Result<Vec<A>, StoreError>> + Send + 'static,
    {
        let (lots, waiting) = Lots::new();
        let counting = Counting { side: side.clone(), scripts: Arc::clone(&self.scripts), clock: Arc::clone(clock) };
        for _ in 0..lots::PLACES {
            let counting = counting.clone();
            self.all.spawn(lots::serve(Arc::clone(&waiting), move |lot| call(counting.clone(), lot)));
        }
        lots
    }

    /// Begins to read changes.
    fn read(&mut self, side: Side, endpoint: Endpoint, notices: broadcast::WeakSender<Notice>) {
        let reader = Reader { side, scripts: Arc::clone(&self.scripts), endpoint, notices };
        self.all.spawn(reader.run().instrument(tracing::info_span!("redis.changes")));
    }
}

fn base(prefix: &str) -> Result<String, RedisConfigError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if prefix.is_empty() || !prefix.bytes().all(allowed) {
        let problem = "the prefix of keys must consist of letters, digits, `-` and `_`";
        return Err(RedisConfigError(problem.to_owned()));
    }
    Ok(format!("{{{prefix}}}:"))
}
