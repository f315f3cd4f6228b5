package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gazetted/internal/news"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// lookFunc is a looker of a test.
type lookFunc func(ctx context.Context, j *job) (outcome, error)

func (f lookFunc) look(ctx context.Context, j *job) (outcome, error) { return f(ctx, j) }

func TestWatcherBackoff(t *testing.T) {
	m := newMemStore(news.Source{Name: "site", Kind: news.SourceFolder})
	w := newTestWatcher(t, m)
	var fail error
	w.lookers[news.SourceFolder] = lookFunc(func(context.Context, *job) (outcome, error) { return outcome{cursor: "kept"}, fail })
	next := func() time.Duration {
		t.Helper()
		_, err := w.Look(context.Background(), "site")
		if (err == nil) != (fail == nil) {
			t.Fatalf("look: %v", err)
		}
		return m.sources["site"].Look.NextAt.Sub(testNow())
	}
	if got := next(); got != time.Minute {
		t.Errorf("after success %v", got)
	}
	fail = errors.New("down")
	for i, want := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		if got := next(); got != want*time.Minute {
			t.Errorf("after failure %d: %v, want %v", i+1, got, want*time.Minute)
		}
	}
	if l := m.sources["site"].Look; l.Failures != 8 || l.Err != "down" || l.Cursor != "kept" {
		t.Errorf("look %+v", l)
	}
	fail = fmt.Errorf("list: %w", &StatusError{Code: 429, RetryAfter: 2 * time.Hour})
	if got := next(); got != 2*time.Hour {
		t.Errorf("with Retry-After %v", got)
	}
	fail = nil
	if got := next(); got != time.Minute || m.sources["site"].Look.Failures != 0 {
		t.Errorf("after recovery %v", got)
	}
}

func TestWatcherJitter(t *testing.T) {
	m := newMemStore()
	r := 0.0
	w := New(Options{Store: m, Client: testClient(t), Rand: func() float64 { return r }})
	if got := w.jitter(time.Minute); got != 54*time.Second {
		t.Errorf("lowest %v", got)
	}
	r = 0.999999
	if got := w.jitter(time.Minute); got < 65*time.Second || got > 66*time.Second {
		t.Errorf("highest %v", got)
	}
}

func TestWatcherPanic(t *testing.T) {
	m := newMemStore(news.Source{Name: "site", Kind: news.SourceFolder})
	w := newTestWatcher(t, m)
	w.lookers[news.SourceFolder] = lookFunc(func(context.Context, *job) (outcome, error) { panic("parser") })
	if _, err := w.Look(context.Background(), "site"); err == nil || !strings.Contains(err.Error(), "parser") {
		t.Errorf("%v", err)
	}
	if m.sources["site"].Look.Failures != 1 || m.leased[1] {
		t.Errorf("look %+v", m.sources["site"].Look)
	}
}

func TestWatcherKinds(t *testing.T) {
	m := newMemStore(news.Source{Name: "later", Kind: "telegraph"}, news.Source{Name: "cms", Kind: news.SourcePush})
	w := newTestWatcher(t, m)
	if _, err := w.Look(context.Background(), "later"); err == nil {
		t.Error("a kind that is not there yet was looked at")
	}
	if _, err := w.Look(context.Background(), "cms"); err != nil || m.sources["cms"].ActivatedAt.IsZero() {
		t.Errorf("push: %v", err)
	}
	if _, err := w.Look(context.Background(), "nobody"); !errors.Is(err, news.ErrNotFound) {
		t.Errorf("unknown source: %v", err)
	}
}

func TestWatcherRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore(
			news.Source{Name: "bad", Kind: news.SourceWordPress}, news.Source{Name: "good", Kind: news.SourceGhost}, news.Source{Name: "slow", Kind: news.SourceFeed})
		m.now = time.Now
		var mu sync.Mutex
		looks := map[string]int{}
		w := New(Options{Store: m, Client: testClient(t), Workers: 2, Events: func(e Event) {
			mu.Lock()
			defer mu.Unlock()
			looks[e.Source]++
			if (e.Source == "bad") != (e.Err != nil) {
				t.Errorf("event %+v", e)
			}
		}})
		count := func(name string) int { mu.Lock(); defer mu.Unlock(); return looks[name] }
		w.lookers[news.SourceWordPress] = lookFunc(func(context.Context, *job) (outcome, error) { return outcome{}, errors.New("down") })
		w.lookers[news.SourceGhost] = lookFunc(func(context.Context, *job) (outcome, error) { return outcome{complete: true}, nil })
		w.lookers[news.SourceFeed] = lookFunc(func(ctx context.Context, _ *job) (outcome, error) {
			select {
			case <-time.After(5 * time.Minute):
			case <-ctx.Done():
			}
			return outcome{complete: true}, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		<-time.After(10 * time.Minute)
		if n := count("good"); n < 9 || n > 12 {
			t.Errorf("%d looks at the good one in 10 minutes, with a bad and a slow one beside it", n)
		}
		if n := count("bad"); n < 3 || n > 5 {
			t.Errorf("%d looks at the bad one", n)
		}
		before := count("good")
		if err := m.PollNow(ctx, "good"); err != nil {
			t.Fatal(err)
		}
		w.Wake()
		synctest.Wait()
		if count("good") != before+1 {
			t.Error("Wake did not make it look at once")
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		for id, leased := range m.leased {
			if leased {
				t.Errorf("source %d is still leased after Run", id)
			}
		}
		if l := m.sources["slow"].Look; l.Failures != 0 {
			t.Errorf("being stopped counted as a failure: %+v", l)
		}
	})
}

