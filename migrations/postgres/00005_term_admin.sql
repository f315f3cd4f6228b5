-- +goose Up
-- What the operator has said of a term stays, whatever its sources say later.
ALTER TABLE terms ADD COLUMN fixed_name BIGINT NOT NULL DEFAULT 0; -- 1: the operator chose name and slug
ALTER TABLE terms ADD COLUMN fixed_parent BIGINT NOT NULL DEFAULT 0; -- 1: the operator chose the parent
-- The term that this one is a further name of; 0: it is one itself. Such a row has no articles:
-- whoever names it, by name or slug, means the other.
ALTER TABLE terms ADD COLUMN alias_of BIGINT NOT NULL DEFAULT 0;
ALTER TABLE terms ADD COLUMN gone TEXT NOT NULL DEFAULT ''; -- 'source': deleted there; 'admin': retired by the operator
CREATE INDEX terms_alias ON terms (alias_of) WHERE alias_of > 0;
-- 1: this id of the source came to the term by a merge, and its name there says nothing of the term.
ALTER TABLE source_terms ADD COLUMN merged BIGINT NOT NULL DEFAULT 0;

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
