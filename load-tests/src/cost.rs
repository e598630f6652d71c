//! What a run costs the servers: messages in the broker, commands in Redis.

use dockbell_testkit::rabbitmq::Node;
use dockbell_testkit::redis::RedisServer;
use serde_json::Value;

/// What was counted so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cost {
    /// Messages that came onto the queues, and those that were handed out.
    pub(crate) published: u64,
    pub(crate) delivered: u64,
    /// Times that Redis read of a connection, and commands that it ran, those within scripts included.
    pub(crate) redis_reads: u64,
    pub(crate) redis_commands: u64,
}

impl Cost {
    /// What the servers have counted for the queues of a virtual host whose names hold `part`. The broker's counts
    /// are up to five seconds old.
    pub(crate) async fn of(node: &Node, host: &str, part: &str, redis: &RedisServer) -> Self {
        let queues = node.queues(host).await;
        let counts = |name: &str| {
            let is_meant =
                |queue: &&Value| queue.get("name").and_then(Value::as_str).is_some_and(|name| name.contains(part));
            let count = |queue: &Value| queue.pointer(&format!("/message_stats/{name}")).and_then(Value::as_u64);
            queues.iter().filter(is_meant).filter_map(count).sum()
        };
        let stats = redis.run(&["INFO", "stats"]).await;
        let stat = |name: &str| {
            let value = stats.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(':'));
            value.and_then(|value| value.parse().ok()).unwrap_or_default()
        };
        Self {
            published: counts("publish"),
            delivered: counts("deliver_get"),
            redis_reads: stat("total_reads_processed"),
            redis_commands: stat("total_commands_processed"),
        }
    }

    /// What was added since `earlier`.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            published: self.published.saturating_sub(earlier.published),
            delivered: self.delivered.saturating_sub(earlier.delivered),
            redis_reads: self.redis_reads.saturating_sub(earlier.redis_reads),
            redis_commands: self.redis_commands.saturating_sub(earlier.redis_commands),
        }
    }

    /// As text, for each of `events`.
    pub(crate) fn per(&self, events: usize) -> String {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let per = |count: u64| count as f64 / events.max(1) as f64;
        format!(
            "{:.1} messages published, {:.1} handed out, {:.1} reads and {:.1} commands of Redis per event",
            per(self.published),
            per(self.delivered),
            per(self.redis_reads),
            per(self.redis_commands)
        )
    }
}
