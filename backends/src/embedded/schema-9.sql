-- Version 9: of which pushes a webhook is told (see proto's filter.rs), whom it waits for (chain.rs), and what receivers
-- that want changes alone were last told of a tag: the digest, if it is known, from when that is sure, and as of which
-- change of the webhook. Reports of receivers are kept by when they were made.
ALTER TABLE webhooks ADD COLUMN filter TEXT NOT NULL DEFAULT '{}';
ALTER TABLE webhooks ADD COLUMN chain TEXT NOT NULL DEFAULT 'null';
CREATE TABLE told (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    registry TEXT NOT NULL,
    repository TEXT NOT NULL,
    tag TEXT NOT NULL,
    latest TEXT NOT NULL,
    digest TEXT,
    sure_from INTEGER NOT NULL,
    as_of INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, registry, repository, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX told_by_expiry ON told (expires_at);
ALTER TABLE callbacks ADD COLUMN reported_at INTEGER NOT NULL DEFAULT 0;
DROP INDEX callbacks_by_webhook;
CREATE INDEX callbacks_by_webhook ON callbacks (webhook, reported_at);
