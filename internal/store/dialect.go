package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gazetted/internal/news"
)

// dialect is all that differs between the two databases.
type dialect struct {
	name string
	// skipLocked ends a SELECT that claims rows. SQLite has one writer, so no
	// row is ever locked by another transaction.
	skipLocked string
	// forUpdate locks the rows read, for the same reason only on PostgreSQL.
	forUpdate string
	// ints and texts are sub-selects that yield the elements of a JSON array
	// given as parameter %s. Arrays as parameters exist only on PostgreSQL,
	// and there ANY(ARRAY(…)) keeps the index in use.
	ints, texts string
	// settled is the rows of the JSON array in $1 (see type settled). Behind
	// LIMIT -1 SQLite reads them once, before the table that they are joined with.
	settled string
	// element is a column of the rows that a JSON array yields: see records.
	element func(column) string
	// elements reads them from parameter %s as %s.
	elements string
	// audience is the table of subscriptions as p. SQLite is told which index to
	// read: it plans by averages, which may be older than the latest edition, and
	// would walk over all people for each small group of them.
	audience string
	// server tells which server answers; '' where there is none. orMoved goes on
	// with a condition: or it is not the one that was accepted.
	server, orMoved string
	// settle records what the relay accepted and marks dots. SQLite is in our
	// process: there a prepared statement per row costs least. To PostgreSQL each
	// statement is a journey: there it is one for all rows.
	settle func(t *tx, accepted, dots []settled, may []bool) (suspects bool, err error)
	// versionTable counts the tables in which goose keeps the schema's version:
	// where tables are listed differs.
	versionTable string
	// clock reads the server's clock, in milliseconds. Empty: there is no server,
	// and all processes have the machine's clock.
	clock string
	// origin names what a restored dump of this database does not have: its tables.
	// Empty: there is nothing of the kind, a file is what its bytes are.
	origin string
	// moveOn makes every number that is given out from now on larger by $1.
	moveOn []string
	// bind turns the $N of our SQL into what the driver takes.
	bind func(string) string
	// retryable tells errors after which the same transaction may succeed.
	retryable func(error) bool
	// unique tells violations of a unique key.
	unique func(error) bool
	// standby tells errors of a server that only reads, because another one has
	// become the primary.
	standby func(error) bool
	// explain puts a person's words before the codes that people meet.
	explain func(error) error
}

func sqliteDialect() dialect {
	return dialect{
		name:     "sqlite",
		element:  func(c column) string { return "value ->> '" + c.name + "' AS " + c.name },
		elements: "(SELECT %[2]s FROM json_each(%[1]s) LIMIT -1)",
		audience: "subscriptions AS p INDEXED BY subscriptions_audience",
		ints:     "IN (SELECT value FROM json_each(%s))",
		texts:    "IN (SELECT value FROM json_each(%s))",
		settled: `(SELECT value ->> 'id' AS id, value ->> 'token' AS token, value ->> 'relay' AS relay, value ->> 'at' AS at, value ->> 'code' AS code,
			value ->> 'enhanced' AS enhanced, value ->> 'reply' AS reply, value ->> 'state' AS state FROM json_each($1) LIMIT -1)`,
		server:       `''`,
		settle:       settleSQLite,
		versionTable: `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'goose_db_version'`,
		moveOn: []string{
			`INSERT INTO sqlite_sequence (name, seq) SELECT name, 0 FROM sqlite_master
				WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%' AND name NOT IN (SELECT name FROM sqlite_sequence)`,
			`UPDATE sqlite_sequence SET seq = seq + $1 WHERE name <> 'goose_db_version'`,
		},
		// SQLite reads $1 as a parameter *named* "$1"; ?1 is its ordinal form.
		bind: func(q string) string { return strings.ReplaceAll(q, "$", "?") },
		// BUSY comes only from another process holding the lock beyond
		// busy_timeout: who has waited that long is told, not made to wait again.
		retryable: func(error) bool { return false },
		unique: func(err error) bool {
			var e *sqlite.Error
			return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
		},
		standby: func(error) bool { return false },
		explain: explainSQLite,
	}
}

