-- +goose Up
-- Whom a frozen edition is still to be queued for. A row goes when its group
-- has been served; an edition without rows is closed.
CREATE TABLE edition_groups (
    edition_id     BIGINT NOT NULL REFERENCES editions (id) ON DELETE CASCADE,
    position       BIGINT NOT NULL,
    variant_id     BIGINT NOT NULL, -- 0: nothing for them, they are only moved forward
    topics         TEXT NOT NULL,
    language       TEXT NOT NULL,
    served_through BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL, -- of the deliveries
    after_id       BIGINT NOT NULL DEFAULT 0, -- the last subscription that was looked at
    PRIMARY KEY (edition_id, position)
);

-- Until all its deliveries are queued no other edition of its series begins.
DROP INDEX editions_open;
CREATE UNIQUE INDEX editions_open ON editions (list_id, frequency, zone) WHERE state IN ('open', 'queueing');
DROP INDEX editions_unfinished;
CREATE INDEX editions_unfinished ON editions (state) WHERE state IN ('open', 'queueing', 'closed');

-- With the id a batch of a group is one range. An index of SQLite holds it anyway.
DROP INDEX subscriptions_audience;
CREATE INDEX subscriptions_audience ON subscriptions (list_id, frequency, zone, topics, language, served_through, id) WHERE state = 'active';

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
