package source

import (
	"testing"
	"time"
)

func TestParseDate(t *testing.T) {
	istanbul, err := time.LoadLocation("Europe/Istanbul")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		in, want string // want in RFC 3339, UTC; "" is an error
		note     bool
	}{
		{"2025-11-19", "2025-11-18T21:00:00Z", false},
		{"2025-1-9", "2025-01-08T21:00:00Z", false},
		{"2025/11/19", "2025-11-18T21:00:00Z", false},
		{"2025-11-19T13:28:00Z", "2025-11-19T13:28:00Z", false},
		{"2025-11-19T13:28:00+03:00", "2025-11-19T10:28:00Z", false},
		{"2025-11-19T13:28:00.250Z", "2025-11-19T13:28:00.25Z", false},
		{"2025-11-19 13:28", "2025-11-19T10:28:00Z", false},
		{"2025-11-19 9:05:00", "2025-11-19T06:05:00Z", false},
		{"2025-11-19 13:28:00 -0500", "2025-11-19T18:28:00Z", false},
		{"2025-11-19 13:28:00 -5", "2025-11-19T18:28:00Z", false},
		{"2025-11-19 13:28:00+02:00", "2025-11-19T11:28:00Z", false},
		{"2025-11-19 13:28:00 +0530", "2025-11-19T07:58:00Z", false},
		{"2025-11-19 13:28:00 UTC", "2025-11-19T13:28:00Z", false},
		{"2025-11-19 1:28 PM", "2025-11-19T10:28:00Z", false},
		{"2025-11-19 12:28 a.m.", "2025-11-18T21:28:00Z", false},
		{"2025-11-19T15:10:00+15:10", "2025-11-19T12:10:00Z", true},
		{"2025-11-19 15:10:00 -9999", "2025-11-19T12:10:00Z", true},
		{"20251119", "2025-11-18T21:00:00Z", false},
		{"1763558880", "2025-11-19T13:28:00Z", false},
		{"1763558880000", "2025-11-19T13:28:00Z", false},
		{"Wed, 19 Nov 2025 13:28:00 +0000", "2025-11-19T13:28:00Z", false},
		{"November 19, 2025", "2025-11-18T21:00:00Z", false},
		{"19 Nov 2025 13:28", "2025-11-19T10:28:00Z", false},
		{"Nov 19, 2025 1:28 PM", "2025-11-19T10:28:00Z", false},
		{`"2025-11-19"`, "2025-11-18T21:00:00Z", false},
		{"2025-02-30", "", false},
		{"2025-13-01", "", false},
		{"2025-11-19 25:00", "", false},
		{"2025-11-19 13:00 PM", "", false},
		{"19.11.2025", "", false},
		{"tomorrow", "", false},
		{"", "", false},
	}
	d := newDateReader(istanbul)
	for _, tt := range tests {
		at, note, err := d.parse(tt.in)
		got := ""
		if err == nil {
			got = at.UTC().Format(time.RFC3339Nano)
		}
		if got != tt.want || (note != "") != tt.note {
			t.Errorf("parse(%q) = %s, note %q, %v; want %s", tt.in, got, note, err, tt.want)
		}
	}
}

func TestDateFromPath(t *testing.T) {
	d := newDateReader(time.UTC)
	for in, want := range map[string]string{
		"posts/2015-11-19-x.md":            "2015-11-19",
		"2015/11/19/x/index.md":            "2015-11-19",
		"news/2011/06/2011-06-21-title.md": "2011-06-21",
		"2015_11_09_x.md":                  "2015-11-09",
		"2025/06/20/may-goals":             "2025-06-20",
		"2015-13-40-x.md":                  "",
		"posts/x.md":                       "",
		"v1-2015-11-19-x.md":               "",
		"issue-12015-11-19.md":             "",
		"2014-01-02/2015-99-99-x.md":       "2014-01-02",
	} {
		at, ok := d.fromPath(in)
		got := ""
		if ok {
			got = at.Format("2006-01-02")
		}
		if got != want {
			t.Errorf("fromPath(%q) = %q, want %q", in, got, want)
		}
	}
}