func postgresDialect() dialect {
	return dialect{
		name:       "postgres",
		element:    func(c column) string { return c.name + " " + c.kind },
		elements:   "(SELECT * FROM jsonb_to_recordset(%[1]s::jsonb) AS records (%[2]s))",
		audience:   "subscriptions AS p",
		skipLocked: " FOR UPDATE SKIP LOCKED",
		forUpdate:  " FOR UPDATE",
		ints:       "= ANY (ARRAY(SELECT v::bigint FROM jsonb_array_elements_text(%s::jsonb) AS v))",
		texts:      "= ANY (ARRAY(SELECT v FROM jsonb_array_elements_text(%s::jsonb) AS v))",
		settled: `(SELECT id, token, relay, at, code, enhanced, reply, state FROM jsonb_to_recordset($1::jsonb)
			AS r (id bigint, token text, relay text, at bigint, code bigint, enhanced text, reply text, state text))`,
		server: `server_cluster() || '/' || server_timeline()`,
		// The timeline alone, which costs a microsecond: a mail is claimed only
		// where the cluster is the same, too.
		orMoved:      ` OR NOT EXISTS (SELECT 1 FROM settings WHERE name = 'server' AND split_part(value, '/', 2) = server_timeline())`,
		settle:       settlePostgres,
		versionTable: `SELECT count(*) FROM pg_catalog.pg_class WHERE relkind = 'r' AND relname = 'goose_db_version' AND pg_catalog.pg_table_is_visible(oid)`,
		// Tables keep their oid for life, also through pg_upgrade. Those of another
		// cluster may repeat: that is what server is for.
		origin: `SELECT 'deliveries'::regclass::oid::text`,
		moveOn: []string{`SELECT setval(c.oid::regclass, coalesce(pg_sequence_last_value(c.oid::regclass), 0) + $1) FROM pg_catalog.pg_class c
			WHERE c.relkind = 'S' AND pg_catalog.pg_table_is_visible(c.oid) AND c.relname NOT LIKE 'goose%'`},
		clock: `SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000 AS BIGINT)`,
		bind:  func(q string) string { return q },
		retryable: func(err error) bool {
			var e *pq.Error
			return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01") // serialization failure, deadlock
		},
		unique: func(err error) bool {
			var e *pq.Error
			return errors.As(err, &e) && e.Code == "23505"
		},
		standby: isStandby,
		explain: explainPostgres,
	}
}

// inInts yields `IN (…)` over the JSON array of integers in parameter p.
func (d dialect) inInts(p string) string { return fmt.Sprintf(d.ints, p) }

// inTexts yields `IN (…)` over the JSON array of strings in parameter p.
func (d dialect) inTexts(p string) string { return fmt.Sprintf(d.texts, p) }

// column is a field of a JSON object; kind is text or bigint.
type column struct{ name, kind string }

// records yields the rows of the JSON array of objects in parameter p, as a
// table: one statement for many rows, where a round trip for each would take
// most of the time.
func (d dialect) records(p string, columns ...column) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = d.element(c)
	}
	return fmt.Sprintf(d.elements, p, strings.Join(parts, ", "))
}

// busyTimeout is how long a write waits for another process's transaction.
const busyTimeout = 10 * time.Second

func (s *Store) openSQLite(ctx context.Context, path string, o Options) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	if err := prepareFile(abs, o.Create); err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	if err := checkLog(abs); err != nil {
		return fmt.Errorf("open database %s: %w", path, err)
	}
	// WAL lets readers go on while one writes; FULL makes every commit survive
	// a power cut (NORMAL loses the last ones).
	pragmas := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()), "journal_mode(WAL)", "synchronous(FULL)",
		"foreign_keys(ON)", "temp_store(MEMORY)", "mmap_size(0)", "cache_size(-16000)", "wal_autocheckpoint(0)", // see checkpoint
	}}
	dsn := func(extra ...string) string {
		// SQLite would make a file that has gone, and an empty database of it.
		q := url.Values{"_pragma": append(append([]string{}, pragmas["_pragma"]...), extra...), "mode": {"rw"}}
		if len(extra) == 0 {
			q.Set("_txlock", "immediate")
		}
		return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(abs)}).EscapedPath(), RawQuery: q.Encode()}).String()
	}
	s.d, s.path = sqliteDialect(), abs
	// One connection for the group, and one for migrations.
	if s.writer, err = openDB(ctx, "sqlite", dsn(), 2); err != nil {
		return fmt.Errorf("open database %s: %w", path, explainSQLite(err))
	}
	s.group = newGroup(s.writer)
	if s.reader, err = openDB(ctx, "sqlite", dsn("query_only(ON)"), o.Readers); err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", path, explainSQLite(err)), s.writer.Close())
	}
	return nil
}

// prepareFile makes a new database readable by its owner alone: it holds every
// address and the keys behind every signed link. An empty file where one is
// expected is a lost database, not a new one.
func prepareFile(path string, create bool) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && !create:
		return ErrNoDatabase
	case errors.Is(err, os.ErrNotExist):
		f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, os.ErrExist) { // another process was quicker
			return nil
		}
		if err != nil {
			return err
		}
		return f.Close()
	case err != nil:
		return err
	case info.Size() == 0 && !create:
		return fmt.Errorf("%w: it is empty", ErrDamaged)
	}
	return nil
}

func explainSQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w: another program has kept it locked for %s: %w", news.ErrUnavailable, busyTimeout, err)
	case sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w: the disk is full: %w", news.ErrUnavailable, err)
	case sqlite3.SQLITE_IOERR:
		if e.Code() == sqlite3.SQLITE_IOERR_SHMSIZE { // the index of the log cannot grow
			return fmt.Errorf("%w: the disk is full: %w", news.ErrUnavailable, err)
		}
		return fmt.Errorf("the disk has failed: %w", err)
	default:
		return err
	}
}

func openDB(ctx context.Context, driver, dsn string, conns int) (*sqlx.DB, error) {
	raw, err := sql.Open(driver, dsn)
	if err != nil {
		return nil, err
	}
	limit(raw, conns)
	db := sqlx.NewDb(raw, driver)
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// limit bounds the connections of a pool.
func limit(db *sql.DB, conns int) {
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	db.SetConnMaxIdleTime(5 * time.Minute)
}
