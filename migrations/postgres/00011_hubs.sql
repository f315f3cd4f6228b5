-- +goose Up
-- A feed's WebSub hub that calls us when there is something new: one row per
-- source, written before the hub is asked and again when it has made sure.
CREATE TABLE source_hubs (
    source_id  BIGINT PRIMARY KEY REFERENCES sources (id) ON DELETE CASCADE,
    hub        TEXT NOT NULL,
    topic      TEXT NOT NULL, -- what the hub knows the feed by
    callback   TEXT NOT NULL,
    asked_at   BIGINT NOT NULL,
    lease_from BIGINT NOT NULL DEFAULT 0, -- when the hub last made sure of us; 0: it has not
    lease_to   BIGINT NOT NULL DEFAULT 0,
    error      TEXT NOT NULL DEFAULT ''
);

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
