package source

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/lib/pq"

	"gazetted/internal/news"
)

// How a publisher's database is read.
const (
	pgPage  = 5000 // ids in one query of a sweep
	pgFetch = 100  // rows read in full at once
	// pgDrop is the part of the articles, in percent, whose sudden loss is not believed.
	pgDrop = 30
	// pgVersion is part of every fingerprint: raise it when rows are to be read
	// anew after a change of how they are read.
	pgVersion = 1
	// maxRows bounds a sweep.
	maxRows = 2_000_000
)

// pgSession bounds what a query may cost the publisher, and makes dates read alike.
const pgSession = `SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '5s'; SET LOCAL idle_in_transaction_session_timeout = '120s';
	SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'`

// postgres looks at a table or view of a publisher's own database.
//
// No watermark finds every row: a transaction that began early commits late,
// with a lower sequence number and an older timestamp than rows that were seen
// before it. So each look reads id and version of every row, in pages of ids,
// and then in full those that differ from what the store knows. The version is
// the row's xmin, which changes with every update whatever the application
// does; of a view, which has none, it is a hash of the columns.
//
// Every transaction is read only and short. Names of tables and columns come
// from the operator and are quoted; values are always parameters.
type postgres struct {
	cleaner *Cleaner
	md      *markdown
}

func newPostgres(c *Cleaner) *postgres { return &postgres{cleaner: c, md: newMarkdown()} }

// pgLook is one look at one table.
type pgLook struct {
	*job
	cleaner *Cleaner
	md      *markdown
	dates   *dateReader
	db      *sql.DB
	table   *pgTable
	base    *url.URL // nil: addresses stand in the table whole
}

func (p *postgres) look(ctx context.Context, j *job) (out outcome, err error) {
	if j.src.Settings.Table == nil {
		return outcome{}, &news.FieldError{Field: "table", Want: "the table or view to read"}
	}
	dsn, err := publisherDSN(j.src)
	if err != nil {
		return outcome{}, err
	}
	zone := time.UTC
	if j.src.Settings.Zone != "" {
		if zone, err = news.LoadZone("zone", j.src.Settings.Zone); err != nil {
			return outcome{}, err // a FieldError speaks for itself
		}
	}
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		return outcome{}, fmt.Errorf("open the publisher's database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	l := &pgLook{job: j, cleaner: p.cleaner, md: p.md, dates: newDateReader(zone), db: db}
	if u, err := url.Parse(j.src.Settings.BaseURL); err == nil && webURL(j.src.Settings.BaseURL) {
		l.base = u
	}
	more, err := l.run(ctx)
	if err != nil {
		return outcome{}, fmt.Errorf("read table %s: %w", j.src.Settings.Table.Name, err)
	}
	out.complete = !more
	if more {
		out.again = time.Millisecond
	}
	return out, nil
}

// publisherDSN is the location with the password in it, for the driver alone.
func publisherDSN(src news.Source) (string, error) {
	u, err := url.Parse(src.Location)
	if err != nil {
		return "", &news.FieldError{Field: "location", Value: "…", Want: "a database such as postgres://reader@db.example.org/cms"}
	}
	u.Fragment = "" // the table, which makes the location of each source its own
	if password := src.Secret.Reveal(); password != "" {
		u.User = url.UserPassword(u.User.Username(), password)
	}
	q := u.Query()
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", "10")
	}
	q.Set("application_name", "gazetted")
	q.Set("binary_parameters", "yes") // right behind a pooler, too: see the store
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// read runs f in a read-only transaction of its own.
func (l *pgLook) read(ctx context.Context, f func(*sql.Tx) error) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead})
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing was written
	if _, err := tx.ExecContext(ctx, pgSession); err != nil {
		return err
	}
	return f(tx)
}

