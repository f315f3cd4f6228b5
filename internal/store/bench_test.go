package store_test

import (
	"fmt"
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

// Claiming and recording 500 deliveries with 1,000,000 done ones behind them.
func BenchmarkClaimAndRecord(b *testing.B) {
	eachBench(b, func(b *testing.B, db *dbtest.DB) {
		const n, batch = 200_000, 500
		crowdedList(b, db, n, 5)
		left := 0
		b.ResetTimer()
		for range b.N {
			if left < batch {
				b.StopTimer()
				closeOne(b, db, n, func(f func()) { f() })
				left += n
				b.StartTimer()
			}
			ds, err := db.ClaimDeliveries(b.Context(), batch, time.Hour)
			if err != nil || len(ds) != batch {
				b.Fatal(len(ds), err)
			}
			left -= batch
			outcomes := make([]news.Outcome, 0, batch)
			for _, d := range ds {
				outcomes = append(outcomes, accepted(d))
			}
			if err := db.RecordOutcomes(b.Context(), outcomes); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	})
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
