package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// print shows v as JSON when asked for, else as the table that rows makes.
func (a *app) print(v any, header []string, rows [][]string) error {
	if a.json {
		return a.printJSON(v)
	}
	t := table.NewWriter()
	t.SetOutputMirror(a.stdout)
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatUpper
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(row(header))
	for _, r := range rows {
		t.AppendRow(row(r))
	}
	t.Render()
	return nil
}

// done tells a person what was done, and a script as JSON.
func (a *app) done(v any, format string, args ...any) error {
	a.say(format, args...)
	if a.json {
		return a.printJSON(v)
	}
	return nil
}

// counted is a number of things: "1 article", "2 articles".
func counted[N int | int64](n N, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprint(n, " ", noun)
}

func row(cells []string) table.Row {
	out := make(table.Row, len(cells))
	for i, c := range cells {
		out[i] = oneLine(c)
	}
	return out
}

// printJSON writes v as indented JSON; a nil slice becomes [].
func (a *app) printJSON(v any) error {
	e := json.NewEncoder(a.stdout)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// fields shows one thing as aligned "name: value" lines; empty values are left out.
func (a *app) fields(v any, pairs ...string) error {
	if a.json {
		return a.printJSON(v)
	}
	width := 0
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			width = max(width, len(pairs[i]))
		}
	}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			fmt.Fprintf(a.stdout, "%-*s  %s\n", width+1, pairs[i]+":", oneLine(pairs[i+1]))
		}
	}
	return nil
}

// oneLine keeps control characters of titles and names off the terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

// clock shows an instant in UTC, to the minute; "" if it is not set.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

// short cuts s to n characters.
func short(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// some makes JSON of a nil slice [] instead of null.
func some[T any](s []T) []T {
	if s == nil {
		return []T{}
	}
	return s
}

func number(n int) string { return fmt.Sprint(n) }

// writeJSONLine writes v as one line of JSON.
func writeJSONLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
