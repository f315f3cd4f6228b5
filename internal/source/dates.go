package source

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// maxOffset is the largest offset from UTC that any zone has (Pacific/Kiritimati).
const maxOffset = 14 * time.Hour

// dateReader reads the times that people write into articles, in the many
// forms found in real ones. Its zone is how times without an offset are meant.
type dateReader struct {
	zone *time.Location
	iso  *regexp.Regexp
	path *regexp.Regexp
}

func newDateReader(zone *time.Location) *dateReader {
	if zone == nil {
		zone = time.UTC
	}
	return &dateReader{
		zone: zone,
		// Year, month, day; then perhaps hour, minute, second, fraction, half of
		// the day; then perhaps an offset.
		iso: regexp.MustCompile(`^(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})` +
			`(?:(?:[Tt]|,?\s+)(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,9}))?)?\s*([AaPp]\.?[Mm]\.?)?` +
			`\s*([Zz]|UTC|GMT|[+-]\d{1,2}(?::?\d{2})?)?)?$`),
		path: regexp.MustCompile(`(?:^|/)(\d{4})([-/_.])(\d{1,2})[-/_.](\d{1,2})(?:$|[-/_.])`),
	}
}

// parse reads v. A note tells what had to be guessed.
func (d *dateReader) parse(v string) (at time.Time, note string, err error) {
	v = strings.Trim(strings.TrimSpace(v), `"'`)
	if m := d.iso.FindStringSubmatch(v); m != nil {
		return d.fromParts(v, m)
	}
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		switch len(v) {
		case 8: // 20251119
			if at, err := time.ParseInLocation("20060102", v, d.zone); err == nil {
				return at, "", nil
			}
		case 9, 10:
			return time.Unix(n, 0).UTC(), "", nil
		case 12, 13:
			return time.UnixMilli(n).UTC(), "", nil
		}
	}
	for _, layout := range wordyLayouts() {
		if at, err := time.ParseInLocation(layout, v, d.zone); err == nil {
			return at, "", nil
		}
	}
	return time.Time{}, "", fmt.Errorf("%q is no date: want one such as 2025-11-19 or 2025-11-19T13:28:00+03:00", clip(oneLine(v, 60), 60))
}

// wordyLayouts are the forms with names in them, numeric offsets first because
// a zone's abbreviation says nothing certain.
func wordyLayouts() []string {
	layouts := []string{time.RFC1123Z, time.RFC1123, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate, time.RFC822Z, time.RFC822,
		"Mon, 2 Jan 2006 15:04:05 -0700", "Mon, 2 Jan 2006 15:04:05 MST"}
	for _, day := range []string{"January 2, 2006", "Jan 2, 2006", "Jan. 2, 2006", "2 January 2006", "2 Jan 2006", "2-Jan-2006",
		"Monday, January 2, 2006", "Monday, 2 January 2006"} {
		for _, clock := range []string{"", " 15:04", " 15:04:05", " 3:04 PM", " 3:04 pm", ", 3:04 PM", " at 3:04 PM", " 15:04:05 -0700", " 15:04 -0700", " 15:04 MST"} {
			layouts = append(layouts, day+clock)
		}
	}
	return layouts
}

func (d *dateReader) fromParts(v string, m []string) (time.Time, string, error) {
	num := func(i int) int { n, _ := strconv.Atoi(m[i]); return n } // the pattern admits digits only; "" is 0
	hour := num(4)
	switch half := strings.ToLower(m[8]); {
	case half == "":
	case hour < 1 || hour > 12:
		hour = 99
	case half[0] == 'p' && hour < 12:
		hour += 12
	case half[0] == 'a' && hour == 12:
		hour = 0
	}
	nanos, _ := strconv.Atoi((m[7] + "000000000")[:9])
	if hour > 23 || num(5) > 59 || num(6) > 60 {
		return time.Time{}, "", fmt.Errorf("%q has an impossible time of day", v)
	}
	zone, note := d.offset(m[9])
	at := time.Date(num(1), time.Month(num(2)), num(3), hour, num(5), num(6), nanos, zone)
	// time.Date makes the 30th of February the 1st of March; that is a mistake, not a date.
	if noon := time.Date(num(1), time.Month(num(2)), num(3), 12, 0, 0, 0, time.UTC); noon.Day() != num(3) || int(noon.Month()) != num(2) {
		return time.Time{}, "", fmt.Errorf("%q is not in the calendar", v)
	}
	return at.UTC(), note, nil
}

// offset reads "Z", "-4", "+0200", "+02:00". An offset that no zone has is
// taken for noise, and noted.
func (d *dateReader) offset(s string) (zone *time.Location, note string) {
	switch strings.ToUpper(s) {
	case "":
		return d.zone, ""
	case "Z", "UTC", "GMT":
		return time.UTC, ""
	}
	digits := strings.ReplaceAll(s[1:], ":", "")
	hours, minutes := digits, "0"
	if len(digits) > 2 {
		hours, minutes = digits[:len(digits)-2], digits[len(digits)-2:]
	}
	h, _ := strconv.Atoi(hours)   // digits by the pattern
	m, _ := strconv.Atoi(minutes) // digits by the pattern
	span := time.Duration(h)*time.Hour + time.Duration(m)*time.Minute
	if span > maxOffset || m > 59 {
		return d.zone, fmt.Sprintf("offset %s is impossible, read in %s", s, d.zone)
	}
	if s[0] == '-' {
		span = -span
	}
	return time.FixedZone("", int(span/time.Second)), ""
}

// fromPath finds a date in a path such as 2015/11/19/x.md or
// posts/2015-11-19-x.md; the last one, nearest to the file, counts.
func (d *dateReader) fromPath(p string) (time.Time, bool) {
	for start := len(p); start > 0; {
		at := -1
		var m []string
		for _, loc := range d.path.FindAllStringSubmatchIndex(p[:start], -1) {
			at = loc[0]
			m = []string{p[loc[2]:loc[3]], p[loc[6]:loc[7]], p[loc[8]:loc[9]]}
		}
		if at < 0 {
			break
		}
		if t, err := time.ParseInLocation("2006-1-2", strings.Join(m, "-"), d.zone); err == nil && t.Year() > 1970 {
			return t.UTC(), true
		}
		start = at
	}
	return time.Time{}, false
}
