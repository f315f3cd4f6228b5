package store_test

import (
	"slices"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

func TestRelaysArePausedByName(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		names := func() []string {
			t.Helper()
			names, err := db.PausedRelays(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return names
		}
		for _, name := range []string{"zeta", "smtp.example.org:25 % _", "zeta"} {
			if err := db.SetRelayPaused(t.Context(), name, true); err != nil {
				t.Fatal(err)
			}
		}
		if got := names(); !slices.Equal(got, []string{"smtp.example.org:25 % _", "zeta"}) {
			t.Errorf("%q", got)
		}
		if paused, err := db.Paused(t.Context()); paused || err != nil {
			t.Errorf("everything is paused: %v, %v", paused, err)
		}
		for _, name := range []string{"zeta", "never paused"} {
			if err := db.SetRelayPaused(t.Context(), name, false); err != nil {
				t.Fatal(err)
			}
		}
		if got := names(); !slices.Equal(got, []string{"smtp.example.org:25 % _"}) {
			t.Errorf("%q", got)
		}
		if err := db.SetRelayPaused(t.Context(), "", true); err == nil {
			t.Error("a relay without a name was paused")
		}
	})
}

// TestRelaysAreReported: each process speaks for itself, what went through adds
// up, and both are forgotten in time.
func TestRelaysAreReported(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		report := func(process string, condition news.RelayCondition, accepted, deferred int) {
			t.Helper()
			since := news.DeliveryTally{news.DeliveryAccepted: accepted}
			if deferred > 0 {
				since[news.DeliveryDeferred] = deferred
			}
			err := db.ReportRelays(t.Context(), []news.RelayReport{
				{RelayState: news.RelayState{
					Relay: "main", Process: process, Condition: condition, LastFault: "connect: \x00 refused", Offer: &news.RelayOffer{Extensions: []string{"SIZE 10"}},
					Slowed: []news.DomainLimit{{Domain: "slow.example", Allowed: 1, Gap: news.Duration(time.Second)}},
				}, Since: since},
				{RelayState: news.RelayState{Relay: "spare", Process: process, Condition: news.RelayUp}},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		states := func() (out []news.RelayState) {
			t.Helper()
			out, err := db.RelayStates(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		traffic := func() news.RelayTraffic {
			t.Helper()
			all, err := db.RelayTraffic(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return all["main"]
		}
		report("a/1", news.RelayUp, 5, 0)
		db.Clock.Advance(2 * time.Minute)
		report("b/2", news.RelayOpen, 2, 1)
		report("a/1", news.RelayUp, 1, 0)
		got := states()
		if len(got) != 4 || got[0].Process != "a/1" || got[1].Process != "b/2" || got[1].Condition != news.RelayOpen || got[1].Offer.Extensions[0] != "SIZE 10" ||
			got[1].Slowed[0].Gap != news.Duration(time.Second) || got[2].Relay != "spare" {
			t.Errorf("%+v", got)
		}
		if now := db.Clock.Now(); !got[0].Live(now) || got[0].Live(now.Add(news.RelayLife)) || got[0].Live(now.Add(-time.Hour)) {
			t.Error("who is alive is taken for dead, or the other way round")
		}
		if x := traffic(); x.Hour[news.DeliveryAccepted] != 8 || x.Day[news.DeliveryAccepted] != 8 || x.Day[news.DeliveryDeferred] != 1 {
			t.Errorf("%+v", x)
		}
		db.Clock.Advance(90 * time.Minute)
		report("a/1", news.RelayUp, 1, 0)
		if x := traffic(); x.Hour[news.DeliveryAccepted] != 1 || x.Hour[news.DeliveryDeferred] != 0 || x.Day[news.DeliveryAccepted] != 9 {
			t.Errorf("%+v", x)
		}
		db.Clock.Advance(23 * time.Hour)
		report("a/1", news.RelayUp, 1, 0)
		if x := traffic(); x.Day[news.DeliveryAccepted] != 2 || len(states()) != 2 {
			t.Errorf("%+v, %+v", x, states())
		}
	})
}
