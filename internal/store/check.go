package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"gazetted/internal/news"
)

// checkFor bounds how long Inspect looks for damage: enough for some hundred
// megabytes. Larger files are checked in part; Backup checks all of its copy.
const checkFor = 2 * time.Second

// Inspect is what a daemon asks before it touches an SQLite file: that it is
// whole, as far as a short look tells, and that what is read of it is on the
// disk. PostgreSQL sees to both itself.
func (s *Store) Inspect(ctx context.Context) error {
	if s.path == "" {
		return nil
	}
	if err := s.quickCheck(ctx); err != nil {
		return fmt.Errorf("check the database: %w", err)
	}
	// A disk that is full, or another program's lock, keeps nobody from starting.
	if err := s.flushLog(ctx); err != nil && !errors.Is(err, news.ErrUnavailable) {
		return fmt.Errorf("check the database: %w", err)
	}
	return nil
}

func (s *Store) quickCheck(ctx context.Context) error {
	looking, cancel := context.WithTimeout(ctx, checkFor)
	defer cancel()
	var answer string
	err := s.reader.GetContext(looking, &answer, `PRAGMA quick_check(1)`)
	switch {
	case looking.Err() != nil:
		return ctx.Err() // nothing was found so far
	case err != nil:
		return s.observe(err)
	case answer != "ok":
		return fmt.Errorf("%w: %s", ErrDamaged, strings.TrimSpace(answer))
	}
	return nil
}

// flushLog writes the whole log anew into the database and brings that to the
// disk. If an fsync failed in the process before this one, Linux may show pages
// of the log that never reached the disk, and calls them clean: nobody would
// write them again, and what is committed behind them would be lost with them
// at the next power cut.
func (s *Store) flushLog(ctx context.Context) error {
	var r struct {
		Busy         int `db:"busy"`
		Log          int `db:"log"`
		Checkpointed int `db:"checkpointed"`
	}
	if err := s.writer.GetContext(ctx, &r, `PRAGMA wal_checkpoint(TRUNCATE)`); err != nil {
		return s.observe(err)
	}
	return nil // busy: another process reads, and has seen the same log
}

// checkLog compares SQLite's log with its index, which a killed process leaves
// behind: a log that is shorter than what was committed to it has been cut, and
// SQLite would silently go back to an earlier moment. Commits reach the disk
// before they are entered in the index, so that no crash leaves this.
//
// The layout is of https://www.sqlite.org/walformat.html §2.1. What cannot be
// read, or is of another generation of the log, proves nothing.
func checkLog(path string) error {
	index, err := readStart(path+"-shm", 96)
	if err != nil || len(index) < 96 || !bytes.Equal(index[:48], index[48:]) {
		return nil //nolint:nilerr // without an index there is nothing to compare
	}
	log, err := readStart(path+"-wal", 32)
	if err != nil || len(log) < 32 || !bytes.Equal(log[16:24], index[32:40]) {
		return nil //nolint:nilerr // the same
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		return nil //nolint:nilerr // the same
	}
	page := int64(binary.NativeEndian.Uint16(index[14:]))
	if page == 1 {
		page = 1 << 16
	}
	frames := int64(binary.NativeEndian.Uint32(index[16:]))
	if want := 32 + frames*(24+page); info.Size() < want {
		return fmt.Errorf("%w: its log %s-wal has %d bytes, and %d were committed", ErrDamaged, path, info.Size(), want)
	}
	return nil
}

// readStart reads up to n bytes of a file.
func readStart(path string, n int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, n))
}
