package news_test

import (
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
)

func mustSchedule(t *testing.T, line string) *news.Schedule {
	t.Helper()
	s, err := news.ParseSchedule(line)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestPlanSlot(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cron, zone, due, now string
		catchUp                    news.CatchUp
		maxLate                    time.Duration

		wantDue, wantNext, wantNote string
		missed                      int
		skip, past                  bool
	}{
		{name: "on time", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T07:00:12Z",
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-03T07:00:00Z"},
		{name: "at the very instant", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T07:00:00Z",
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-03T07:00:00Z"},
		{name: "down for three slots", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-05T08:00:00Z",
			wantDue: "2026-03-05T07:00:00Z", wantNext: "2026-03-06T07:00:00Z", missed: 3, wantNote: "covers 3 missed slots"},
		{name: "down for one slot", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-03T08:00:00Z",
			wantDue: "2026-03-03T07:00:00Z", wantNext: "2026-03-04T07:00:00Z", missed: 1, wantNote: "covers 1 missed slot"},
		{name: "later than max_late", cron: "0 7 * * 1", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-04T07:00:00Z",
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-09T07:00:00Z", skip: true, wantNote: "skipped: 48h0m0s late, and the list allows 24h0m0s"},
		{name: "exactly max_late", cron: "0 7 * * 1", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-03T07:00:00Z",
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-09T07:00:00Z"},
		{name: "policy skip, late", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T09:00:00Z", catchUp: news.CatchUpSkip,
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-03T07:00:00Z", skip: true, wantNote: "skipped: 2h0m0s late, and the list skips what it missed"},
		{name: "policy skip, within the grace", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T07:09:00Z", catchUp: news.CatchUpSkip,
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-03T07:00:00Z"},
		{name: "policy skip, back just in time for the latest", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-04T07:00:30Z", catchUp: news.CatchUpSkip,
			wantDue: "2026-03-04T07:00:00Z", wantNext: "2026-03-05T07:00:00Z", missed: 2, wantNote: "covers 2 missed slots"},
		{name: "policy all, the first of three", cron: "0 * * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T09:10:00Z", catchUp: news.CatchUpAll,
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-02T08:00:00Z", wantNote: "catches up, 2h10m0s late", past: true},
		{name: "policy all, too late", cron: "0 7 * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-04T09:00:00Z", catchUp: news.CatchUpAll,
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-03T07:00:00Z", wantNote: "skipped: 50h0m0s late, and the list allows 24h0m0s", skip: true, past: true},
		{name: "policy all, the last", cron: "0 * * * *", zone: "UTC", due: "2026-03-02T09:00:00Z", now: "2026-03-02T09:10:00Z", catchUp: news.CatchUpAll,
			wantDue: "2026-03-02T09:00:00Z", wantNext: "2026-03-02T10:00:00Z"},
		{name: "policy all, a hundred before the last", cron: "* * * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T08:40:30Z", catchUp: news.CatchUpAll,
			wantDue: "2026-03-02T07:00:00Z", wantNext: "2026-03-02T07:01:00Z", wantNote: "catches up, 1h40m30s late", past: true},
		{name: "policy all, too many", cron: "* * * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-03-02T08:41:30Z", catchUp: news.CatchUpAll,
			wantDue: "2026-03-02T08:41:00Z", wantNext: "2026-03-02T08:42:00Z", missed: 100, wantNote: "covers at least 100 missed slots"},
		{name: "a month of minutes", cron: "* * * * *", zone: "UTC", due: "2026-03-02T07:00:00Z", now: "2026-04-02T07:00:30Z",
			wantDue: "2026-04-02T07:00:00Z", wantNext: "2026-04-02T07:01:00Z", missed: 100, wantNote: "covers at least 100 missed slots"},

		// Spring: 02:30 does not exist; the slot fires once at the first instant after the gap.
		{name: "Berlin gap", cron: "30 2 * * *", zone: "Europe/Berlin", due: "2026-03-28T01:30:00Z", now: "2026-03-28T01:30:05Z",
			wantDue: "2026-03-28T01:30:00Z", wantNext: "2026-03-29T01:00:00Z"},
		{name: "Berlin after the gap", cron: "30 2 * * *", zone: "Europe/Berlin", due: "2026-03-29T01:00:00Z", now: "2026-03-29T01:00:05Z",
			wantDue: "2026-03-29T01:00:00Z", wantNext: "2026-03-30T00:30:00Z"},
		{name: "New York gap", cron: "30 2 * * *", zone: "America/New_York", due: "2026-03-07T07:30:00Z", now: "2026-03-07T07:30:05Z",
			wantDue: "2026-03-07T07:30:00Z", wantNext: "2026-03-08T07:00:00Z"},
		{name: "Lord Howe gap of 30 minutes", cron: "15 2 * * *", zone: "Australia/Lord_Howe", due: "2026-10-02T15:45:00Z", now: "2026-10-02T15:45:05Z",
			wantDue: "2026-10-02T15:45:00Z", wantNext: "2026-10-03T15:30:00Z"},
		{name: "Apia leaves out 30 December 2011", cron: "0 8 * * *", zone: "Pacific/Apia", due: "2011-12-29T18:00:00Z", now: "2011-12-29T18:00:05Z",
			wantDue: "2011-12-29T18:00:00Z", wantNext: "2011-12-30T10:00:00Z"},
		{name: "Apia after the missing day", cron: "0 8 * * *", zone: "Pacific/Apia", due: "2011-12-30T10:00:00Z", now: "2011-12-30T10:00:05Z",
			wantDue: "2011-12-30T10:00:00Z", wantNext: "2011-12-30T18:00:00Z"},

		// Autumn: 02:30 comes twice; only the first counts.
		{name: "Berlin fold", cron: "30 2 * * *", zone: "Europe/Berlin", due: "2026-10-25T00:30:00Z", now: "2026-10-25T00:30:05Z",
			wantDue: "2026-10-25T00:30:00Z", wantNext: "2026-10-26T01:30:00Z"},
		{name: "Berlin, taken in the second 02:30", cron: "30 2 * * *", zone: "Europe/Berlin", due: "2026-10-25T00:30:00Z", now: "2026-10-25T01:31:00Z",
			wantDue: "2026-10-25T00:30:00Z", wantNext: "2026-10-26T01:30:00Z"},
		{name: "New York fold", cron: "30 1 * * *", zone: "America/New_York", due: "2026-11-01T05:30:00Z", now: "2026-11-01T05:30:05Z",
			wantDue: "2026-11-01T05:30:00Z", wantNext: "2026-11-02T06:30:00Z"},
		{name: "Lord Howe fold", cron: "45 1 * * *", zone: "Australia/Lord_Howe", due: "2026-04-04T14:45:00Z", now: "2026-04-04T14:45:05Z",
			wantDue: "2026-04-04T14:45:00Z", wantNext: "2026-04-05T15:15:00Z"},
		{name: "Apia, summer ended in 2011", cron: "30 3 * * *", zone: "Pacific/Apia", due: "2011-04-02T13:30:00Z", now: "2011-04-02T13:30:05Z",
			wantDue: "2011-04-02T13:30:00Z", wantNext: "2011-04-03T14:30:00Z"},
		{name: "missed across the Berlin gap", cron: "30 2 * * *", zone: "Europe/Berlin", due: "2026-03-28T01:30:00Z", now: "2026-03-30T00:31:00Z",
			wantDue: "2026-03-30T00:30:00Z", wantNext: "2026-03-31T00:30:00Z", missed: 2, wantNote: "covers 2 missed slots"},
		{name: "08:00 in Istanbul stays 05:00 UTC", cron: "0 8 * * *", zone: "Europe/Istanbul", due: "2026-03-28T05:00:00Z", now: "2026-03-28T05:00:01Z",
			wantDue: "2026-03-28T05:00:00Z", wantNext: "2026-03-29T05:00:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			loc, err := news.LoadZone("zone", c.zone)
			if err != nil {
				t.Fatal(err)
			}
			l := &news.List{CatchUp: news.CatchUpOne, MaxLate: news.DefaultMaxLate}
			if c.catchUp != "" {
				l.CatchUp = c.catchUp
			}
			p := news.PlanSlot(mustSchedule(t, c.cron), loc, l, mustTime(t, c.due), mustTime(t, c.now))
			if !p.DueAt.Equal(mustTime(t, c.wantDue)) || !p.Next.Equal(mustTime(t, c.wantNext)) {
				t.Errorf("slot %v, next %v; want %s, %s", p.DueAt, p.Next, c.wantDue, c.wantNext)
			}
			if p.Missed != c.missed || p.Skip != c.skip || p.Note != c.wantNote {
				t.Errorf("missed %d, skip %v, note %q; want %d, %v, %q", p.Missed, p.Skip, p.Note, c.missed, c.skip, c.wantNote)
			}
			if p.Past != c.past {
				t.Errorf("past %v, want %v", p.Past, c.past)
			}
			if p.Key != c.wantDue {
				t.Errorf("key %q, want %q", p.Key, c.wantDue)
			}
		})
	}
}

// A year of polling every ten minutes serves every local day exactly once,
// whatever the clocks of the zone do.
func TestPlanSlotServesEachLocalDayOnce(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC"} {
		t.Run(strings.ReplaceAll(zone, "/", "-"), func(t *testing.T) {
			t.Parallel()
			loc, err := news.LoadZone("zone", zone)
			if err != nil {
				t.Fatal(err)
			}
			s := mustSchedule(t, "30 2 * * *")
			l := &news.List{CatchUp: news.CatchUpOne, MaxLate: news.DefaultMaxLate}
			start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
			if zone == "Pacific/Apia" { // it last changed its clocks in the years to 2021
				start = time.Date(2020, 1, 1, 12, 0, 0, 0, time.UTC)
			}
			days := map[string]int{}
			due := s.NextDue(start, loc)
			for now := start; now.Before(start.AddDate(1, 0, 0)); now = now.Add(10 * time.Minute) {
				if due.After(now) {
					continue
				}
				p := news.PlanSlot(s, loc, l, due, now)
				if p.Missed != 0 || !p.Next.After(now) {
					t.Fatalf("at %v: %+v", now, p)
				}
				days[p.DueAt.In(loc).Format(time.DateOnly)]++
				due = p.Next
			}
			if len(days) < 364 {
				t.Fatalf("%d days served", len(days))
			}
			for day, n := range days {
				if n != 1 {
					t.Errorf("%s served %d times", day, n)
				}
			}
		})
	}
}

func TestManualKeysAreUniquePerInstant(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1700000000123)
	if a, b := news.ManualKey(at, 1), news.ManualKey(at, 2); a != "manual:1700000000123" || b != "manual:1700000000123-2" {
		t.Fatalf("%q, %q", a, b)
	}
	if k := news.InstantKey(7); k != "seq:7" {
		t.Fatalf("%q", k)
	}
}