func TestWatcherHintWhileLooking(t *testing.T) {
	m := newMemStore(news.Source{Name: "site", Kind: news.SourceFolder})
	w := newTestWatcher(t, m)
	w.lookers[news.SourceFolder] = lookFunc(func(ctx context.Context, j *job) (outcome, error) {
		return outcome{complete: true}, map[bool]error{false: errors.New("not called back")}[w.hinted(ctx, j.src.ID, j.src.Name)]
	})
	if _, err := w.Look(context.Background(), "site"); err != nil {
		t.Fatal(err)
	}
	if next := m.sources["site"].Look.NextAt; !next.Equal(testNow()) {
		t.Errorf("next look at %v, want now: the hint may have come too late for this look", next)
	}
	if w.hinted(context.Background(), 9, "removed") {
		t.Error("a removed source is still watched")
	}
}

// However often a hook is called, the source is looked at once in HintGap; and
// a call during a look is not lost.
func TestWatch_37_HintsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemStore(news.Source{Name: "site", Kind: news.SourceGhost, Settings: news.SourceSettings{Poll: news.Duration(time.Hour)}})
		m.now = time.Now
		var looks, during atomic.Int32
		w := New(Options{Store: m, Client: testClient(t), Events: func(Event) { looks.Add(1) }})
		w.lookers[news.SourceGhost] = lookFunc(func(ctx context.Context, j *job) (outcome, error) {
			if during.CompareAndSwap(1, 0) {
				return outcome{complete: true}, w.Hint(ctx, j.src)
			}
			return outcome{complete: true}, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- w.Run(ctx) }()
		<-time.After(time.Minute)
		if n := looks.Load(); n != 1 {
			t.Fatalf("%d looks before any hint", n)
		}
		src, err := m.SourceByName(ctx, "site")
		if err != nil {
			t.Fatal(err)
		}
		hint := func() {
			t.Helper()
			if err := w.Hint(ctx, src); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		hint()
		if n := looks.Load(); n != 2 {
			t.Fatalf("%d looks after a hint, want one at once", n)
		}
		for range 100 { // ten in a second
			hint()
			<-time.After(100 * time.Millisecond)
		}
		if n := looks.Load(); n < 5 || n > 8 {
			t.Errorf("%d looks after ten seconds of hints", n)
		}
		<-time.After(time.Minute)
		during.Store(1)
		looks.Store(0)
		hint()
		<-time.After(time.Minute)
		if n := looks.Load(); n != 2 {
			t.Errorf("%d looks, want a second one for the hint during the first", n)
		}
		if err := w.Hint(ctx, news.Source{ID: 99}); !errors.Is(err, news.ErrNotFound) {
			t.Errorf("a source that is gone: %v", err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestWatcherFolderHints(t *testing.T) {
	dir := t.TempDir()
	m := newMemStore(news.Source{Name: "site", Kind: news.SourceFolder, Location: dir, Settings: news.SourceSettings{BaseURL: "https://n.example/", Poll: news.Duration(time.Hour)}})
	m.now = time.Now
	events := make(chan Event, 100)
	w := New(Options{Store: m, Client: testClient(t), Idle: time.Hour, Events: func(e Event) { events <- e }})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- w.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	deadline := time.After(20 * time.Second)
	wait := func(what string, ok func(Event) bool) {
		t.Helper()
		for {
			select {
			case e := <-events:
				if ok(e) {
					return
				}
			case <-deadline:
				t.Fatalf("%s was not noticed", what)
			}
		}
	}
	wait("the first run", func(e Event) bool { return e.Activated })
	wait("the look after the watch was set", func(Event) bool { return true })
	sub := filepath.Join(dir, "2026", "03")
	if err := os.MkdirAll(sub, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.md"), []byte(post("A", "2026-01-01")), 0o644); err != nil {
		t.Fatal(err)
	}
	wait("a new file", func(e Event) bool { return e.Report.Counts.New == 1 })
	if err := os.WriteFile(filepath.Join(sub, "b.md"), []byte(post("B", "2026-01-01")), 0o644); err != nil {
		t.Fatal(err)
	}
	wait("a new file in a new folder", func(e Event) bool { return e.Report.Counts.New == 1 })
}

func TestWatcherObeysRetryAfter(t *testing.T) {
	f, m, w := wpSite(t, 1)
	f.AnswerWith(func(rw http.ResponseWriter, _ *http.Request) bool {
		rw.Header().Set("Retry-After", "7200")
		rw.WriteHeader(http.StatusTooManyRequests)
		return true
	})
	if _, err := w.Look(context.Background(), "site"); err == nil {
		t.Fatal("429 is no success")
	}
	if got := m.sources["site"].Look.NextAt.Sub(testNow()); got != 2*time.Hour {
		t.Errorf("next look after %v, want two hours", got)
	}
}
