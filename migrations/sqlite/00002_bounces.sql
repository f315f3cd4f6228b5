-- +goose Up
-- What came back about mails that had left. No address is kept here: it is the
-- subscriber's, and goes with them.
CREATE TABLE bounces (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id        TEXT NOT NULL UNIQUE, -- the same event counts once
    kind            TEXT NOT NULL,
    via             TEXT NOT NULL,
    delivery_id     INTEGER NOT NULL, -- 0: an unsubscribe that names its subscription
    subscriber_id   INTEGER NOT NULL,
    subscription_id INTEGER NOT NULL,
    code            INTEGER NOT NULL,
    enhanced        TEXT NOT NULL,
    diagnostic      TEXT NOT NULL, -- '' once the subscriber was erased: it often repeats the address
    effect          TEXT NOT NULL DEFAULT '',
    at              INTEGER NOT NULL
) STRICT;
CREATE INDEX bounces_subscriber ON bounces (subscriber_id, kind, at);

CREATE TABLE bounces_ignored ( -- forged, or nothing to act upon
    via     TEXT NOT NULL,
    reason  TEXT NOT NULL,
    count   INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (via, reason)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
