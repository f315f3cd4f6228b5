-- +goose Up
-- The publisher's own time of the version that is stored: an older version that
-- arrives later, or a late removal, is passed over. 0: it gives none.
ALTER TABLE articles ADD COLUMN version BIGINT NOT NULL DEFAULT 0;
-- Of articles that were imported from a file: the identity of their URL, by which
-- the source that turns up with them later takes them over. '' for all others.
ALTER TABLE articles ADD COLUMN import_key TEXT NOT NULL DEFAULT '';
CREATE INDEX articles_import_key ON articles (import_key) WHERE import_key <> '';
CREATE INDEX articles_import_guid ON articles (guid) WHERE import_key <> '';
-- A key or password that a source is read with. It is never shown.
ALTER TABLE sources ADD COLUMN secret TEXT NOT NULL DEFAULT '';
-- Counts on when the address of the source's hook is changed; the former then fails.
ALTER TABLE sources ADD COLUMN hook_serial BIGINT NOT NULL DEFAULT 0;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
