-- +goose Up
-- PostgreSQL has a function here; SQLite needs none.
SELECT 1;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
