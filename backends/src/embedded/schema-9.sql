-- Version 9: of which pushes a webhook is told (see proto's filter.rs), whom it waits for (chain.rs), and what receivers
-- that want changes alone were last told of a tag; no digest where that is not known.
ALTER TABLE webhooks ADD COLUMN filter TEXT NOT NULL DEFAULT '{}';
ALTER TABLE webhooks ADD COLUMN chain TEXT NOT NULL DEFAULT 'null';
CREATE TABLE told (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    latest TEXT NOT NULL,
    digest TEXT,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, registry, repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_expiry ON told (expires_at);
