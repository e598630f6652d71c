-- Version 7: what receivers reported of deliveries that they took. The first report of a request stands.
CREATE TABLE callbacks (
    delivery TEXT NOT NULL,
    request INTEGER NOT NULL,
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    callback TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (delivery, request)
) STRICT, WITHOUT ROWID;
CREATE INDEX callbacks_by_webhook ON callbacks (webhook, expires_at);
CREATE INDEX callbacks_by_expiry ON callbacks (expires_at);
