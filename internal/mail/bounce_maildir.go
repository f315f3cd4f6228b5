package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// Maildir is a Box that a mail server delivers into. What was handled moves
// from new to cur, as if it had been read; what was no bounce of ours moves to
// failed, a folder beside them, for a person to look at.
type Maildir struct {
	dir  string
	root *os.Root
}

// OpenMaildir opens the Maildir at dir and makes what is missing. Close ends it.
func OpenMaildir(dir string) (*Maildir, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open maildir: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open maildir: %w", err)
	}
	for _, sub := range []string{"tmp", "new", "cur", "failed"} {
		if err := root.Mkdir(sub, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, errors.Join(fmt.Errorf("open maildir: %w", err), root.Close())
		}
	}
	return &Maildir{dir: dir, root: root}, nil
}

// Close releases the folder.
func (m *Maildir) Close() error { return m.root.Close() }

// Name is the folder.
func (m *Maildir) Name() string { return m.dir }

// Collect reads new, in the order of the names.
func (m *Maildir) Collect(ctx context.Context, read ReadFunc) error {
	entries, err := fs.ReadDir(m.root.FS(), "new")
	if err != nil {
		return err
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		// Maildir keeps nothing but plain files; a link could lead anywhere.
		if !e.Type().IsRegular() || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		if err := m.one(ctx, e.Name(), read); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func (m *Maildir) one(ctx context.Context, name string, read ReadFunc) error {
	f, err := m.root.Open("new/" + name)
	if err != nil {
		return err // gone: another process has taken it
	}
	rec, err := read(ctx, io.LimitReader(f, maxIncoming))
	_ = f.Close() // only read
	if err != nil {
		return err
	}
	if !rec.Ignored.Handled() {
		return m.root.Rename("new/"+name, "failed/"+name)
	}
	seen := name
	if !strings.Contains(name, ":2,") {
		seen += ":2,S" // seen
	}
	return m.root.Rename("new/"+name, "cur/"+seen)
}
