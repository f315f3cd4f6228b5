package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
)

// Copy is a backup of an SQLite database in a file.
type Copy struct {
	Path    string    `json:"path"`
	Bytes   int64     `json:"bytes"`
	Schema  int64     `json:"schema"`
	TakenAt time.Time `json:"taken_at,omitzero"` // zero: it was not made by Backup
}

// ErrNotSQLite says that the database has tools of its own for this.
var ErrNotSQLite = errors.New("this is done by PostgreSQL's own tools")

// Backup writes a whole and consistent copy of an SQLite database, of the
// moment at which it begins, while others read and write. The file appears
// under its name when it has been checked and is on the disk; one that is there
// already is not replaced. It holds every address and key: its owner alone may
// read it. progress, which may be nil, is told how much was written, and of
// about how much.
func (s *Store) Backup(ctx context.Context, path string, progress func(done, total int64)) (Copy, error) {
	if s.path == "" {
		return Copy{}, fmt.Errorf("back up: %w", ErrNotSQLite)
	}
	if err := s.Fault(); err != nil {
		return Copy{}, fmt.Errorf("back up: %w", err)
	}
	c := Copy{Path: path, TakenAt: s.clock()}
	err := intoPlace(path, func(part string) (err error) {
		if err := s.copyInto(ctx, part, progress); err != nil {
			return s.observe(err)
		}
		if err := markCopy(ctx, part, restoredMark{BackupAt: ms(c.TakenAt)}); err != nil {
			return err
		}
		c.Schema, _, err = checkFile(ctx, part)
		return err
	})
	if err != nil {
		return Copy{}, fmt.Errorf("back up to %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return Copy{}, fmt.Errorf("back up: %w", err)
	}
	c.Bytes = info.Size()
	return c, nil
}

// copyInto writes the copy in one read transaction.
func (s *Store) copyInto(ctx context.Context, part string, progress func(done, total int64)) error {
	var pages, free, size int64
	conn, err := s.writer.Connx(ctx) // the one beside the group's; query_only forbids VACUUM INTO
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	for pragma, v := range map[string]*int64{"page_count": &pages, "freelist_count": &free, "page_size": &size} {
		if err := conn.GetContext(ctx, v, `PRAGMA `+pragma); err != nil {
			return err
		}
	}
	stop := make(chan struct{})
	told := make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for progress != nil {
			select {
			case <-tick.C:
				if info, err := os.Stat(part); err == nil {
					progress(info.Size(), (pages-free)*size)
				}
			case <-stop:
				return
			}
		}
	}()
	_, err = conn.ExecContext(ctx, `VACUUM INTO ?1`, fileURI(part, "rw"))
	close(stop)
	<-told
	return err
}

// intoPlace makes a file under another name, brings it to the disk, and only
// then gives it its own. A file that is there is os.ErrExist.
func intoPlace(path string, fill func(part string) error) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return os.ErrExist
	}
	f, err := os.OpenFile(path+".part", os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s.part is there: another backup is under way, or one was interrupted; then remove it: %w", path, err)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(path+".part", path+".part-journal", path+".part-wal", path+".part-shm"))
		}
	}()
	if err := errors.Join(f.Close(), fill(path+".part")); err != nil {
		return err
	}
	if f, err = os.OpenFile(path+".part", os.O_RDWR, 0); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, unlike a rename, replaces nothing; not every file system has it.
	if err := os.Link(path+".part", path); err == nil {
		return errors.Join(os.Remove(path+".part"), syncFolder(path))
	} else if errors.Is(err, os.ErrExist) {
		return err
	}
	return errors.Join(os.Rename(path+".part", path), syncFolder(path))
}

