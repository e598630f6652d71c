//! The reader of changes: what any process changed becomes a notice in this one.
//!
//! Each change is an entry of a bounded stream and carries the revision that it made, one more than the
//! last. So a gap shows, whatever made it, and becomes [`Notice::Missed`]; so does every reconnect, but only
//! once the database is there again, because who forgets what it knows must be able to look it up.

use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::pattern::Pattern;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
use redis::{RedisError, cmd};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

use crate::store::{Notice, StoreError};

use super::endpoint::Endpoint;
use super::scripts::Scripts;
use super::side::Side;

/// How long one read waits at the server.
const WAIT: Duration = Duration::from_secs(2);
/// The most entries of one read.
const AT_ONCE: u32 = 500;
/// The pause before another try.
const PAUSE: Duration = Duration::from_millis(500);

/// Where in the changes a reader stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    revision: u64,
    entry: String,
}

/// The task that reads.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) side: Side,
    pub(super) scripts: std::sync::Arc<Scripts>,
    pub(super) endpoint: Endpoint,
    /// It does not keep the channel open.
    pub(super) notices: broadcast::WeakSender<Notice>,
}

impl Position {
    /// Where the changes stand now.
    pub(super) async fn last(side: &Side, scripts: &Scripts) -> Result<Self, StoreError> {
        let mut call = side.prepare(&scripts.position);
        call.key(side.key("changes"));
        let (revision, entry) = side.call(&call).await?;
        Ok(Self { revision, entry })
    }
}

impl Reader {
    /// Reads from `position` on until nobody can listen any more.
    pub(super) async fn run(self, mut position: Position) {
        loop {
            if let Err(error) = self.follow(&mut position).await {
                tracing::warn!(%error, "failed to read the changes of webhooks");
            }
            position = loop {
                sleep(PAUSE).await;
                match Position::last(&self.side, &self.scripts).await {
                    Ok(position) => break position,
                    Err(error) => tracing::debug!(%error, "the changes of webhooks cannot be read yet"),
                }
            };
            if !self.tell(Notice::Missed) {
                return;
            }
        }
    }

    /// Reads over one connection until it fails, or until it no longer leads to the changes.
    async fn follow(&self, position: &mut Position) -> Result<(), StoreError> {
        let failed = |error: RedisError| StoreError(error.to_string());
        let mut connection = self.endpoint.connect_to_wait(WAIT).await.map_err(failed)?;
        loop {
            let entries = self.read(&mut connection, position).await.map_err(failed)?;
            if entries.is_empty() {
                let now = Position::last(&self.side, &self.scripts).await?;
                if now != *position && !self.is_on_its_way(&mut connection, position).await.map_err(failed)? {
                    return Err(StoreError("changes are missing".to_owned()));
                }
            }
            for entry in entries {
                self.pass_on(&entry, position);
            }
        }
    }

    /// Whether there is something to read after all.
    async fn is_on_its_way(
        &self,
        connection: &mut MultiplexedConnection,
        position: &Position,
    ) -> Result<bool, RedisError> {
        let key = self.side.key("changes");
        let after = format!("({}", position.entry);
        let found: Vec<redis::Value> =
            cmd("XRANGE").arg(key).arg(after).arg("+").arg("COUNT").arg(1).query_async(connection).await?;
        Ok(!found.is_empty())
    }

    async fn read(
        &self,
        connection: &mut MultiplexedConnection,
        position: &Position,
    ) -> Result<Vec<StreamId>, RedisError> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(AT_ONCE).arg("BLOCK").arg(u64::try_from(WAIT.as_millis()).unwrap_or(1));
        read.arg("STREAMS").arg(self.side.key("changes")).arg(&position.entry);
        let late = |_| RedisError::from((redis::ErrorKind::Io, "no answer in time"));
        let limit = WAIT + self.endpoint.timeouts().response;
        let reply: Option<StreamReadReply> = timeout(limit, read.query_async(connection)).await.map_err(late)??;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    fn pass_on(&self, entry: &StreamId, position: &mut Position) {
        let revision: Option<u64> = entry.get("revision");
        let is_next = revision == Some(position.revision + 1);
        let notice = notice(entry).filter(|_| is_next).unwrap_or(Notice::Missed);
        position.entry.clone_from(&entry.id);
        position.revision = revision.unwrap_or(position.revision);
        self.side.see(position.revision);
        self.tell(notice);
    }

    /// Says whether anyone may still listen.
    fn tell(&self, notice: Notice) -> bool {
        let Some(sender) = self.notices.upgrade() else { return false };
        // It fails when nobody listens.
        drop(sender.send(notice));
        true
    }
}

fn notice(entry: &StreamId) -> Option<Notice> {
    let id = WebhookId::parse(&entry.get::<String>("webhook")?).ok()?;
    let patterns = entry.get::<String>("patterns")?;
    let patterns = patterns.lines().map(Pattern::parse).collect::<Result<_, _>>().ok()?;
    Some(Notice::Webhook { id, patterns })
}
