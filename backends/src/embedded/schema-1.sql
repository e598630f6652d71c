-- Version 1. Times are microseconds since 1970; `bytes` is what a message counts against its bound.

-- One writer commits in the order of seq, so a reader that has seen a seq has seen all before it.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    maybe_repeated INTEGER NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX messages_by_queue ON messages (queue, seq);

-- Moved into messages when they are due: a message fetched by time could be overtaken by the cursor.
CREATE TABLE delayed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    due_at INTEGER NOT NULL,
    delay INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    maybe_repeated INTEGER NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX delayed_by_due ON delayed (due_at, seq);
CREATE INDEX delayed_by_id ON delayed (id);

-- start_bytes: the bytes of all dead letters before this one, so that those beyond the bound are one range.
CREATE TABLE dead (
    position INTEGER PRIMARY KEY AUTOINCREMENT,
    queue INTEGER NOT NULL,
    reason TEXT NOT NULL,
    at INTEGER NOT NULL,
    start_bytes INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    id TEXT NOT NULL,
    headers TEXT NOT NULL,
    body BLOB NOT NULL
) STRICT;
CREATE INDEX dead_by_start ON dead (start_bytes);
CREATE INDEX dead_by_time ON dead (at);

CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    pattern TEXT NOT NULL,
    registry TEXT,
    url TEXT NOT NULL,
    format TEXT NOT NULL,
    headers TEXT NOT NULL,
    secret TEXT NOT NULL,
    enabled INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;
CREATE INDEX webhooks_by_age ON webhooks (created_at, id);
CREATE INDEX webhooks_by_pattern ON webhooks (pattern, created_at, id);

CREATE TABLE health (
    webhook TEXT PRIMARY KEY REFERENCES webhooks (id) ON DELETE CASCADE,
    consecutive_failures INTEGER NOT NULL,
    failing_since INTEGER,
    succeeded_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE newest (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    latest TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, registry, repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX newest_by_expiry ON newest (expires_at);

-- Keyed by the attempt alone: a record that is repeated after its webhook was removed is still a repetition.
CREATE TABLE settled (
    delivery TEXT NOT NULL,
    request INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    verdict TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (delivery, request, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX settled_by_expiry ON settled (expires_at);

-- requests: the highest request number that was taken or recorded.
CREATE TABLE deliveries (
    id TEXT PRIMARY KEY,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    requests INTEGER NOT NULL,
    state TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    next_at INTEGER,
    request INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    not_before INTEGER,
    content TEXT NOT NULL
) STRICT;
CREATE INDEX deliveries_by_age ON deliveries (first_at, id);
CREATE INDEX deliveries_by_webhook ON deliveries (webhook, first_at, id);
CREATE INDEX deliveries_by_state ON deliveries (state, first_at, id);
CREATE INDEX deliveries_by_expiry ON deliveries (last_at);

CREATE TABLE attempts (
    delivery TEXT NOT NULL REFERENCES deliveries (id) ON DELETE CASCADE,
    request INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    at INTEGER NOT NULL,
    took INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    verdict TEXT NOT NULL,
    excerpt TEXT,
    PRIMARY KEY (delivery, request, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE repositories (
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    first_seen INTEGER NOT NULL,
    PRIMARY KEY (registry, repository)
) STRICT, WITHOUT ROWID;
