//! The reader of changes: what any process changed becomes a notice in this one.
//!
//! Each change is an entry of a bounded stream and carries the revision that it made, one more than the
//! last; a change of a standing makes none, and carries the one that it found. So a gap shows, whatever made it, and becomes [`Notice::Missed`]; so does every connecting, but only
//! once the database is there, because who forgets what it knows must be able to look it up.

use std::time::Duration;

use dockbell_proto::ids::WebhookId;
use dockbell_proto::pattern::Pattern;
use redis::aio::MultiplexedConnection;
use redis::streams::{StreamId, StreamReadReply};
use redis::{FromRedisValue, ParsingError, RedisError, ScriptInvocation, Value, cmd};
use tokio::sync::broadcast;
use tokio::time::{sleep, timeout};

use crate::store::{Notice, StoreError};

use super::endpoint::{Endpoint, late};
use super::link::State;
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
    /// The question where the changes stand now.
    pub(super) fn question<'a>(side: &Side, scripts: &'a Scripts) -> Result<ScriptInvocation<'a>, StoreError> {
        let mut call = side.prepare(&scripts.position)?;
        call.key(side.key("changes"));
        Ok(call)
    }
}

impl FromRedisValue for Position {
    fn from_redis_value(answer: Value) -> Result<Self, ParsingError> {
        let (revision, entry) = redis::from_redis_value(answer)?;
        Ok(Self { revision, entry })
    }
}

impl Reader {
    /// Reads until nobody can listen any more.
    pub(super) async fn run(self) {
        let mut link = self.side.link.state();
        loop {
            // Neither wait can fail: the sender is ours.
            drop(link.wait_for(State::is_up).await);
            let followed = tokio::select! {
                followed = self.follow() => followed,
                // Calls may go to another server now, and this connection still to the old one.
                _ = link.changed() => continue,
            };
            match followed {
                Ok(()) => return,
                Err(error) => tracing::debug!(%error, "the changes of webhooks cannot be read"),
            }
            sleep(PAUSE).await;
        }
    }

    /// Reads over one connection until it fails, or until it no longer leads to the changes. Changes were
    /// missed before it begins.
    async fn follow(&self) -> Result<(), StoreError> {
        let failed = |error: RedisError| StoreError(error.to_string());
        let mut connection = self.endpoint.connect_to_wait(WAIT).await.map_err(failed)?;
        let mut position = self.position(&mut connection).await?;
        let mut is_heard = self.tell(Notice::Missed);
        while is_heard {
            let entries = self.read(&mut connection, &position).await.map_err(failed)?;
            if entries.is_empty() {
                let now = self.position(&mut connection).await?;
                if now != position && !self.is_on_its_way(&mut connection, &position).await.map_err(failed)? {
                    return Err(StoreError("changes are missing".to_owned()));
                }
            }
            for entry in entries {
                is_heard = self.pass_on(&entry, &mut position);
            }
        }
        Ok(())
    }

    async fn position(&self, connection: &mut MultiplexedConnection) -> Result<Position, StoreError> {
        let question = Position::question(&self.side, &self.scripts)?;
        self.within(Duration::ZERO, question.invoke_async(connection))
            .await
            .map_err(|error| StoreError(error.to_string()))
    }

    /// The answer, if it comes within the time-out and what the server was asked to wait.
    async fn within<T>(
        &self,
        waiting: Duration,
        answer: impl Future<Output = Result<T, RedisError>>,
    ) -> Result<T, RedisError> {
        timeout(waiting + self.endpoint.timeouts().response, answer).await.map_err(late)?
    }

    /// Whether there is something to read after all.
    async fn is_on_its_way(
        &self,
        connection: &mut MultiplexedConnection,
        position: &Position,
    ) -> Result<bool, RedisError> {
        let key = self.side.key("changes");
        let after = format!("({}", position.entry);
        let mut range = cmd("XRANGE");
        range.arg(key).arg(after).arg("+").arg("COUNT").arg(1);
        let found: Vec<Value> = self.within(Duration::ZERO, range.query_async(connection)).await?;
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
        let reply: Option<StreamReadReply> = self.within(WAIT, read.query_async(connection)).await?;
        Ok(reply.into_iter().flat_map(|reply| reply.keys).flat_map(|key| key.ids).collect())
    }

    /// Says whether anyone may still listen.
    fn pass_on(&self, entry: &StreamId, position: &mut Position) -> bool {
        let revision: Option<u64> = entry.get("revision");
        let notice = match (standing(entry), notice(entry)) {
            (Some(standing), _) if revision == Some(position.revision) => standing,
            (None, Some(notice)) if revision == Some(position.revision + 1) => notice,
            _ => Notice::Missed,
        };
        position.entry.clone_from(&entry.id);
        position.revision = revision.unwrap_or(position.revision);
        self.side.see(position.revision);
        self.tell(notice)
    }

    /// Says whether anyone may still listen.
    fn tell(&self, notice: Notice) -> bool {
        let Some(sender) = self.notices.upgrade() else { return false };
        // It fails when nobody listens.
        drop(sender.send(notice));
        true
    }
}

fn standing(entry: &StreamId) -> Option<Notice> {
    WebhookId::parse(&entry.get::<String>("standing")?).ok().map(|id| Notice::Standing { id })
}

fn notice(entry: &StreamId) -> Option<Notice> {
    let id = WebhookId::parse(&entry.get::<String>("webhook")?).ok()?;
    let patterns = entry.get::<String>("patterns")?;
    let patterns = patterns.lines().map(Pattern::parse).collect::<Result<_, _>>().ok()?;
    Some(Notice::Webhook { id, patterns })
}
