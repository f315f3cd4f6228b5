package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"gazetted/internal/news"
)

func groupStore(t testing.TB, wake func(news.Wake)) *Store {
	t.Helper()
	s, err := Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "g.db"), Options{Create: true, Wake: wake})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if err := s.Migrate(context.Background()); err != nil {
		t.Fatal(err)
	}
	return s
}

func set(name, value string) func(*tx) error {
	return func(t *tx) error {
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES ($1, $2)`, name, value)
		t.wake(news.WakeLists)
		return err
	}
}

// Writers that come at the same time share commits; who fails undoes only
// itself; everybody learns their own outcome.
func TestGroupedTransactionsFailAlone(t *testing.T) {
	t.Parallel()
	var wakes atomic.Int64
	s := groupStore(t, func(news.Wake) { wakes.Add(1) })
	oops := errors.New("oops")
	const n = 200
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() {
			errs[i] = s.write(t.Context(), "set", func(x *tx) error {
				if err := set(fmt.Sprint(i), "v")(x); err != nil {
					return err
				}
				if i%3 == 0 {
					return oops
				}
				return nil
			})
		})
	}
	wg.Wait()
	good := 0
	for i, err := range errs {
		if (i%3 == 0) != errors.Is(err, oops) {
			t.Fatalf("%d: %v", i, err)
		}
		if err == nil {
			good++
		}
	}
	var stored int
	if err := s.read(t.Context(), "count", func(x *tx) error {
		return x.get(&stored, `SELECT count(*) FROM settings WHERE name <> 'oldest_schema'`)
	}); err != nil {
		t.Fatal(err)
	}
	if stored != good || int(wakes.Load()) != good {
		t.Errorf("%d stored, %d wakes, %d succeeded", stored, wakes.Load(), good)
	}
}

func TestGroupedPanicStaysWithItsGoroutine(t *testing.T) {
	t.Parallel()
	s := groupStore(t, nil)
	var wg sync.WaitGroup
	var caught atomic.Int64
	for i := range 50 {
		wg.Go(func() {
			defer func() {
				if recover() != nil {
					caught.Add(1)
					if i%10 != 0 {
						t.Errorf("%d caught a panic of another", i)
					}
				}
			}()
			if err := s.write(t.Context(), "set", func(x *tx) error {
				if i%10 == 0 {
					panic("poison")
				}
				return set(fmt.Sprint(i), "v")(x)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if caught.Load() != 5 {
		t.Errorf("%d panics of 5", caught.Load())
	}
}

func TestGroupLeavesWhenTheContextEndsFirst(t *testing.T) {
	t.Parallel()
	s := groupStore(t, nil)
	begun, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- s.write(context.Background(), "hold", func(*tx) error { close(begun); <-release; return nil })
	}()
	<-begun
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.write(ctx, "set", set("late", "v")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := s.write(t.Context(), "set", set("late", "v")); err != nil {
		t.Errorf("the cancelled one was stored: %v", err)
	}
}

// BenchmarkGroup: one small durable transaction per writer, many writers.
func BenchmarkGroup(b *testing.B) {
	for _, writers := range []int{1, 10, 50} {
		b.Run(fmt.Sprint(writers), func(b *testing.B) {
			s := groupStore(b, nil)
			b.SetParallelism(writers)
			var n atomic.Int64
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.write(context.Background(), "set", set(fmt.Sprint(n.Add(1)), "v")); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
