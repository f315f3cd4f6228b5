-- +goose Up
-- The oldest schema whose binaries may go on with this database. A step that
-- they could not live with moves it to its own number; all others leave it alone.
INSERT INTO settings (name, value) VALUES ('oldest_schema', '9');

-- Which server this is: the cluster's number, and the timeline, which changes when
-- a standby takes over. In functions, because some services that speak PostgreSQL's
-- language know neither: there the answer is always the same, and nothing is noticed.
-- +goose StatementBegin
DO $$
BEGIN
    PERFORM pg_walfile_name(pg_current_wal_insert_lsn());
    CREATE FUNCTION server_timeline() RETURNS text LANGUAGE sql AS 'SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)';
EXCEPTION WHEN OTHERS THEN
    CREATE FUNCTION server_timeline() RETURNS text LANGUAGE sql AS 'SELECT CAST('''' AS text)';
END
$$;
-- +goose StatementEnd
-- +goose StatementBegin
DO $$
BEGIN
    PERFORM system_identifier FROM pg_control_system();
    CREATE FUNCTION server_cluster() RETURNS text LANGUAGE sql AS 'SELECT system_identifier::text FROM pg_control_system()';
EXCEPTION WHEN OTHERS THEN
    CREATE FUNCTION server_cluster() RETURNS text LANGUAGE sql AS 'SELECT CAST('''' AS text)';
END
$$;
-- +goose StatementEnd

-- Where the database was when it was last accepted. It is as old as the schema: a
-- server that has lost this row has lost all that came after it, too.
INSERT INTO settings (name, value) VALUES ('server', server_cluster() || '/' || server_timeline());

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
