package mail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"time"
)

// DefaultCaptured is how many messages a Capture keeps.
const DefaultCaptured = 10_000

// Capture is a relay that keeps mail in a folder instead of sending it, for
// trying things out. The folder is a Maildir (tmp, new, cur), so that any mail
// program can read it. Only the newest messages are kept.
//
// It does not call fsync: after a power cut captured mail may be missing.
type Capture struct {
	name string
	root *os.Root
	keep int
	now  func() time.Time

	mu    sync.Mutex
	count int64    // of messages since the start; makes names unique
	names []string // in new, oldest first
}

// NewCapture opens the Maildir at dir and makes it if needed. keep bounds it;
// 0: DefaultCaptured. Close ends it.
func NewCapture(dir string, keep int, now func() time.Time) (*Capture, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open capture folder: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open capture folder: %w", err)
	}
	if keep <= 0 {
		keep = DefaultCaptured
	}
	c := &Capture{name: "capture", root: root, keep: keep, now: now}
	if err := c.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open capture folder: %w", err), root.Close())
	}
	return c, nil
}

// load makes the three folders, drops what a crash left half-written, and
// reads what is there.
func (c *Capture) load() error {
	for _, sub := range []string{"tmp", "new", "cur"} {
		if err := c.root.Mkdir(sub, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	for _, sub := range []string{"tmp", "new"} {
		entries, err := fs.ReadDir(c.root.FS(), sub)
		if err != nil {
			return err
		}
		for _, e := range entries {
			switch {
			case !validCaptured(e.Name()):
			case sub == "tmp":
				if err := c.root.Remove("tmp/" + e.Name()); err != nil {
					return err
				}
			default:
				c.names = append(c.names, e.Name())
			}
		}
	}
	slices.Sort(c.names) // names begin with the time
	return nil
}

// Close releases the folder.
func (c *Capture) Close() error { return c.root.Close() }

// Name is "capture".
func (c *Capture) Name() string { return c.name }

// Open returns a session; it never fails.
func (c *Capture) Open(context.Context) (Session, error) { return &captureSession{c: c}, nil }

// newName is unique and sorts by time: milliseconds, number, process, as
// Maildir names do.
func (c *Capture) newName() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count++
	return fmt.Sprintf("%013d.M%09dP%d.eml", c.now().UnixMilli(), c.count, os.Getpid())
}

// validCaptured accepts what newName makes and nothing that could leave the folder.
func validCaptured(name string) bool {
	return len(name) > 13 && len(name) < 100 && strings.HasSuffix(name, ".eml") && name[0] != '.' &&
		strings.Trim(name, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.") == ""
}

// deliver moves a written file from tmp to new, and the oldest out.
func (c *Capture) deliver(name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.root.Rename("tmp/"+name, "new/"+name); err != nil {
		return err
	}
	at, _ := slices.BinarySearch(c.names, name)
	c.names = slices.Insert(c.names, at, name)
	for len(c.names) > c.keep {
		// Somebody may have read or removed it with another program.
		if err := c.root.Remove("new/" + c.names[0]); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil // the message is kept; the next one tries again
		}
		c.names = c.names[1:]
	}
	return nil
}

type captureSession struct {
	c    *Capture
	name string // in tmp; empty: none begun

	taken string // name of the last one that was delivered
}

// Begin writes the message to tmp.
func (s *captureSession) Begin(_ context.Context, _ Envelope, msg []byte) error {
	if _, err := checkWire(msg); err != nil {
		return &ReplyError{Stage: StageBody, Code: 554, Enhanced: "5.6.0", Text: err.Error()}
	}
	s.Abort()
	name := s.c.newName()
	f, err := s.c.root.OpenFile("tmp/"+name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return &ReplyError{Stage: StageBody, Err: err}
	}
	s.name = name
	_, err = f.Write(msg)
	if err = errors.Join(err, f.Close()); err != nil {
		s.Abort()
		return &ReplyError{Stage: StageBody, Err: err}
	}
	return nil
}

// Dot moves it to new. A failure is no doubt: the message was not taken.
func (s *captureSession) Dot(context.Context) error {
	if s.name == "" {
		return &ReplyError{Stage: StageBody, Err: errors.New("no message was begun")}
	}
	err := s.c.deliver(s.name)
	if err != nil {
		s.Abort()
		return &ReplyError{Stage: StageBody, Err: err}
	}
	s.name, s.taken = "", s.name
	return nil
}

// Receipt names the file.
func (s *captureSession) Receipt() Receipt {
	return Receipt{Code: 250, Enhanced: "2.0.0", Text: "captured as " + s.taken}
}

// Usable is always true.
func (s *captureSession) Usable() bool { return true }

// Quit forgets a message begun.
func (s *captureSession) Quit() { s.Abort() }

// Abort forgets a message begun.
func (s *captureSession) Abort() {
	if s.name != "" {
		_ = s.c.root.Remove("tmp/" + s.name)
		s.name = ""
	}
}
