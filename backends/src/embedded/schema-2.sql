-- Version 2: what waits is kept apart from what was accepted, because it may still be given up. What version 1
-- knew is not taken over: it did not tell them apart.
DROP TABLE newest;

-- waits: 1 for the latest order that waits for its next attempt, 0 for the latest that was accepted.
CREATE TABLE newest (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    waits INTEGER NOT NULL,
    latest TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, registry, repository, tag, waits)
) STRICT, WITHOUT ROWID;
CREATE INDEX newest_by_expiry ON newest (expires_at);
