package store_test

import (
	"slices"
	"testing"

	"gazetted/internal/dbtest"
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
