-- +goose Up
-- Records what a relay accepted and moves claimed deliveries to dot_pending, as
-- the statements for one row in the store do on SQLite. In a function, because
-- its plans are kept with the connection, also behind a pooler: to plan them took
-- longer than to run them. Arrays hold the columns of the rows.
-- +goose StatementBegin
CREATE FUNCTION settle_deliveries(lease_ms bigint,
    ids bigint[], tokens text[], ats bigint[], relays text[], codes bigint[], enhanceds text[], replies text[],
    dot_ids bigint[], dot_tokens text[], dot_relays text[],
    OUT suspects boolean, -- one of those accepted had been in hand at a crash
    OUT dots bigint[]     -- what was moved
) LANGUAGE plpgsql
-- One plan for all calls, and one that is right also when the tables have grown
-- since it was made.
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
    suspects := false;
    IF cardinality(ids) > 0 THEN
        WITH changed AS (
            UPDATE deliveries d SET state = 'accepted', token = '', ended_at = o.at, relay = o.relay, code = o.code, enhanced = o.enhanced,
                -- A reply often repeats the address: of the erased it is not kept.
                reply = CASE WHEN EXISTS (SELECT 1 FROM subscribers s WHERE s.id = d.subscriber_id) THEN o.reply ELSE '' END
            FROM unnest(ids, tokens, ats, relays, codes, enhanceds, replies) AS o (id, token, at, relay, code, enhanced, reply)
            WHERE d.id = o.id AND d.token = o.token AND o.token <> '' AND d.state IN ('claimed', 'dot_pending', 'deferred', 'uncertain')
            RETURNING d.crashes)
        SELECT coalesce(bool_or(crashes > 0), false) INTO suspects FROM changed;
    END IF;
    IF cardinality(dot_ids) > 0 -- and this is the server that was accepted
        AND EXISTS (SELECT 1 FROM settings WHERE name = 'server' AND split_part(value, '/', 2) = server_timeline()) THEN
        WITH changed AS (
            UPDATE deliveries d SET state = 'dot_pending', next_at = lease_ms + d.lease
            FROM unnest(dot_ids, dot_tokens, dot_relays) AS o (id, token, relay)
            WHERE d.id = o.id AND d.token = o.token AND o.token <> '' AND d.state = 'claimed' AND d.next_at > lease_ms
                AND NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = 'true' OR name = o.relay)
                AND NOT EXISTS (SELECT 1 FROM lists l WHERE l.id = d.list_id AND l.paused)
            RETURNING d.id)
        SELECT array_agg(id) INTO dots FROM changed;
    END IF;
END
$$;
-- +goose StatementEnd

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
