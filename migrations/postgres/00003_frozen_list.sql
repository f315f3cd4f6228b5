-- +goose Up
-- The list as it was when a mail was rendered: an attempt tomorrow has the same
-- bytes as the one today, whatever becomes of the list meanwhile.
ALTER TABLE variants ADD COLUMN list_name TEXT NOT NULL DEFAULT ''; -- '' was written by an older version
ALTER TABLE variants ADD COLUMN list_title TEXT NOT NULL DEFAULT '';
ALTER TABLE variants ADD COLUMN sender TEXT NOT NULL DEFAULT ''; -- '': the sender of the configuration
ALTER TABLE variants ADD COLUMN reply_to TEXT NOT NULL DEFAULT '';
ALTER TABLE variants ADD COLUMN public BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE variants SET list_name = l.name, list_title = l.title, sender = l.sender, reply_to = l.reply_to, public = l.public
    FROM lists l WHERE l.id = variants.list_id;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
