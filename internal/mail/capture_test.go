package mail

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/news"
)

func newCapture(t testing.TB, dir string, keep int) *Capture {
	t.Helper()
	at := time.Date(2026, 3, 12, 7, 0, 0, 0, time.UTC)
	var mu sync.Mutex
	c, err := NewCapture(dir, keep, func() time.Time { mu.Lock(); defer mu.Unlock(); at = at.Add(time.Second); return at })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func files(t *testing.T, dir, sub string) int {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, sub))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestCaptureIsAMailbox(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mail")
	c := newCapture(t, dir, 3)
	s, err := c.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	raw := mustBytes(t, testSpec(), testRecipient())
	for i := range 5 {
		if err := s.Begin(t.Context(), envelope("ana@example.net"), raw); err != nil {
			t.Fatal(err)
		}
		if want := min(i, 3); files(t, dir, "new") != want || files(t, dir, "tmp") != 1 {
			t.Errorf("before dot %d: %d messages, want %d", i, files(t, dir, "new"), want)
		}
		if err := s.Dot(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	list, err := c.Mailbox().List(t.Context(), 2)
	if err != nil || len(list) != 2 || !list[0].At.After(list[1].At) {
		t.Fatalf("%+v, %v", list, err)
	}
	one := list[0]
	if one.Subject != testSpec().Variant.Subject || one.From != "O Diário <news@example.org>" || one.To != "Ana Müller <ana&co@example.net>" || one.Bytes != int64(len(raw)) {
		t.Errorf("%+v", one)
	}
	r, err := c.Mailbox().Open(one.Name)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != string(raw) {
		t.Errorf("other bytes came back, %v", err)
	}
	fields, text, page, err := c.Mailbox().Parts(one.Name)
	if err != nil || text != render(testSpec().Variant.Text, testRecipient(), false) || page != render(testSpec().Variant.HTML, testRecipient(), true) {
		t.Errorf("text %q, html %q, %v", text, page, err)
	}
	if all := fmt.Sprint(fields); !strings.HasPrefix(all, "[[Auto-Submitted auto-generated] [Content-Language pt-BR]") || !strings.Contains(all, "[Subject São Paulo") {
		t.Errorf("fields %s", all)
	}

	// What was begun and not ended is nothing, also for the next start.
	if err := s.Begin(t.Context(), envelope("ana@example.net"), raw); err != nil {
		t.Fatal(err)
	}
	again := newCapture(t, dir, 3)
	if files(t, dir, "tmp") != 0 || files(t, dir, "new") != 3 || len(again.names) != 3 {
		t.Errorf("after a restart: %d in tmp, %d in new", files(t, dir, "tmp"), files(t, dir, "new"))
	}
	if err := s.Dot(t.Context()); err == nil || Judge(err).Verdict != RelayFault {
		t.Errorf("dot without its file: %v", err)
	}
}

func TestCaptureNamesStayInside(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "secret.eml"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	box := newCapture(t, filepath.Join(dir, "mail"), 0).Mailbox()
	for _, name := range []string{"", ".", "..", "../../secret.eml", "..%2fsecret.eml", "/etc/passwd", "a\x00b.eml", `..\secret.eml`, strings.Repeat("1", 200) + ".eml", "1773298800000.M000000001P1.eml"} {
		if _, err := box.Open(name); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("%q: %v", name, err)
		}
		if _, _, _, err := box.Parts(name); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("parts of %q: %v", name, err)
		}
	}
}

func TestCaptureFromManySessions(t *testing.T) {
	dir := t.TempDir()
	c := newCapture(t, dir, 50)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			s, _ := c.Open(t.Context())
			for range 10 {
				if err := errors.Join(s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	list, err := c.Mailbox().List(t.Context(), 1000)
	if err != nil || len(list) != 50 || files(t, dir, "new") != 50 || files(t, dir, "tmp") != 0 {
		t.Errorf("%d listed, %d files, %v", len(list), files(t, dir, "new"), err)
	}
}
