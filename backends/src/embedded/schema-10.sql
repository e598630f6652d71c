-- Version 10: tokens (see proto's token.rs), and the audit trail of who changed what (audit.rs).
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    token TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX tokens_by_age ON tokens (created_at, id);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE TABLE audit (
    position INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    change TEXT NOT NULL
) STRICT;