// run does the look; more tells that a first run has not come to its end.
func (l *pgLook) run(ctx context.Context) (more bool, err error) {
	if err := l.read(ctx, func(tx *sql.Tx) (err error) {
		l.table, err = readTable(ctx, tx, l.src.Settings)
		return err
	}); err != nil {
		return false, err
	}
	all, err := l.known(ctx)
	if err != nil {
		return false, err
	}
	rows, err := l.sweep(ctx)
	if err != nil {
		return false, err
	}
	live := 0
	var changed, gone []string
	known := make(map[string]bool, len(all))
	for _, k := range all {
		stamp, there := rows[k.NativeID]
		known[k.NativeID] = true
		switch {
		case k.State == news.ArticleWithdrawn && there:
			changed = append(changed, k.NativeID)
		case k.State == news.ArticleWithdrawn:
		case !there:
			live++
			gone = append(gone, k.NativeID)
		default:
			live++
			if k.Fingerprint != stamp {
				changed = append(changed, k.NativeID)
			}
		}
	}
	for id := range rows {
		if !known[id] {
			changed = append(changed, id)
		}
	}
	if len(rows) == 0 && live > 0 && !l.accept {
		return false, errors.New("it holds no published article any more: was it emptied to be filled anew?")
	}
	done, err := l.fetch(ctx, changed)
	if err != nil || done < len(changed) {
		return done < len(changed), err
	}
	slices.Sort(gone)
	if err := l.guardDrop(len(gone), live, pgDrop); err != nil {
		return false, err
	}
	return false, l.withdraw(ctx, gone)
}

// sweep reads the id and the version of every published row.
func (l *pgLook) sweep(ctx context.Context) (map[string]string, error) {
	rows := make(map[string]string)
	last, seen := sql.NullString{}, 0
	for {
		n := 0
		err := l.read(ctx, func(tx *sql.Tx) error {
			q, args := l.table.page(last)
			list, err := tx.QueryContext(ctx, q, args...)
			if err != nil {
				return err
			}
			defer func() { _ = list.Close() }() // what reading missed is told by Err
			for list.Next() {
				var id string
				var stamp, status sql.NullString
				if err := list.Scan(&id, &stamp, &status); err != nil {
					return err
				}
				n++
				last = sql.NullString{String: id, Valid: true}
				if len(id) > maxNativeID {
					l.notes.add(fmt.Sprintf("id %q: longer than %d bytes", clip(oneLine(id, 60), 60), maxNativeID))
				} else if l.table.isPublished(status) {
					rows[id] = l.table.fingerprint(stamp.String)
				}
			}
			return list.Err()
		})
		if err != nil {
			return nil, err
		}
		if seen += n; n < pgPage {
			return rows, nil
		}
		if seen > maxRows {
			return nil, fmt.Errorf("more than %d rows", maxRows)
		}
	}
}

// fetch reads rows in full and stores them; it returns how many of ids were
// dealt with before its time was up. New rows come in the order of their ids'
// text, which only a first run shows, and a first run is archive.
func (l *pgLook) fetch(ctx context.Context, ids []string) (done int, err error) {
	slices.Sort(ids)
	for batch := range slices.Chunk(ids, pgFetch) {
		if l.now().Sub(l.started) > lookBudget {
			return done, nil
		}
		if err := l.read(ctx, func(tx *sql.Tx) error { return l.fetchRows(ctx, tx, batch) }); err != nil {
			return done, err
		}
		if err := l.flush(ctx); err != nil {
			return done, err
		}
		done += len(batch)
	}
	return done, nil
}

func (l *pgLook) fetchRows(ctx context.Context, tx *sql.Tx, ids []string) error {
	list, err := tx.QueryContext(ctx, l.table.full(), pq.Array(ids))
	if err != nil {
		return err
	}
	defer func() { _ = list.Close() }() // what reading missed is told by Err
	for list.Next() {
		row, err := l.table.scan(list)
		if err != nil {
			return err
		}
		if !l.table.isPublished(row.status) {
			continue // since the sweep
		}
		found, err := l.article(row)
		if err != nil {
			l.notes.add(fmt.Sprintf("row %s: %v", clip(row.id, 60), err))
			continue // what is known of it stays
		}
		found.Fingerprint = l.table.fingerprint(row.stamp.String)
		if err := l.put(ctx, found); err != nil {
			return err
		}
	}
	return list.Err()
}

// readingHash covers the settings that change what a row means.
func readingHash(s news.SourceSettings, fields []string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d\n%s\n%s\n%q", pgVersion, s.BaseURL, s.Zone, fields))
	return strconv.Itoa(pgVersion) + "|" + hexOf(sum[:], 4)
}
