package daemon_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/digest"
	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/templates"
)

// fanOutReaders are the readers of BenchmarkFanOut.
const fanOutReaders = 1_000_000

// follow subscribes so many readers, a tenth of them with a topic of their own.
func follow(b *testing.B, db *dbtest.DB, list string, n int) {
	b.Helper()
	batch := make([]news.SubscribeRequest, 0, 1000)
	for i := range n {
		a, err := news.ParseAddress("address", fmt.Sprintf("reader%d@reader.example", i))
		if err != nil {
			b.Fatal(err)
		}
		r := news.SubscribeRequest{Address: a, List: list, Confirmed: true}
		if i%10 == 0 {
			r.Topics = []news.Topic{"category:world"}
		}
		if batch = append(batch, r); len(batch) == cap(batch) || i == n-1 {
			if _, _, err := db.ImportSubscribers(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// benchEditor is what a daemon plans and closes editions with.
func benchEditor(b *testing.B, db *dbtest.DB) *digest.Editor {
	b.Helper()
	set, err := templates.Load(nil)
	if err != nil {
		b.Fatal(err)
	}
	return digest.New(digest.Options{
		Store: db.Store, Templates: set, Links: benchLinks(b, db), Site: templates.SiteView{Title: "Gazette", URL: "https://gazette.example"}, Now: db.Clock.Now,
	})
}

// BenchmarkFanOut closes an edition for a million readers, from planning to the last
// delivery queued. Meanwhile somebody writes one row after the other, as web forms and
// couriers do: longest-wait is how long one of them had to wait.
func BenchmarkFanOut(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(testing.TB) *dbtest.DB
	}{{"sqlite", dbtest.SQLite}, {"postgres", dbtest.Postgres}} {
		b.Run(kind.name, func(b *testing.B) {
			db := kind.open(b)
			b.StopTimer()
			if _, err := db.AddList(b.Context(), news.List{Name: "world", Title: "World", Zone: "UTC", Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}}); err != nil {
				b.Fatal(err)
			}
			src, err := db.AddSource(b.Context(), news.Source{Name: "cms", Kind: news.SourcePush})
			if err != nil {
				b.Fatal(err)
			}
			benchRelease(b, db, src.ID, 0)
			begun := time.Now()
			follow(b, db, "world", fanOutReaders)
			imported := time.Since(begun)
			editor := benchEditor(b, db)
			resetPeak(b)
			b.ResetTimer()
			var longest, cpu time.Duration
			for n := range b.N {
				b.StopTimer()
				benchRelease(b, db, src.ID, n+1)
				stop := others(b, db, &longest)
				before := cpuTime(b)
				b.StartTimer()
				made, err := editor.Manual(b.Context(), "world", "daily")
				b.StopTimer()
				cpu += cpuTime(b) - before // of PostgreSQL's work the server does most
				stop()
				if err != nil || len(made) != 1 || made[0].State != news.EditionClosed || made[0].Intended != fanOutReaders {
					b.Fatal(made, err)
				}
				db.Clock.Advance(time.Hour)
			}
			b.ReportMetric(fanOutReaders*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
			b.ReportMetric(float64(cpu.Microseconds())/fanOutReaders/float64(b.N), "cpu-µs/row")
			b.ReportMetric(fanOutReaders/imported.Seconds(), "imported/s")
			b.ReportMetric(float64(longest.Milliseconds()), "longest-wait-ms")
			b.ReportMetric(float64(peakRSS(b))/(1<<20), "peak-MB")
		})
	}
}

// others writes one row after the other until it is told to stop.
func others(b *testing.B, db *dbtest.DB, longest *time.Duration) (stop func()) {
	b.Helper()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(5 * time.Millisecond):
			}
			begun := time.Now()
			if err := db.SetPaused(b.Context(), false); err != nil {
				b.Error(err)
				return
			}
			*longest = max(*longest, time.Since(begun))
		}
	})
	return func() { close(done); wg.Wait() }
}

func benchRelease(b *testing.B, db *dbtest.DB, source int64, n int) {
	b.Helper()
	id := fmt.Sprint("a", n)
	found := news.Found{
		NativeID: id, URL: "https://gazette.example/" + id, Title: "The harbour", Terms: []news.TermRef{{Kind: news.KindCategory, NativeID: "1", Slug: "world", Name: "World"}},
	}
	if _, err := db.StoreArticles(b.Context(), source, []news.Found{found}); err != nil {
		b.Fatal(err)
	}
	db.Clock.Advance(time.Minute)
	if n, _, err := db.ReleaseDue(b.Context()); n != 1 || err != nil {
		b.Fatal(n, err)
	}
}

// resetPeak makes the kernel measure the peak of our resident memory anew.
func resetPeak(b *testing.B) {
	b.Helper()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Log("the peak is that of the whole run:", err)
	}
}

// peakRSS is the most memory that was resident since resetPeak, in bytes.
func peakRSS(b *testing.B) int64 {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Log("no peak of memory on this system:", err)
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			if err != nil {
				b.Fatal(err)
			}
			return kb << 10
		}
	}
	return 0
}
