-- +goose Up
-- What relays said at each attempt that was not accepted: the delivery itself
-- holds only the latest word. The latest ten of each delivery are kept.
CREATE TABLE delivery_attempts (
    delivery_id INTEGER NOT NULL, -- of deliveries; they go together
    number      INTEGER NOT NULL, -- counts on when older ones have gone
    at          INTEGER NOT NULL,
    relay       TEXT NOT NULL,
    state       TEXT NOT NULL,
    code        INTEGER NOT NULL,
    enhanced    TEXT NOT NULL,
    reply       TEXT NOT NULL, -- '' once the subscriber was erased: it often repeats the address
    PRIMARY KEY (delivery_id, number)
) STRICT, WITHOUT ROWID;

-- The few that may have arrived twice, among millions that did not.
CREATE INDEX deliveries_doubtful ON deliveries (id) WHERE doubts > 0;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
