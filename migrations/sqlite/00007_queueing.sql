-- +goose Up
-- Whom a frozen edition is still to be queued for. A row goes when its group
-- has been served; an edition without rows is closed.
CREATE TABLE edition_groups (
    edition_id     INTEGER NOT NULL REFERENCES editions (id) ON DELETE CASCADE,
    position       INTEGER NOT NULL,
    variant_id     INTEGER NOT NULL, -- 0: nothing for them, they are only moved forward
    topics         TEXT NOT NULL,
    language       TEXT NOT NULL,
    served_through INTEGER NOT NULL,
    expires_at     INTEGER NOT NULL, -- of the deliveries
    after_id       INTEGER NOT NULL DEFAULT 0, -- the last subscription that was looked at
    PRIMARY KEY (edition_id, position)
) STRICT, WITHOUT ROWID;

-- Until all its deliveries are queued no other edition of its series begins.
DROP INDEX editions_open;
CREATE UNIQUE INDEX editions_open ON editions (list_id, frequency, zone) WHERE state IN ('open', 'queueing');
DROP INDEX editions_unfinished;
CREATE INDEX editions_unfinished ON editions (state) WHERE state IN ('open', 'queueing', 'closed');

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
