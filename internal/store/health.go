package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"gazetted/internal/news"
)

// health is what reads and writes have told so far of the state of the database.
type health struct {
	mu    sync.Mutex
	err   error         // why the last attempt to write failed; nil: it did not
	at    time.Time     // of that attempt
	fault error         // why nothing is done any more
	ended chan struct{} // closed with fault

	probing sync.Mutex // held by the one caller of Ready who writes
}

func newHealth() *health { return &health{ended: make(chan struct{})} }

// How often Ready writes.
const (
	// provenFor is how long one write stands for those to come.
	provenFor = 15 * time.Second
	// failedFor is how long a failure does; other failures in that time renew it.
	failedFor = time.Second
	// probeBytes are written to see whether a failure is over: about as much as
	// a batch of outcomes, because a full disk often has room for one row.
	probeBytes = 64 << 10
)

// Ready is nil while the database can be written. It knows of a failure from
// the writes of others; now and then, when asked, it writes a row of its own: on
// a disk that is full or mounted read-only, and on a standby server, reading
// still works.
func (s *Store) Ready(ctx context.Context) error {
	s.health.probing.Lock()
	defer s.health.probing.Unlock()
	if err := s.Fault(); err != nil {
		return err
	}
	known, err := s.health.written(s.now())
	if known {
		return err
	}
	texts := []string{""}
	if err != nil {
		texts = []string{strings.Repeat(" ", probeBytes), ""}
	}
	for _, text := range texts {
		if err := s.write(ctx, "probe", func(t *tx) error {
			return t.setting("probe", strconv.FormatInt(ms(t.now), 10)+text)
		}); err != nil {
			s.health.noteWrite(err, s.now())
			return err
		}
	}
	s.health.noteWrite(nil, s.now())
	return nil
}

// written tells whether the last attempt's result still counts, and what it was.
func (h *health) written(now time.Time) (known bool, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	limit := provenFor
	if h.err != nil {
		limit = failedFor
	}
	age := now.Sub(h.at)
	return !h.at.IsZero() && age >= 0 && age < limit, h.err
}

func (h *health) noteWrite(err error, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err, h.at = err, now
}

// Fault is nil, or the news.ErrFault after which nothing is read or written any more.
func (s *Store) Fault() error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	return s.health.fault
}

// Watch returns the news.ErrFault after which the process must end, or nil when
// ctx ends.
func (s *Store) Watch(ctx context.Context) error {
	select {
	case <-s.health.ended:
		return s.Fault()
	case <-ctx.Done():
		return nil
	}
}

// observe learns from an error of the database, and words it for people.
func (s *Store) observe(err error) error {
	if err == nil {
		return nil
	}
	said := s.d.explain(err)
	if s.path != "" && distrust(err) {
		if full := diskFull(filepath.Dir(s.path)); full != nil {
			said = fmt.Errorf("%w: %w: %w", news.ErrUnavailable, full, err)
		} else {
			return s.fail(said)
		}
	}
	if errors.Is(said, news.ErrUnavailable) {
		s.health.noteWrite(said, s.now())
	}
	return said
}

// fail ends all writing, for the first reason that is given.
func (s *Store) fail(err error) error {
	s.health.mu.Lock()
	defer s.health.mu.Unlock()
	if s.health.fault == nil {
		s.health.fault = fmt.Errorf("%w: %w", news.ErrFault, err)
		close(s.health.ended)
	}
	return s.health.fault
}

// distrust tells errors of SQLite after which this process cannot go on. When
// an fsync has failed, Linux calls the pages clean that did not reach the disk:
// to write on, or to believe what is read, would build on sand
// (https://www.sqlite.org/rescode.html#ioerr_fsync). The rest are signs of a
// disk or a file that is damaged.
func distrust(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	case sqlite3.SQLITE_IOERR:
		// Memory, locks, and the index of the log, which is no file of record.
		switch e.Code() {
		case sqlite3.SQLITE_IOERR_NOMEM, sqlite3.SQLITE_IOERR_BLOCKED, sqlite3.SQLITE_IOERR_LOCK, sqlite3.SQLITE_IOERR_RDLOCK,
			sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK, sqlite3.SQLITE_IOERR_SHMLOCK, sqlite3.SQLITE_IOERR_SHMSIZE:
			return false
		}
		return true
	}
	return false
}

// diskFull tells whether the folder has no room. SQLite knows ENOSPC, but an
// exhausted quota looks to it like a broken disk.
func diskFull(dir string) error {
	f, err := os.CreateTemp(dir, ".gazetted-room-*")
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
			return err
		}
		return nil
	}
	_, err = f.Write(make([]byte, probeBytes))
	_ = f.Close()           // what counts is the write
	_ = os.Remove(f.Name()) // a leftover would be empty
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return err
	}
	return nil
}
