-- +goose Up
-- Instants are milliseconds since 1970-01-01 UTC; 0 means "not set".
-- Values of list shape (topics, authors) are JSON text.

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- One row per counter; the row is the lock that serialises a Release.
CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO counters (name, value) VALUES ('seq', 0), ('change', 0);

CREATE TABLE secrets (
    id         INTEGER PRIMARY KEY,
    key        TEXT NOT NULL, -- base64
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE api_keys (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    scope        TEXT NOT NULL,
    hash         TEXT NOT NULL UNIQUE,
    created_at   INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE sources (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    kind         TEXT NOT NULL,
    location     TEXT NOT NULL,
    settings     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    activated_at INTEGER NOT NULL DEFAULT 0,
    removed_at   INTEGER NOT NULL DEFAULT 0,
    last_at      INTEGER NOT NULL DEFAULT 0,
    next_at      INTEGER NOT NULL DEFAULT 0,
    leased_until INTEGER NOT NULL DEFAULT 0,
    failures     INTEGER NOT NULL DEFAULT 0,
    error        TEXT NOT NULL DEFAULT '',
    notes        TEXT NOT NULL DEFAULT '[]',
    cursor       TEXT NOT NULL DEFAULT ''
) STRICT;

CREATE TABLE terms (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    kind      TEXT NOT NULL,
    slug      TEXT NOT NULL,
    name      TEXT NOT NULL,
    folded    TEXT NOT NULL, -- identity of the name: news.FoldName
    parent_id INTEGER NOT NULL DEFAULT 0,
    articles  INTEGER NOT NULL DEFAULT 0, -- released ones, kept by the same transaction that lists them
    change    INTEGER NOT NULL DEFAULT 0, -- of the counter 'change' when its feed last changed
    UNIQUE (kind, slug),
    UNIQUE (kind, folded)
) STRICT;
CREATE INDEX terms_change ON terms (change);

CREATE TABLE term_slugs ( -- past slugs lead to their term
    kind    TEXT NOT NULL,
    slug    TEXT NOT NULL,
    term_id INTEGER NOT NULL REFERENCES terms (id) ON DELETE CASCADE,
    PRIMARY KEY (kind, slug)
) STRICT, WITHOUT ROWID;

CREATE TABLE source_terms ( -- a source's own id of a term
    source_id INTEGER NOT NULL REFERENCES sources (id) ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    native_id TEXT NOT NULL,
    term_id   INTEGER NOT NULL REFERENCES terms (id) ON DELETE CASCADE,
    PRIMARY KEY (source_id, kind, native_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE articles (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    source_id     INTEGER NOT NULL REFERENCES sources (id),
    native_id     TEXT NOT NULL,
    url           TEXT NOT NULL,
    guid          TEXT NOT NULL,
    title         TEXT NOT NULL,
    summary       TEXT NOT NULL,
    content_html  TEXT NOT NULL,
    language      TEXT NOT NULL,
    authors       TEXT NOT NULL,
    image         TEXT NOT NULL,
    comments_url  TEXT NOT NULL,
    visibility    TEXT NOT NULL,
    published_at  INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    first_seen_at INTEGER NOT NULL,
    release_at    INTEGER NOT NULL,
    expires_at    INTEGER NOT NULL,
    released_at   INTEGER NOT NULL DEFAULT 0,
    state         TEXT NOT NULL,
    seq           INTEGER NOT NULL DEFAULT 0,
    archive       INTEGER NOT NULL,
    listed_at     INTEGER NOT NULL DEFAULT 0, -- order in feeds: release, or publication of archive articles
    hash          TEXT NOT NULL,
    fingerprint   TEXT NOT NULL,
    UNIQUE (source_id, native_id)
) STRICT;
CREATE INDEX articles_waiting ON articles (release_at) WHERE state = 'waiting';
CREATE INDEX articles_seq ON articles (seq) WHERE seq > 0;
CREATE INDEX articles_listed ON articles (listed_at, seq) WHERE state = 'released';
CREATE INDEX articles_expiring ON articles (expires_at) WHERE expires_at > 0 AND state <> 'withdrawn';

CREATE TABLE article_terms ( -- all terms of an article, in its source's order
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    term_id    INTEGER NOT NULL REFERENCES terms (id),
    PRIMARY KEY (article_id, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE term_articles ( -- the feed of a term: released articles only, newest first by its key
    term_id    INTEGER NOT NULL REFERENCES terms (id) ON DELETE CASCADE,
    listed_at  INTEGER NOT NULL,
    seq        INTEGER NOT NULL,
    article_id INTEGER NOT NULL REFERENCES articles (id) ON DELETE CASCADE,
    PRIMARY KEY (term_id, listed_at, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX term_articles_article ON term_articles (article_id);

CREATE TABLE lists (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT NOT NULL UNIQUE,
    title        TEXT NOT NULL,
    description  TEXT NOT NULL,
    language     TEXT NOT NULL,
    zone         TEXT NOT NULL,
    sender       TEXT NOT NULL,
    reply_to     TEXT NOT NULL,
    template     TEXT NOT NULL,
    filter       TEXT NOT NULL,
    frequencies  TEXT NOT NULL,
    public       INTEGER NOT NULL,
    paused       INTEGER NOT NULL,
    catch_up     TEXT NOT NULL,
    max_late     INTEGER NOT NULL, -- milliseconds
    on_uncertain TEXT NOT NULL,
    created_at   INTEGER NOT NULL
) STRICT;

CREATE TABLE subscribers (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    address    TEXT NOT NULL,
    address_key TEXT NOT NULL UNIQUE,
    name       TEXT NOT NULL,
    language   TEXT NOT NULL,
    zone       TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE subscriptions (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    subscriber_id  INTEGER NOT NULL REFERENCES subscribers (id) ON DELETE CASCADE,
    list_id        INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    state          TEXT NOT NULL,
    frequency      TEXT NOT NULL,
    topics         TEXT NOT NULL, -- sorted JSON: equal choices are equal text
    language       TEXT NOT NULL, -- the subscriber's, kept here so that an audience is one index range
    zone           TEXT NOT NULL, -- the subscriber's on lists in the subscriber's zone, else ''
    served_through INTEGER NOT NULL,
    created_at     INTEGER NOT NULL,
    confirmed_at   INTEGER NOT NULL,
    ended_at       INTEGER NOT NULL,
    consent        TEXT NOT NULL,
    UNIQUE (subscriber_id, list_id)
) STRICT;
CREATE INDEX subscriptions_audience ON subscriptions (list_id, frequency, zone, topics, language, served_through) WHERE state = 'active';

CREATE TABLE suppressions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    address_hash TEXT NOT NULL UNIQUE, -- keyed: outlives the address
    address      TEXT NOT NULL,        -- '' once erased
    reason       TEXT NOT NULL,
    note         TEXT NOT NULL,
    at           INTEGER NOT NULL
) STRICT;

CREATE TABLE schedules ( -- one row per (list, frequency, zone): the next slot
    list_id        INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    frequency      TEXT NOT NULL,
    zone           TEXT NOT NULL, -- IANA
    next_due_at    INTEGER NOT NULL, -- 0 for instant: due as soon as there is news
    served_through INTEGER NOT NULL, -- where the previous edition of this series ended
    computed_at    INTEGER NOT NULL, -- when next_due_at was computed: if the clock is behind it now, it is computed anew
    PRIMARY KEY (list_id, frequency, zone)
) STRICT, WITHOUT ROWID;
CREATE INDEX schedules_due ON schedules (next_due_at);

CREATE TABLE editions (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    list_id      INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    frequency    TEXT NOT NULL,
    zone         TEXT NOT NULL,
    slot_key     TEXT NOT NULL,
    due_at       INTEGER NOT NULL,
    state        TEXT NOT NULL,
    note         TEXT NOT NULL DEFAULT '',
    from_seq     INTEGER NOT NULL,
    cutoff_seq   INTEGER NOT NULL,
    slug         TEXT NOT NULL DEFAULT '',
    subject      TEXT NOT NULL DEFAULT '',
    leased_until INTEGER NOT NULL DEFAULT 0,
    taken        INTEGER NOT NULL DEFAULT 1, -- how often somebody began to make it
    closed_at    INTEGER NOT NULL DEFAULT 0,
    done_at      INTEGER NOT NULL DEFAULT 0,
    articles     INTEGER NOT NULL DEFAULT 0,
    intended     INTEGER NOT NULL DEFAULT 0,
    counts       TEXT NOT NULL DEFAULT '', -- JSON: its deliveries by state, frozen once done
    UNIQUE (list_id, frequency, zone, slot_key)
) STRICT;
CREATE UNIQUE INDEX editions_slug ON editions (list_id, slug) WHERE slug <> '';
-- One at a time: two open editions of a series would carry the same articles.
CREATE UNIQUE INDEX editions_open ON editions (list_id, frequency, zone) WHERE state = 'open';
CREATE INDEX editions_unfinished ON editions (state) WHERE state IN ('open', 'closed');

CREATE TABLE edition_articles ( -- frozen when the edition closed
    edition_id INTEGER NOT NULL REFERENCES editions (id) ON DELETE CASCADE,
    position   INTEGER NOT NULL,
    article_id INTEGER NOT NULL,
    article    TEXT NOT NULL, -- JSON
    PRIMARY KEY (edition_id, position)
) STRICT;

CREATE TABLE variants (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    edition_id  INTEGER NOT NULL DEFAULT 0, -- 0: belongs to no edition
    list_id     INTEGER NOT NULL REFERENCES lists (id) ON DELETE CASCADE,
    kind        TEXT NOT NULL,
    language    TEXT NOT NULL,
    nonce       TEXT NOT NULL,
    subject     TEXT NOT NULL,
    html        TEXT NOT NULL,
    text        TEXT NOT NULL,
    article_ids TEXT NOT NULL,
    UNIQUE (edition_id, list_id, kind, nonce)
) STRICT;

CREATE TABLE deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT NOT NULL,
    edition_id      INTEGER NOT NULL, -- 0 for mails that belong to no edition
    variant_id      INTEGER NOT NULL, -- of variants; a foreign key would want one more index on the largest table
    list_id         INTEGER NOT NULL,
    subscriber_id   INTEGER NOT NULL,
    subscription_id INTEGER NOT NULL,
    state           TEXT NOT NULL,
    served_from     INTEGER NOT NULL DEFAULT 0, -- the ServedThrough before this edition: where a pause puts the subscription back
    attempts        INTEGER NOT NULL DEFAULT 0,
    crashes         INTEGER NOT NULL DEFAULT 0, -- attempts that ended without an outcome
    doubts          INTEGER NOT NULL DEFAULT 0, -- final dots without a reply: each may be an extra copy
    next_at         INTEGER NOT NULL, -- of the next attempt, 0: at once; while claimed: the end of the lease
    lease           INTEGER NOT NULL DEFAULT 0, -- milliseconds; begins anew at the final dot
    expires_at      INTEGER NOT NULL,
    token           TEXT NOT NULL DEFAULT '',
    created_at      INTEGER NOT NULL,
    ended_at        INTEGER NOT NULL DEFAULT 0,
    relay           TEXT NOT NULL DEFAULT '',
    code            INTEGER NOT NULL DEFAULT 0,
    enhanced        TEXT NOT NULL DEFAULT '',
    reply           TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX deliveries_once ON deliveries (edition_id, subscriber_id) WHERE edition_id > 0;
-- By list, so that a million deliveries of a paused list are not waded through.
CREATE INDEX deliveries_due ON deliveries (list_id, kind, next_at) WHERE state IN ('pending', 'deferred');
CREATE INDEX deliveries_leased ON deliveries (next_at) WHERE state IN ('claimed', 'dot_pending');
CREATE INDEX deliveries_edition ON deliveries (edition_id, state);
CREATE INDEX deliveries_subscriber ON deliveries (subscriber_id);

CREATE TABLE audit (
    id     INTEGER PRIMARY KEY AUTOINCREMENT,
    at     INTEGER NOT NULL,
    actor  TEXT NOT NULL,
    action TEXT NOT NULL,
    object TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
CREATE INDEX audit_object ON audit (object);

-- +goose Down
SELECT 1; -- migrations only go forward; restore a backup to go back
