package templates

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

func TestWordsFallBack(t *testing.T) {
	s := mustLoad(t, fstest.MapFS{
		"lang/pl.json":    {Data: []byte(`{"and": "i", "articles": {"one": "{n} artykuł", "few": "{n} artykuły", "many": "{n} artykułów", "other": "{n} artykułu"}}`)},
		"lang/pt.json":    {Data: []byte(`{"and": "e"}`)},
		"lang/pt-BR.json": {Data: []byte(`{"unsubscribe": "Cancelar"}`)},
	})
	for _, tt := range []struct{ lang, key, want string }{
		{"pl", "and", "i"}, {"pl-PL", "and", "i"}, {"pt-BR", "and", "e"}, {"pt-BR", "unsubscribe", "Cancelar"}, {"pt", "unsubscribe", "Unsubscribe"},
		{"zh-Hant-TW", "and", "and"}, {"", "and", "and"}, {"not a language", "and", "and"}, {"en", "no such key", "no such key"},
	} {
		if got := s.Say(tt.lang, tt.key); got != tt.want {
			t.Errorf("Say(%q, %q): got %q, want %q", tt.lang, tt.key, got, tt.want)
		}
	}
	for n, want := range map[int]string{1: "1 artykuł", 3: "3 artykuły", 5: "5 artykułów"} {
		if got := s.Count("pl", "articles", n); got != want {
			t.Errorf("Count(%d): got %q, want %q", n, got, want)
		}
	}
	if got := s.Count("en", "articles", 1); got != "1 new article" {
		t.Errorf("got %q", got)
	}
}

// A value that looks like a placeholder is a value.
func TestFillOnce(t *testing.T) {
	if got := mustLoad(t, nil).Say("en", "why", "address", "{list}", "list", "{frequency}", "frequency", "daily"); got != "You get this mail because {list} follows {frequency} (daily)." {
		t.Errorf("got %q", got)
	}
}

func TestDates(t *testing.T) {
	w := mustLoad(t, nil).words
	istanbul, err := time.LoadLocation("Europe/Istanbul")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 11, 19, 21, 4, 0, 0, time.UTC).In(istanbul)
	for _, tt := range []struct{ lang, key, want string }{
		{"en", "date", "20 November 2025"}, {"en", "date.long", "Thursday, 20 November 2025"}, {"en", "date.time", "20 November 2025, 00:04"},
		{"en-US", "date.time", "November 20, 2025, 12:04 am"}, {"en-GB", "date", "20 November 2025"},
	} {
		if got := w.dater(tt.key)(tt.lang, at); got != tt.want {
			t.Errorf("%s in %s: got %q, want %q", tt.key, tt.lang, got, tt.want)
		}
	}
	if got := w.dater("date")("en", time.Time{}); got != "" {
		t.Errorf("no date: got %q", got)
	}
}

func TestDirection(t *testing.T) {
	for lang, want := range map[string]string{"en": "ltr", "ar": "rtl", "he-IL": "rtl", "fa": "rtl", "tr": "ltr", "": "ltr", "az-Arab": "rtl"} {
		if got := direction(lang); got != want {
			t.Errorf("%q: got %s, want %s", lang, got, want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, tt := range []struct {
		limit              int
		indent, text, want string
	}{
		{10, "", "one two three four", "one two\nthree four"},
		{10, "  ", "one two three", "  one two\n  three"},
		{10, "", " one \n two ", "one two"},
		{10, "", "see https://example.org/a/long/path now", "see\nhttps://example.org/a/long/path\nnow"},
		{5, "", "abcdefghijkl", "abcde\nfghij\nkl"},
		{6, "", "港口的早晨", "港口的\n早晨"},
		{10, "", "", ""},
	} {
		if got := Wrap(tt.limit, tt.indent, tt.text); got != tt.want {
			t.Errorf("Wrap(%d, %q, %q): got %q, want %q", tt.limit, tt.indent, tt.text, got, tt.want)
		}
	}
}

func TestTidy(t *testing.T) {
	if got, want := tidy("\n\n  \nA  \n\n\n\nB\nC"), "A\n\nB\nC\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// English is behind every language: what templates say must be in it.
func TestShippedTemplatesSayNothingUnknown(t *testing.T) {
	s := mustLoad(t, nil)
	for _, d := range sampleDigests() {
		m, err := s.Digest(t.Context(), "", d)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range sortedKeys(s.words.byTag[fallback]) {
			if strings.Contains(key, ".") && strings.Contains(m.Text, key) {
				t.Errorf("the text part shows the key %q", key)
			}
		}
	}
}
