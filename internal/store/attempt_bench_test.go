package store_test

import (
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

// A relay that puts everything off: claiming and recording 500 deliveries, each
// with its reply kept.
func BenchmarkClaimAndDefer(b *testing.B) {
	eachBench(b, func(b *testing.B, db *dbtest.DB) {
		const n, batch = 20_000, 500
		crowdedList(b, db, n, 0)
		closeOne(b, db, n, func(f func()) { f() })
		b.ResetTimer()
		for range b.N {
			ds, err := db.ClaimDeliveries(b.Context(), batch, time.Hour)
			if err != nil || len(ds) != batch {
				b.Fatal(len(ds), err)
			}
			db.Clock.Advance(time.Millisecond)
			outcomes := make([]news.Outcome, 0, batch)
			for _, d := range ds {
				outcomes = append(outcomes, news.Outcome{
					DeliveryID: d.ID, Token: d.Token, State: news.DeliveryDeferred, Relay: "main", Code: 450, Enhanced: "4.7.1",
					Reply: "greylisted, please come back in five minutes",
				})
			}
			if err := db.RecordOutcomes(b.Context(), outcomes); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(batch)*float64(b.N)/b.Elapsed().Seconds(), "deliveries/s")
	})
}
