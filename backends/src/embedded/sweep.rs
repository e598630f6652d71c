//! The sweep: removes in bounded steps what has expired, which reads no longer show anyway.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use dockbell_proto::clock::Clock;
use rusqlite::Connection;

use crate::store::HISTORY_KEPT;
use crate::store::access::EXPIRED_TOKENS_KEPT;

use super::EmbeddedLimits;
use super::rows;
use super::status::Failure;
use super::writer::Write;

/// The most rows of a kind that one sweep removes, so that it does not hold up the writes beside it.
const STEP: i64 = 500;

/// Each takes the time before which rows have expired, and [`STEP`].
const SETTLED: &str = "DELETE FROM settled WHERE (delivery, request, ordinal) IN
    (SELECT delivery, request, ordinal FROM settled WHERE expires_at <= ?1 LIMIT ?2)";
const NEWEST: &str = "DELETE FROM newest WHERE (webhook, registry, repository, tag, waits) IN
    (SELECT webhook, registry, repository, tag, waits FROM newest WHERE expires_at <= ?1 LIMIT ?2)";
const WAITING: &str = "DELETE FROM waiting WHERE (webhook, delivery) IN
    (SELECT webhook, delivery FROM waiting WHERE expires_at <= ?1 LIMIT ?2)";
const TRIALS: &str = "DELETE FROM trials WHERE (webhook, delivery, request, ordinal) IN
    (SELECT webhook, delivery, request, ordinal FROM trials WHERE expires_at <= ?1 LIMIT ?2)";
const DELIVERIES: &str = "DELETE FROM deliveries WHERE id IN (SELECT id FROM deliveries WHERE last_at <= ?1 LIMIT ?2)";
const DEAD: &str = "DELETE FROM dead WHERE position IN (SELECT position FROM dead WHERE at <= ?1 LIMIT ?2)";

const MARKS: &str = "DELETE FROM dead_marks WHERE (position, died_at) IN
    (SELECT position, died_at FROM dead_marks WHERE expires_at <= ?1 LIMIT ?2)";
const CALLBACKS: &str = "DELETE FROM callbacks WHERE (delivery, request) IN
    (SELECT delivery, request FROM callbacks WHERE expires_at <= ?1 LIMIT ?2)";

const TOKENS: &str = "DELETE FROM tokens WHERE id IN (SELECT id FROM tokens WHERE expires_at <= ?1 LIMIT ?2)";

const TOLD: &str = "DELETE FROM told WHERE (webhook, registry, repository, tag) IN
    (SELECT webhook, registry, repository, tag FROM told WHERE expires_at <= ?1 LIMIT ?2)";

/// How long and how much is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) limits: EmbeddedLimits,
}

impl Kept {
    /// The time now.
    pub(super) fn now(&self) -> i64 {
        self.clock.now().as_microsecond()
    }

    /// Dead letters up to this time have expired.
    pub(super) fn dead_until(&self) -> i64 {
        self.now().saturating_sub(rows::micros(self.limits.dead_kept))
    }

    /// Tokens whose time was over up to this time are forgotten.
    pub(super) fn tokens_until(&self) -> i64 {
        self.now().saturating_sub(rows::micros(EXPIRED_TOKENS_KEPT))
    }

    /// Deliveries whose last attempt began up to this time have expired.
    pub(super) fn history_until(&self) -> i64 {
        self.now().saturating_sub(rows::micros(HISTORY_KEPT))
    }
}

/// The writer's own task.
pub(super) struct Sweep {
    kept: Kept,
    is_full: bool,
    /// Set when something was left over.
    again: Arc<AtomicBool>,
}

impl Sweep {
    pub(super) fn new(kept: Kept, again: Arc<AtomicBool>) -> Self {
        Self { kept, is_full: false, again }
    }
}

impl Write for Sweep {
    fn run(&mut self, file: &Connection) -> rusqlite::Result<()> {
        let kept = &self.kept;
        self.is_full = false;
        let now = kept.now();
        for (sql, until) in [
            (SETTLED, now),
            (NEWEST, now),
            (WAITING, now),
            (TRIALS, now),
            (DELIVERIES, kept.history_until()),
            (DEAD, kept.dead_until()),
            (MARKS, now),
            (CALLBACKS, now),
            (TOLD, now),
            (TOKENS, kept.tokens_until()),
        ] {
            let removed = file.prepare_cached(sql)?.execute([until, STEP])?;
            self.is_full |= rows::size(removed) >= STEP;
        }
        Ok(())
    }

