package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, e := range entries {
		out = append(out, e.Name())
	}
	return out
}

func TestMaildirIsEmptiedOnce(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	dir := filepath.Join(t.TempDir(), "bounces")
	box, err := OpenMaildir(dir)
	h.ok(err)
	defer box.Close()
	put := func(name, message string) {
		h.ok(os.WriteFile(filepath.Join(dir, "new", name), []byte(message), 0o600))
	}
	put("1.hard", report(h.returns.For(h.sent["reader1@example.net"].ID), noSuchUser, "Subject: x"))
	put("2.forged", report("bounces@news.example.org", noSuchUser, "Subject: x"))
	put("3.away:2,", "To: x@example.org\r\nAuto-Submitted: auto-replied\r\n\r\nAway\r\n")
	put("4.letter", "To: x@example.org\n\nHello\n")
	h.ok(os.Mkdir(filepath.Join(dir, "new", "5.folder"), 0o700))
	h.ok(os.Symlink("/etc/hostname", filepath.Join(dir, "new", "6.link")))
	var seen []BounceEvent
	h.bounces.o.Events = func(e BounceEvent) { seen = append(seen, e) }
	for range 2 {
		h.ok(h.bounces.Collect(t.Context(), box))
	}
	if got := names(t, filepath.Join(dir, "cur")); !slices.Equal(got, []string{"1.hard:2,S", "3.away:2,"}) {
		t.Errorf("cur: %q", got)
	}
	if got := names(t, filepath.Join(dir, "failed")); !slices.Equal(got, []string{"2.forged", "4.letter"}) {
		t.Errorf("failed: %q", got)
	}
	if got := names(t, filepath.Join(dir, "new")); !slices.Equal(got, []string{"5.folder", "6.link"}) {
		t.Errorf("new: %q", got)
	}
	if len(seen) != 4 || !seen[0].Received.Acted || seen[0].Box != dir || h.suppressions() != 1 {
		t.Errorf("%+v", seen)
	}
}

// brokenStore fails until it is mended.
type brokenStore struct {
	*dbtest.DB
	broken bool
}

var errStore = errors.New("disk full")

func (s *brokenStore) RecordBounce(ctx context.Context, b news.Bounce) (bool, error) {
	if s.broken {
		return false, errStore
	}
	return s.DB.RecordBounce(ctx, b)
}

func TestWhatCannotBeRecordedStaysWhereItIs(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	store := &brokenStore{DB: h.db, broken: true}
	var err error
	h.bounces, err = NewBounces(BounceOptions{Store: store, Signer: h.sign, Domain: "news.example.org", Now: h.db.Clock.Now})
	h.ok(err)
	dir := t.TempDir()
	box, err := OpenMaildir(dir)
	h.ok(err)
	defer box.Close()
	h.ok(os.WriteFile(filepath.Join(dir, "new", "1"), []byte(report(h.returns.For(h.sent["reader1@example.net"].ID), noSuchUser, "Subject: x")), 0o600))
	if err := h.bounces.Collect(t.Context(), box); !errors.Is(err, errStore) {
		t.Errorf("%v", err)
	}
	if got := names(t, filepath.Join(dir, "new")); len(got) != 1 {
		t.Errorf("new: %q", got)
	}
	store.broken = false
	h.ok(h.bounces.Collect(t.Context(), box))
	if h.suppressions() != 1 || len(names(t, filepath.Join(dir, "new"))) != 0 {
		t.Error("it was not read again")
	}
}

// imapServer is a mailbox in memory over a real connection.
func imapServer(t *testing.T) (port int, user *imapmemserver.User, roots *x509.CertPool) {
	t.Helper()
	user = imapmemserver.NewUser("bounces", "secret")
	if err := user.Create("INBOX", nil); err != nil {
		t.Fatal(err)
	}
	memory := imapmemserver.New()
	memory.AddUser(user)
	config, roots := smtptest.ServerTLS(t)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		TLSConfig: config, Caps: imap.CapSet{imap.CapIMAP4rev1: {}}, Logger: quiet{},
	})
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close(); <-done })
	return l.Addr().(*net.TCPAddr).Port, user, roots
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}

// literal is a message to append.
type literal struct {
	*strings.Reader
}

func (l literal) Size() int64 { return l.Reader.Size() }

func TestIMAPMailboxIsReadOnce(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	port, user, roots := imapServer(t)
	put := func(message string, flags ...imap.Flag) {
		_, err := user.Append("INBOX", literal{strings.NewReader(message)}, &imap.AppendOptions{Flags: flags})
		h.ok(err)
	}
	token := h.returns.For(h.sent["reader1@example.net"].ID)
	put(report(h.returns.For(h.sent["reader2@example.net"].ID), noSuchUser, "Subject: x"), imap.FlagSeen) // a person's business
	put(report(token, noSuchUser, "Subject: x"))
	put("To: x@example.org\r\n\r\nHello\r\n")
	options := IMAPOptions{Host: "127.0.0.1", Port: port, TLS: TLSStart, Username: "bounces", Password: "secret", Config: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	box, err := NewIMAP(options)
	h.ok(err)
	var seen []Received
	h.bounces.o.Events = func(e BounceEvent) { seen = append(seen, e.Received) }
	for range 2 {
		h.ok(h.bounces.Collect(t.Context(), box))
	}
	if len(seen) != 2 || !seen[0].Acted || seen[1].Ignored != IgnoredOther || h.suppressions() != 1 {
		t.Errorf("%+v", seen)
	}
	status, err := user.Status("INBOX", &imap.StatusOptions{NumUnseen: true, NumMessages: true})
	h.ok(err)
	if *status.NumUnseen != 0 || *status.NumMessages != 3 {
		t.Errorf("%d unseen of %d", *status.NumUnseen, *status.NumMessages)
	}

	wrong := options
	wrong.Password = "guess"
	box, err = NewIMAP(wrong)
	h.ok(err)
	if err := h.bounces.Collect(t.Context(), box); err == nil || !strings.Contains(err.Error(), "log in") || strings.Contains(err.Error(), "guess") {
		t.Errorf("%v", err)
	}
	untrusted := options
	untrusted.Config = nil
	box, err = NewIMAP(untrusted)
	h.ok(err)
	if err := h.bounces.Collect(t.Context(), box); err == nil {
		t.Error("an unknown certificate was believed")
	}
}

// A server that says nothing does not hold the daemon up when it stops.
func TestIMAPSilenceEndsWithTheContext(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	h.ok(err)
	met := make(chan struct{})
	hung := make(chan struct{})
	go func() {
		defer close(hung)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		close(met)
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	box, err := NewIMAP(IMAPOptions{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: TLSNone, Username: "x"})
	h.ok(err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.bounces.Run(ctx, []Box{box}, time.Hour) }()
	<-met
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	_ = l.Close()
	<-hung
}

func TestNewIMAPChecks(t *testing.T) {
	t.Parallel()
	for _, o := range []IMAPOptions{{}, {Host: "x"}, {Host: "x", Username: "y", TLS: "maybe"}} {
		if _, err := NewIMAP(o); err == nil {
			t.Errorf("%+v", o)
		}
	}
	b, err := NewIMAP(IMAPOptions{Host: "imap.example.org", Username: "x"})
	if err != nil || b.o.Port != 993 || b.o.Folder != "INBOX" || b.o.TLS != TLSImplicit {
		t.Errorf("%+v, %v", b, err)
	}
}
