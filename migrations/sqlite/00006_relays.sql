-- +goose Up
-- What the processes that send know of their relays, for everybody else: a few
-- rows, written when something changes and every minute.
CREATE TABLE relay_states (
    relay   TEXT NOT NULL, -- by its name in the configuration
    process TEXT NOT NULL, -- HOST/PID
    at      INTEGER NOT NULL,
    state   TEXT NOT NULL, -- JSON: for people, never searched
    PRIMARY KEY (relay, process)
) STRICT, WITHOUT ROWID;

-- How many mails went through a relay in each five minutes, by what became of
-- them. Two days are kept.
CREATE TABLE relay_traffic (
    relay TEXT NOT NULL,
    since INTEGER NOT NULL,
    state TEXT NOT NULL, -- of the delivery, after the attempt
    count INTEGER NOT NULL,
    PRIMARY KEY (relay, since, state)
) STRICT, WITHOUT ROWID;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
