package news

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Schedule is a parsed cron line: minute, hour, day of month, month, day of
// week. It fires once per matching local time: a local time that the clock
// skips in spring fires at the first instant after the gap, one that comes
// twice in autumn fires the first time.
type Schedule struct {
	minute, hour, dom, month, dow uint64 // bit sets
	anyDom, anyDow                bool
}

const cronWant = "five cron fields (minute hour day-of-month month day-of-week), such as '0 7 * * *' or '30 8 * * mon-fri'"

type cronField struct {
	name     string
	min, max int
	names    string // three letters each, the first is min
}

func cronFields() [5]cronField {
	return [5]cronField{
		{name: "minute", max: 59},
		{name: "hour", max: 23},
		{name: "day of month", min: 1, max: 31},
		{name: "month", min: 1, max: 12, names: "janfebmaraprmayjunjulaugsepoctnovdec"},
		{name: "day of week", max: 7, names: "sunmontuewedthufrisat"},
	}
}

// ParseSchedule reads a cron line or @hourly, @daily, @weekly, @monthly.
func ParseSchedule(line string) (*Schedule, error) {
	if len(line) > 200 {
		return nil, &FieldError{Field: "schedule", Value: line, Want: cronWant}
	}
	switch strings.TrimSpace(line) {
	case "@hourly":
		line = "0 * * * *"
	case "@daily":
		line = "0 0 * * *"
	case "@weekly":
		line = "0 0 * * 0"
	case "@monthly":
		line = "0 0 1 * *"
	}
	parts := strings.Fields(line)
	if len(parts) != 5 {
		return nil, &FieldError{Field: "schedule", Value: line, Want: cronWant}
	}
	var bits [5]uint64
	for i, f := range cronFields() {
		var err error
		if bits[i], err = f.parse(parts[i]); err != nil {
			return nil, &FieldError{Field: "schedule", Value: line, Want: fmt.Sprintf("a %s of %d-%d (%v); %s", f.name, f.min, f.max, err, cronWant)}
		}
	}
	s := &Schedule{minute: bits[0], hour: bits[1], dom: bits[2], month: bits[3], dow: bits[4]}
	if s.dow&(1<<7) != 0 { // 7 is Sunday, too
		s.dow |= 1
	}
	s.anyDom = strings.HasPrefix(parts[2], "*")
	s.anyDow = strings.HasPrefix(parts[4], "*")
	if _, ok := s.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), time.UTC); !ok {
		return nil, &FieldError{Field: "schedule", Value: line, Want: "a date that exists (this one never comes)"}
	}
	return s, nil
}

func (f cronField) parse(s string) (uint64, error) {
	var set uint64
	for item := range strings.SplitSeq(s, ",") {
		span, stepText, stepped := strings.Cut(item, "/")
		step := 1
		if stepped {
			n, err := strconv.Atoi(stepText)
			if err != nil || n < 1 || n > f.max {
				return 0, fmt.Errorf("bad step %q", stepText)
			}
			step = n
		}
		lo, hi := f.min, f.max
		if span != "*" {
			a, b, ranged := strings.Cut(span, "-")
			var err error
			if lo, err = f.value(a); err != nil {
				return 0, err
			}
			switch {
			case ranged:
				if hi, err = f.value(b); err != nil {
					return 0, err
				}
			case !stepped:
				hi = lo
			}
			if hi < lo {
				return 0, fmt.Errorf("range %q runs backwards", span)
			}
		}
		for v := lo; v <= hi; v += step {
			set |= 1 << v
		}
	}
	return set, nil
}

func (f cronField) value(s string) (int, error) {
	if len(s) == 3 && f.names != "" {
		if i := strings.Index(f.names, strings.ToLower(s)); i >= 0 && i%3 == 0 {
			return f.min + i/3, nil
		}
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < f.min || n > f.max {
		return 0, fmt.Errorf("bad value %q", s)
	}
	return n, nil
}

// searchYears bounds the search for the next matching day: 29 February on a
// given weekday comes at most 40 years apart.
const searchYears = 41

// Next returns the first instant after t at which the schedule fires in loc.
// ok is false if no such day comes within 41 years.
func (s *Schedule) Next(t time.Time, loc *time.Location) (next time.Time, ok bool) {
	local := t.In(loc)
	// Start a day early: a gap can carry a slot of yesterday's date into today.
	day := time.Date(local.Year(), local.Month(), local.Day()-1, 0, 0, 0, 0, time.UTC)
	for end := day.AddDate(searchYears, 0, 0); day.Before(end); day = day.AddDate(0, 0, 1) {
		if s.month&(1<<uint(day.Month())) == 0 {
			day = time.Date(day.Year(), day.Month()+1, 0, 0, 0, 0, 0, time.UTC)
			continue
		}
		if !s.onDay(day) {
			continue
		}
		for h := range 24 {
			if s.hour&(1<<h) == 0 {
				continue
			}
			for m := range 60 {
				if s.minute&(1<<m) == 0 {
					continue
				}
				if at := atLocal(day, h, m, loc); at.After(t) {
					return at.UTC(), true
				}
			}
		}
	}
	return time.Time{}, false
}

// onDay follows cron: when both day fields are restricted, either suffices.
func (s *Schedule) onDay(day time.Time) bool {
	dom := s.dom&(1<<uint(day.Day())) != 0
	dow := s.dow&(1<<uint(day.Weekday())) != 0
	if s.anyDom || s.anyDow {
		return dom && dow
	}
	return dom || dow
}

// atLocal returns the first instant at which loc's clock shows h:m on day, or,
// if it never does, the first instant after the gap. time.Date promises
// neither (it answers 03:30 for a skipped 02:30 in Berlin, 01:30 in New York).
func atLocal(day time.Time, h, m int, loc *time.Location) time.Time {
	wall := time.Date(day.Year(), day.Month(), day.Day(), h, m, 0, 0, time.UTC)
	_, before := wall.Add(-26 * time.Hour).In(loc).Zone()
	_, after := wall.Add(26 * time.Hour).In(loc).Zone()
	first := time.Time{}
	for _, offset := range [2]int{before, after} {
		at := wall.Add(-time.Duration(offset) * time.Second)
		l := at.In(loc)
		same := l.Day() == wall.Day() && l.Hour() == h && l.Minute() == m
		if same && (first.IsZero() || at.Before(first)) {
			first = at
		}
	}
	if !first.IsZero() {
		return first
	}
	gapEnd, _ := wall.Add(-time.Duration(before) * time.Second).In(loc).ZoneBounds()
	return gapEnd
}