// removeAll removes what is there of the files.
func removeAll(paths ...string) error {
	var errs []error
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// syncFolder makes the names in a file's folder durable. Where folders cannot be
// synced the file system sees to it.
func syncFolder(path string) error {
	f, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	_ = f.Sync()
	return f.Close()
}

// fileURI is an SQLite file as the driver names it.
func fileURI(path, mode string, more ...string) string {
	q := url.Values{"mode": {mode}}
	for i := 0; i < len(more); i += 2 {
		q.Add(more[i], more[i+1])
	}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(path)}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// markCopy marks a file as restored, if nobody has, without opening a log
// beside it.
func markCopy(ctx context.Context, path string, m restoredMark) (err error) {
	db, err := sqlx.Open("sqlite", fileURI(path, "rw", "_pragma", "journal_mode(DELETE)", "_pragma", "synchronous(FULL)"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	raw, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return explainSQLite(err)
	}
	defer func() { _ = raw.Rollback() }() // after Commit it does nothing
	t := &tx{q: raw, ctx: ctx, d: sqliteDialect()}
	have, err := t.restoredMark()
	if err == nil && have == nil {
		err = t.markRestored(m)
	}
	if err == nil {
		err = raw.Commit()
	}
	return explainSQLite(err)
}

// checkFile reads an SQLite file, which nobody may be writing, from its first to
// its last page, and returns its schema and its mark.
func checkFile(ctx context.Context, path string) (schema int64, mark *restoredMark, err error) {
	switch info, err := os.Stat(path); {
	case err != nil:
		return 0, nil, err
	case info.Size() == 0:
		return 0, nil, errors.New("the file is empty")
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		return 0, nil, fmt.Errorf("%s-wal is there: this is a database in use, not a backup", path)
	}
	db, err := sqlx.Open("sqlite", fileURI(path, "ro", "immutable", "1"))
	if err != nil {
		return 0, nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var answer string
	if err := db.GetContext(ctx, &answer, `PRAGMA integrity_check(1)`); err != nil {
		return 0, nil, explainSQLite(err)
	}
	if answer != "ok" {
		return 0, nil, fmt.Errorf("%w: %s", ErrDamaged, strings.TrimSpace(answer))
	}
	raw, err := db.BeginTxx(ctx, nil)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = raw.Rollback() }()
	t := &tx{q: raw, ctx: ctx, d: sqliteDialect()}
	if schema, err = t.schemaVersion(); err == nil && schema == 0 {
		err = errors.New("there is no database of gazetted in it")
	}
	if err != nil {
		return 0, nil, explainSQLite(err)
	}
	if mark, err = t.restoredMark(); err != nil {
		return 0, nil, explainSQLite(err)
	}
	return schema, mark, t.knowsSchema()
}

// knowsSchema is nil if this binary may work on the file.
func (t *tx) knowsSchema() error {
	want, err := newestSchema()
	if err != nil {
		return err
	}
	var oldest int64
	if err := t.get(&oldest, `SELECT coalesce((SELECT CAST(value AS BIGINT) FROM settings WHERE name = 'oldest_schema'), 0)`); err != nil {
		return explainSQLite(err)
	}
	if oldest > want {
		return fmt.Errorf("it needs schema %d, this binary knows %d: %w", oldest, want, ErrNewerSchema)
	}
	return nil
}

// Restore puts a backup in the place of the SQLite database at path. The caller
// holds the daemon's lock. What is there already stays beside it, under the name
// that is returned; without replace it is os.ErrExist. A backup that is damaged
// or of a newer binary is refused. The restored database sends nothing until
// ConfirmRestored.
func Restore(ctx context.Context, path, backup string, replace bool, now time.Time) (c Copy, aside string, err error) {
	schema, mark, err := checkFile(ctx, backup)
	if err != nil {
		return Copy{}, "", fmt.Errorf("check the backup %s: %w", backup, err)
	}
	_, missing := os.Lstat(path)
	if missing == nil && !replace {
		return Copy{}, "", fmt.Errorf("restore to %s: %w", path, os.ErrExist)
	}
	c = Copy{Path: path, Schema: schema}
	if mark != nil {
		c.TakenAt = at(mark.BackupAt)
	}
	if err := prepareCopy(ctx, path, backup); err != nil {
		return Copy{}, "", fmt.Errorf("restore to %s: %w", path, err)
	}
	// A log that is left of another database would be played into this one.
	aside = path + ".before-" + now.UTC().Format("20060102T150405Z")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, aside+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return Copy{}, "", fmt.Errorf("restore to %s: %w", path, err)
		}
	}
	if missing != nil {
		aside = ""
	}
	if err := errors.Join(os.Rename(path+".restoring", path), syncFolder(path)); err != nil {
		return Copy{}, aside, fmt.Errorf("restore to %s: %w", path, err)
	}
	info, err := os.Stat(path)
	if err == nil {
		c.Bytes = info.Size()
	}
	return c, aside, err
}

// prepareCopy makes path.restoring of the backup, marked and on the disk.
func prepareCopy(ctx context.Context, path, backup string) (err error) {
	part := path + ".restoring"
	in, err := os.Open(backup)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // of an interrupted one nothing is kept
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeAll(part, part+"-journal"))
		}
	}()
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return err
	}
	return markCopy(ctx, part, restoredMark{})
}
