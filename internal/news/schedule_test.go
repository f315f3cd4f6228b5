package news_test

import (
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones under test, also where the system has none

	"gazetted/internal/news"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

// Each case lists the instants, in local time with offset, that follow from.
func TestScheduleNext(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, cron, zone, from string
		want                   []string
	}{
		{"daily", "0 7 * * *", "UTC", "2026-03-02T06:59:59Z", []string{"2026-03-02T07:00:00Z", "2026-03-03T07:00:00Z"}},
		{"never twice", "0 7 * * *", "UTC", "2026-03-02T07:00:00Z", []string{"2026-03-03T07:00:00Z"}},
		{"weekdays", "30 17 * * mon-fri", "Europe/London", "2026-03-06T18:00:00Z", []string{"2026-03-09T17:30:00Z"}},
		{"sunday is 0 and 7", "0 8 * * 7", "UTC", "2026-03-02T00:00:00Z", []string{"2026-03-08T08:00:00Z"}},
		{"either day field", "0 0 1 * mon", "UTC", "2026-03-02T00:00:00Z", []string{"2026-03-09T00:00:00Z", "2026-03-16T00:00:00Z", "2026-03-23T00:00:00Z", "2026-03-30T00:00:00Z", "2026-04-01T00:00:00Z"}},
		{"leap day", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		{"steps and lists", "*/20 9,17 * * *", "UTC", "2026-03-02T09:20:00Z", []string{"2026-03-02T09:40:00Z", "2026-03-02T17:00:00Z", "2026-03-02T17:20:00Z"}},
		{"month names", "0 6 24 dec *", "UTC", "2026-03-02T00:00:00Z", []string{"2026-12-24T06:00:00Z"}},
		// Clocks that skip: the first instant after the gap, once.
		{"Berlin spring", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:30:00+02:00"}},
		{"New York spring", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", []string{"2026-03-08T03:00:00-04:00", "2026-03-09T02:30:00-04:00"}},
		{"Lord Howe spring, half an hour", "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00+10:30", []string{"2026-10-04T02:30:00+11:00", "2026-10-05T02:15:00+11:00"}},
		{"a whole hour of slots in the gap is one", "*/15 2 * * *", "Europe/Berlin", "2026-03-29T00:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-03-30T02:00:00+02:00"}},
		{"Apia skips a day", "0 8 * * *", "Pacific/Apia", "2011-12-29T09:00:00-10:00", []string{"2011-12-31T00:00:00+14:00", "2011-12-31T08:00:00+14:00", "2012-01-01T08:00:00+14:00"}},
		// Clocks that repeat: the first time only.
		{"Berlin autumn", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00", []string{"2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"}},
		{"New York autumn", "30 1 * * *", "America/New_York", "2026-10-31T12:00:00-04:00", []string{"2026-11-01T01:30:00-04:00", "2026-11-02T01:30:00-05:00"}},
		{"Lord Howe autumn", "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T12:00:00+11:00", []string{"2026-04-05T01:45:00+11:00", "2026-04-06T01:45:00+10:30"}},
		{"Istanbul has no DST", "0 8 * * *", "Europe/Istanbul", "2026-03-28T12:00:00+03:00", []string{"2026-03-29T08:00:00+03:00", "2026-03-30T08:00:00+03:00"}},
		{"weekly in the gap keeps its week", "30 2 * * sun", "Europe/Berlin", "2026-03-28T12:00:00+01:00", []string{"2026-03-29T03:00:00+02:00", "2026-04-05T02:30:00+02:00"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, err := news.ParseSchedule(tt.cron)
			if err != nil {
				t.Fatal(err)
			}
			loc := zone(t, tt.zone)
			at, err := time.Parse(time.RFC3339, tt.from)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				next, ok := s.Next(at, loc)
				if got := next.In(loc).Format(time.RFC3339); !ok || got != want {
					t.Fatalf("after %s: got %s, want %s", at.In(loc).Format(time.RFC3339), got, want)
				}
				at = next
			}
		})
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	t.Parallel()
	for _, line := range []string{
		"", "x", "0 7 * *", "0 7 * * * *", "60 7 * * *", "0 24 * * *", "0 7 0 * *", "0 7 32 * *", "0 7 * 13 *", "0 7 * * 8",
		"5-1 * * * *", "*/0 * * * *", "*/99 * * * *", "1,,2 * * * *", "-1 * * * *", "0 7 30 feb *", "@yearly-ish", strings.Repeat("0", 500),
	} {
		if _, err := news.ParseSchedule(line); err == nil {
			t.Errorf("%q was taken", line)
		}
	}
}

// Next always moves on, fires at a matching minute or at the end of a gap, and
// never panics.
func FuzzSchedule(f *testing.F) {
	f.Add("0 7 * * *", int64(1_774_738_800))
	f.Add("*/7 1-3 29 2 0", int64(0))
	f.Add("30 2 * * sun", int64(1_792_886_400))
	f.Fuzz(func(t *testing.T, line string, unix int64) {
		s, err := news.ParseSchedule(line)
		if err != nil {
			return
		}
		if unix < 0 || unix > 4_000_000_000 {
			return
		}
		from := time.Unix(unix, 0).UTC()
		for _, name := range []string{"UTC", "Europe/Berlin", "Australia/Lord_Howe"} {
			loc := zone(t, name)
			next, ok := s.Next(from, loc)
			if ok && !next.After(from) {
				t.Fatalf("%q in %s: %s is not after %s", line, name, next, from)
			}
		}
	})
}

func BenchmarkScheduleNext(b *testing.B) {
	s, err := news.ParseSchedule("0 7 * * mon")
	if err != nil {
		b.Fatal(err)
	}
	loc, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		b.Fatal(err)
	}
	at := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	for b.Loop() {
		s.Next(at, loc)
	}
}
