package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/news"
)

// The files of an SQLite database, and of the index that a killed process leaves.
func databaseFiles(w *run.World) []string {
	return []string{w.Path(), w.Path() + "-wal", w.Path() + "-shm"}
}

// files are the bytes of the database's files; nil: there is none.
type files map[string][]byte

func readFiles(w *run.World) (files, error) {
	out := files{}
	for _, name := range databaseFiles(w) {
		b, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		out[name] = b
	}
	return out, nil
}

func (f files) write() error {
	for name, b := range f {
		err := os.Remove(name)
		if b != nil {
			err = os.WriteFile(name, b, 0o600)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// damage is something that happens to the files of a database. It returns what is left.
type damage struct {
	what string
	do   func(db, wal, shm []byte) (db2, wal2, shm2 []byte)
}

func damages() []damage {
	const page = 4096
	garbage := bytes.Repeat([]byte{0xa5}, page)
	return []damage{
		{"missing", func(_, _, _ []byte) ([]byte, []byte, []byte) { return nil, nil, nil }},
		{"missing, its log is there", func(_, wal, shm []byte) ([]byte, []byte, []byte) { return nil, wal, shm }},
		{"empty", func(_, wal, shm []byte) ([]byte, []byte, []byte) { return []byte{}, wal, shm }},
		{"the first page", func(db, wal, shm []byte) ([]byte, []byte, []byte) { copy(db, garbage); return db, nil, nil }},
		{"a page in the middle", func(db, wal, shm []byte) ([]byte, []byte, []byte) {
			copy(db[len(db)/page/2*page:], garbage)
			return db, nil, nil
		}},
		{"cut in half", func(db, wal, shm []byte) ([]byte, []byte, []byte) { return db[:len(db)/2], nil, nil }},
		{"its log cut", func(db, wal, shm []byte) ([]byte, []byte, []byte) { return db, wal[:len(wal)/2], shm }},
	}
}

// damaged is F30: each kind of damage to the files that a killed daemon has left. The
// daemon refuses, says what would help, and makes no database of its own.
func damaged(ctx context.Context, w *run.World) error {
	w.Relay.Set(slowly(5 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, 50); err != nil {
		return err
	}
	p.Kill()
	left, err := readFiles(w)
	if err != nil {
		return err
	}
	if err := w.Store.Close(); err != nil { // it would go on with files that are gone
		return err
	}
	names := databaseFiles(w)
	for _, d := range damages() {
		db, wal, shm := d.do(bytes.Clone(left[names[0]]), bytes.Clone(left[names[1]]), bytes.Clone(left[names[2]]))
		if err := (files{names[0]: db, names[1]: wal, names[2]: shm}).write(); err != nil {
			return err
		}
		w.Injected++
		if said := w.StartRefused(ctx); !strings.Contains(said, "gazetted restore") {
			w.Problem("%s: it said: %s", d.what, said)
		}
		if now, err := os.ReadFile(names[0]); !bytes.Equal(now, db) || errors.Is(err, os.ErrNotExist) != (db == nil) {
			w.Problem("%s: the file was changed", d.what)
		}
	}
	if err := errors.Join(left.write(), w.Reopen(ctx), w.AgeLeases(ctx)); err != nil {
		return err
	}
	return finish(ctx, w)
}

// readOnlyFiles is F31: the disk is mounted read-only, then the folder and the file may not be
// written by the daemon's user. Root may write anyway; a process in a user namespace of
// its own, in which nobody is mapped, is the files' owner without that privilege.
func readOnlyFiles(ctx context.Context, w *run.World) error {
	remount := func(flags uintptr) error { return syscall.Mount("", w.DataDir, "", syscall.MS_REMOUNT|flags, "") }
	modes := func(folder, file os.FileMode) error {
		return errors.Join(os.Chmod(w.DataDir, folder), os.Chmod(w.Path(), file))
	}
	cases := []struct {
		what     string
		do, undo func() error
	}{
		{"a disk mounted read-only", func() error { return remount(syscall.MS_RDONLY) }, func() error { return remount(0) }},
		{"a folder that may not be written", func() error { return modes(0o500, 0o600) }, func() error { return modes(0o700, 0o600) }},
		{"a file that may not be written", func() error { return modes(0o700, 0o400) }, func() error { return modes(0o700, 0o600) }},
		{"a file that may not be read", func() error { return modes(0o700, 0) }, func() error { return modes(0o700, 0o600) }},
	}
	if err := w.Store.Close(); err != nil { // its files would be there already
		return err
	}
	w.Attr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER}
	for _, c := range cases {
		if err := c.do(); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
		w.Injected++
		if said := w.StartRefused(ctx); !strings.Contains(said, "cannot be written") {
			w.Problem("%s: it said: %s", c.what, said)
		}
		if err := c.undo(); err != nil {
			return fmt.Errorf("%s: %w", c.what, err)
		}
	}
	w.Attr = nil
	if err := w.Reopen(ctx); err != nil {
		return err
	}
	return finish(ctx, w)
}

// restored is F32: a backup of a daemon at work is put back after everything was sent.
func restored(ctx context.Context, w *run.World) error {
	w.Relay.Set(slowly(5 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, w.Subscribers/3); err != nil {
		return err
	}
	backup := filepath.Join(w.Dir, "backup.db")
	if _, err := w.CLI(ctx, "backup", backup); err != nil {
		return err
	}
	w.Relay.Set()
	if err := conclude(ctx, w, p); err != nil {
		return err
	}
	if err := w.Store.Close(); err != nil {
		return err
	}
	if _, err := w.CLI(ctx, "restore", "--yes", backup); err != nil {
		return err
	}
	w.Injected++
	if err := errors.Join(w.Reopen(ctx), w.PassSlots(ctx), w.AgeLeases(ctx)); err != nil {
		return err
	}
	return afterRestore(ctx, w)
}

// afterRestore demands that nothing is sent before the decision, and nothing twice after
// it.
func afterRestore(ctx context.Context, w *run.World) error {
	taken := w.Relay.Stats().Taken
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.Pass(ctx, 3*time.Second); err != nil { // nothing is to happen
		return err
	}
	if n := w.Relay.Stats().Taken - taken; n > 0 {
		w.Problem("%d mails were sent before anybody decided", n)
	}
	out, err := w.CLI(ctx, "status", "--json")
	if err != nil {
		return err
	}
	var st news.Status
	if err := json.Unmarshal(out, &st); err != nil {
		return err
	}
	if r := st.Restored; r == nil || len(r.Passed) != 1 || r.OpenDeliveries == 0 || r.OpenEditions != 1 {
		w.Problem("the status of a restored database: %s", out)
	}
	if _, err := w.CLI(ctx, "resume"); err == nil {
		w.Problem("an ordinary resume was enough")
	}
	if _, err := w.CLI(ctx, "resume", "--restored", "--open", "hold", "--slots", "skip"); err != nil {
		return err
	}
	return conclude(ctx, w, p)
}
