package daemon

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrRunning says that another daemon works on the same SQLite file.
var ErrRunning = errors.New("another daemon runs on this database")

// LockDatabase keeps daemons off an SQLite file until unlock is called, as the
// daemon itself does. ErrRunning says that one runs.
func LockDatabase(cfg *Config) (unlock func() error, err error) { return lock(cfg) }

// lock keeps a second daemon off an SQLite file. The lock is the operating
// system's: it ends with the process, however that ends. PostgreSQL needs
// none, because any number of daemons may share one there.
func lock(cfg *Config) (unlock func() error, err error) {
	path, ok := strings.CutPrefix(cfg.DSN(), "sqlite:")
	if !ok {
		return func() error { return nil }, nil
	}
	path += ".lock"
	l := flock.New(path, flock.SetPermissions(0o640))
	locked, err := l.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if !locked {
		pid, _ := os.ReadFile(path) // only to say more
		return nil, fmt.Errorf("lock database: %w (process %s)", ErrRunning, strings.TrimSpace(string(pid)))
	}
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o640); err != nil {
		return nil, errors.Join(fmt.Errorf("lock database: %w", err), l.Close())
	}
	return l.Close, nil
}
