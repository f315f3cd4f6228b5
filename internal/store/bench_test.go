package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

func eachBench(b *testing.B, f func(b *testing.B, db *dbtest.DB)) {
	b.Helper()
	b.Run("sqlite", func(b *testing.B) { f(b, dbtest.SQLite(b)) })
	b.Run("postgres", func(b *testing.B) { f(b, dbtest.Postgres(b)) })
}

// closeOne takes tomorrow's slot and closes it for the whole crowd.
func closeOne(b *testing.B, db *dbtest.DB, n int, measured func(func())) {
	b.Helper()
	if err := db.Exec(b.Context(), `UPDATE counters SET value = value + 1 WHERE name = 'seq'`); err != nil {
		b.Fatal(err)
	}
	db.Clock.Advance(24 * time.Hour)
	e, _, ok, err := db.TakeSlot(b.Context(), time.Hour)
	if err != nil || !ok {
		b.Fatal(ok, err)
	}
	measured(func() {
		groups, err := db.Audience(b.Context(), e)
		if err != nil {
			b.Fatal(err)
		}
		c := news.Closing{Edition: e, Subject: "News"}
		for i, g := range groups {
			c.Variants = append(c.Variants, news.Variant{Nonce: fmt.Sprint(e.ID, "-", i), Subject: "News", Group: g})
		}
		e, err = db.CloseEdition(b.Context(), c)
		for err == nil && e.State == news.EditionQueueing {
			e, err = db.QueueDeliveries(b.Context(), e.ID)
		}
		if err != nil || e.Intended != n {
			b.Fatalf("%+v, %v", e, err)
		}
	})
}

func crowdedList(b *testing.B, db *dbtest.DB, n, editions int) {
	b.Helper()
	l := daily("world")
	l.Frequencies = l.Frequencies[:1]
	if _, err := db.AddList(b.Context(), l); err != nil {
		b.Fatal(err)
	}
	crowd(b, db, n, editions)
}

// One edition for 100,000 readers: audience, fan-out, moving everybody on.
func BenchmarkCloseEdition(b *testing.B) {
	eachBench(b, func(b *testing.B, db *dbtest.DB) {
		const n = 100_000
		crowdedList(b, db, n, 0)
		b.ResetTimer()
		for range b.N {
			b.StopTimer()
			closeOne(b, db, n, func(f func()) { b.StartTimer(); f(); b.StopTimer() })
		}
		b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "readers/s")
	})
}

// What sending asks of the database, with nothing and with a million ended
// deliveries behind it, turn by turn, so that a busy machine slows both. ratio
// is how much longer it takes behind a million.
func BenchmarkClaimBehindAMillion(b *testing.B) {
	for _, kind := range []struct {
		name string
		open func(testing.TB) *dbtest.DB
	}{{"sqlite", dbtest.SQLite}, {"postgres", dbtest.Postgres}} {
		b.Run(kind.name, func(b *testing.B) {
			const readers, batch = 100_000, 100
			var took [2]time.Duration
			var dbs [2]*dbtest.DB
			var left [2]int
			for i := range dbs {
				dbs[i] = kind.open(b)
				crowdedList(b, dbs[i], readers, 10*i)
			}
			for range b.N {
				for i, db := range dbs {
					if left[i] < batch {
						closeOne(b, db, readers, func(f func()) { f() })
						left[i] = readers
					}
					left[i] -= batch
					begun := time.Now()
					sendBatch(b, db, batch)
					took[i] += time.Since(begun)
				}
			}
			b.ReportMetric(float64(took[0].Microseconds())/float64(batch*b.N), "alone-µs/mail")
			b.ReportMetric(float64(took[1].Microseconds())/float64(batch*b.N), "behind-µs/mail")
			b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// sendBatch claims deliveries, notes their dots and records that they were taken.
func sendBatch(b *testing.B, db *dbtest.DB, n int) {
	b.Helper()
	ds, err := db.ClaimDeliveries(b.Context(), n, time.Hour)
	if err != nil || len(ds) != n {
		b.Fatal(len(ds), err)
	}
	var outcomes []news.Outcome
	var dots []news.Dot
	for _, d := range ds {
		dots = append(dots, news.Dot{DeliveryID: d.ID, Token: d.Token})
		outcomes = append(outcomes, accepted(d))
	}
	if may, err := db.Settle(b.Context(), nil, dots); err != nil || slices.Contains(may, false) {
		b.Fatal(may, err)
	}
	if _, err := db.Settle(b.Context(), outcomes, nil); err != nil {
		b.Fatal(err)
	}
}

// The write before each final dot, one commit each.
func BenchmarkMarkDot(b *testing.B) {
	eachBench(b, func(b *testing.B, db *dbtest.DB) {
		const n = 50_000
		crowdedList(b, db, n, 0)
		var held []news.Delivery
		b.ResetTimer()
		for range b.N {
			if len(held) == 0 {
				b.StopTimer()
				closeOne(b, db, n, func(f func()) { f() })
				var err error
				if held, err = db.ClaimDeliveries(b.Context(), n, time.Hour); err != nil || len(held) != n {
					b.Fatal(len(held), err)
				}
				b.StartTimer()
			}
			d := held[0]
			held = held[1:]
			if ok, err := db.MarkDot(b.Context(), d.ID, d.Token); !ok || err != nil {
				b.Fatal(ok, err)
			}
		}
	})
}
