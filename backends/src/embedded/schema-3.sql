-- Version 3: the standing of webhooks and why it changed, what waits for them, and a policy of their own.

ALTER TABLE webhooks ADD COLUMN disabled_reason TEXT;
ALTER TABLE webhooks ADD COLUMN policy TEXT NOT NULL DEFAULT '{}';

-- waiting: how many rows of the table of that name there are. The triggers below keep it, because counting them at
-- every attempt would take too long where many wait.
ALTER TABLE health ADD COLUMN failed_at INTEGER;
ALTER TABLE health ADD COLUMN failed_deliveries TEXT NOT NULL DEFAULT '[]';
ALTER TABLE health ADD COLUMN standing TEXT NOT NULL DEFAULT '{"kind":"healthy"}';
ALTER TABLE health ADD COLUMN skipped INTEGER NOT NULL DEFAULT 0;
ALTER TABLE health ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
UPDATE health SET failed_at = failing_since;

ALTER TABLE deliveries ADD COLUMN custody_since INTEGER;
ALTER TABLE deliveries ADD COLUMN parked_because TEXT;

CREATE TABLE waiting (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    delivery TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, delivery)
) STRICT, WITHOUT ROWID;
CREATE INDEX waiting_by_expiry ON waiting (expires_at, webhook);
CREATE TRIGGER waiting_more AFTER INSERT ON waiting BEGIN
    INSERT INTO health (webhook, consecutive_failures, waiting) VALUES (new.webhook, 0, 1)
    ON CONFLICT (webhook) DO UPDATE SET waiting = waiting + 1;
END;
CREATE TRIGGER waiting_less AFTER DELETE ON waiting BEGIN
    UPDATE health SET waiting = waiting - 1 WHERE webhook = old.webhook;
END;
-- What version 2 knew to wait. The rest comes in when it is attempted.
INSERT INTO waiting SELECT webhook, id, last_at + 691200000000 FROM deliveries WHERE state = 'retrying';

-- Attempts that are under way of webhooks that allow only a few at once.
CREATE TABLE trials (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    delivery TEXT NOT NULL,
    request INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (webhook, delivery, request, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX trials_by_expiry ON trials (expires_at);

CREATE TABLE changes (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    at INTEGER NOT NULL,
    change TEXT NOT NULL
) STRICT;
CREATE INDEX changes_by_webhook ON changes (webhook, at, seq);
