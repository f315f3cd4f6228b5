-- +goose Up
-- The oldest schema whose binaries may go on with this database. A step that
-- they could not live with moves it to its own number; all others leave it alone.
INSERT INTO settings (name, value) VALUES ('oldest_schema', '9');

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
