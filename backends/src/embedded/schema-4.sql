-- Version 4: what people decided about dead letters.
CREATE TABLE dead_marks (
    position INTEGER NOT NULL,
    died_at INTEGER NOT NULL,
    decision TEXT NOT NULL,
    at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (position, died_at)
) STRICT, WITHOUT ROWID;
CREATE INDEX dead_marks_by_expiry ON dead_marks (expires_at);