    fn finish(self: Box<Self>, result: Result<(), Failure>) {
        if let Err(error) = &result {
            tracing::warn!(%error, "failed to remove what has expired");
        }
        self.again.store(result.is_ok() && self.is_full, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use dockbell_proto::clock::SystemClock;

    use super::*;
    use crate::embedded::file::SCHEMA;

    fn count(file: &Connection, table: &str) -> i64 {
        file.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn what_has_expired_is_removed_in_steps_and_the_rest_stays() {
        let file = Connection::open_in_memory().unwrap();
        for (_, step) in SCHEMA {
            file.execute_batch(step).unwrap();
        }
        file.pragma_update(None, "foreign_keys", true).unwrap();
        let kept = Kept { clock: Arc::new(SystemClock), limits: EmbeddedLimits::default() };
        let now = kept.now();
        file.execute_batch(&format!(
            "INSERT INTO webhooks VALUES ('wh_1', '', '*', NULL, '', 'batch', '{{}}', '', 1, 0, 0, NULL, '{{}}', '{{}}', '{{}}', '{{}}', 'null', '{{}}');
             WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < {STEP} + 10)
             INSERT INTO settled SELECT 'old' || i, 0, 1, '', 5 FROM n;
             INSERT INTO settled VALUES ('young', 0, 1, '', {now} + 1000000000);
             INSERT INTO newest VALUES ('wh_1', 'r', 'a', 'old', 0, '', 5), ('wh_1', 'r', 'a', 'young', 0, '', {now} + 1000000000);
             INSERT INTO deliveries VALUES ('old', 'wh_1', 0, 'dead', 5, 5, NULL, 0, 1, NULL, '', NULL, NULL),
                 ('young', 'wh_1', 0, 'dead', 5, {now}, NULL, 0, 1, NULL, '', NULL, NULL);
             INSERT INTO attempts VALUES ('old', 0, 1, 5, 0, '', '', NULL), ('young', 0, 1, 5, 0, '', '', NULL);
             INSERT INTO waiting VALUES ('wh_1', 'old', 5), ('wh_1', 'young', {now} + 1000000000);
             INSERT INTO trials VALUES ('wh_1', 'old', 0, 1, 5), ('wh_1', 'young', 0, 1, {now} + 1000000000);
             INSERT INTO dead VALUES (1, 1, '', 5, 0, 1, '', '[]', x''), (2, 1, '', {now}, 1, 1, '', '[]', x'');
             INSERT INTO dead_marks VALUES (1, 5, 'revived', 5, 5), (2, 5, 'revived', 5, {now} + 1000000000);
             INSERT INTO told VALUES ('wh_1', 'r', 'a', 'old', '', NULL, 0, 0, 5), ('wh_1', 'r', 'a', 'young', '', NULL, 0, 0, {now} + 1000000000);
             INSERT INTO callbacks VALUES ('old', 0, 'wh_1', '', 5, 1), ('young', 0, 'wh_1', '', {now} + 1000000000, 1);
             INSERT INTO tokens VALUES ('old', '', 1, 5), ('young', '', 1, {now} + 1000000000);"
        ))
        .unwrap();
        let again = Arc::new(AtomicBool::new(false));
        let mut sweep = Box::new(Sweep::new(kept.clone(), Arc::clone(&again)));
        sweep.run(&file).unwrap();
        sweep.finish(Ok(()));
        assert!(again.load(Ordering::Relaxed), "a full step leaves something over");
        assert_eq!(count(&file, "settled"), 11);
        let mut sweep = Box::new(Sweep::new(kept, Arc::clone(&again)));
        sweep.run(&file).unwrap();
        sweep.finish(Ok(()));
        assert!(!again.load(Ordering::Relaxed));
        for table in [
            "settled",
            "newest",
            "waiting",
            "trials",
            "deliveries",
            "attempts",
            "dead",
            "dead_marks",
            "callbacks",
            "told",
            "tokens",
        ] {
            assert_eq!(count(&file, table), 1, "{table}");
        }
        let counted: i64 = file.query_row("SELECT waiting FROM health", [], |row| row.get(0)).unwrap();
        assert_eq!(counted, 1, "what was swept is counted no more");
    }
}
