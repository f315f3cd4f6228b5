package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/store"
)

// suppressionTransfer are the commands that carry suppressions from one system
// to another.
func (a *app) suppressionTransfer() []*cobra.Command {
	return []*cobra.Command{a.suppressionImport(), a.suppressionExport()}
}

func (a *app) suppressionImport() *cobra.Command {
	return &cobra.Command{
		Use: "import FILE.csv", Short: "Suppress many addresses", Args: cobra.ExactArgs(1),
		Long: `Suppresses the addresses of a CSV file (UTF-8). With a header line its columns
are address (or email) and, if they are there, reason (bounce, complaint or
manual; others count as manual), note and at (a date or an instant). Without one
it holds one address per line. It only ever adds: what is suppressed keeps its
reason, and nobody comes back by an import. - reads standard input.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				in := a.stdin
				if args[0] != "-" {
					f, err := os.Open(args[0])
					if err != nil {
						return fmt.Errorf("read suppressions: %w", err)
					}
					defer func() { _ = f.Close() }()
					in = f
				}
				im := &suppressionReader{a: a, s: s}
				if err := im.read(c.Context(), in); err != nil {
					return err
				}
				return im.summary()
			})
		},
	}
}

// suppressionReader stores rows in batches.
type suppressionReader struct {
	a       *app
	s       *store.Store
	columns importer // finds the cells
	batch   []news.Suppression

	Added    int `json:"added"`
	Known    int `json:"known"`
	Rejected int `json:"rejected"`
}

func (im *suppressionReader) read(ctx context.Context, in io.Reader) error {
	br := bufio.NewReader(in)
	if bom, err := br.Peek(3); err == nil && string(bom) == "\uFEFF" {
		_, _ = br.Discard(3) // cannot fail: they were peeked
	}
	r := csv.NewReader(br)
	r.FieldsPerRecord = -1
	r.TrimLeadingSpace = true
	for first := true; ; first = false {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return im.flush(ctx)
		}
		line, _ := r.FieldPos(0)
		var bad *csv.ParseError
		switch {
		case errors.As(err, &bad):
			im.reject(bad.Line, bad.Err)
			continue
		case err != nil:
			return fmt.Errorf("read suppressions: %w", err)
		}
		if first && im.columns.header(record) {
			continue
		}
		if err := im.add(record); err != nil {
			im.reject(line, err)
		}
		if len(im.batch) >= importBatch {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
}

func (im *suppressionReader) add(record []string) error {
	// Exports put a quote before what a spreadsheet would run.
	cell := func(name string) string { return strings.TrimPrefix(im.columns.cell(record, name), "'") }
	addr, err := news.ParseAddress("address", cell("address"))
	if err != nil {
		return err
	}
	x := news.Suppression{Address: addr.Spec, Reason: news.SuppressedManual, Note: cell("note")}
	switch reason := news.SuppressionReason(strings.ToLower(cell("reason"))); reason {
	case news.SuppressedBounce, news.SuppressedComplaint:
		x.Reason = reason
	}
	if text := cell("at"); text != "" {
		for _, layout := range []string{time.RFC3339, "2006-01-02 15:04Z", time.DateTime, time.DateOnly} {
			if at, err := time.Parse(layout, text); err == nil {
				x.At = at.UTC()
				break
			}
		}
		if x.At.IsZero() {
			return &news.FieldError{Field: "at", Value: text, Want: "a date such as 2026-03-01, or an instant such as 2026-03-01T09:00:00Z"}
		}
	}
	im.batch = append(im.batch, x)
	return nil
}

func (im *suppressionReader) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	n, err := im.s.ImportSuppressions(ctx, im.batch)
	if err != nil {
		return err
	}
	im.Added += n
	im.Known += len(im.batch) - n
	im.batch = im.batch[:0]
	return nil
}

func (im *suppressionReader) reject(line int, why error) {
	im.Rejected++
	switch {
	case im.Rejected <= maxRejectsShown:
		im.a.say("line %d: %v", line, why)
	case im.Rejected == maxRejectsShown+1:
		im.a.say("more rows were rejected")
	}
}

func (im *suppressionReader) summary() error {
	if im.a.json {
		return im.a.printJSON(im)
	}
	im.a.say("%d added, %d were there, %d rejected", im.Added, im.Known, im.Rejected)
	if im.Rejected > 0 {
		return fmt.Errorf("%d rows could not be used", im.Rejected)
	}
	return nil
}

func (a *app) suppressionExport() *cobra.Command {
	raw := false
	c := &cobra.Command{
		Use: "export", Short: "Write the suppressed addresses as CSV (or, with --json, JSON lines)", Args: cobra.NoArgs,
		Long: `Writes one line per address. Of erased people no address is kept, so they are
not written; standard error tells how many there are. Cells that a spreadsheet
would take for a formula are preceded by a quote; --raw leaves them as they are.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return a.exportSuppressions(c.Context(), s, raw) })
		},
	}
	c.Flags().BoolVar(&raw, "raw", false, "do not guard cells against spreadsheets")
	return c
}

func (a *app) exportSuppressions(ctx context.Context, s *store.Store, raw bool) error {
	out := bufio.NewWriter(a.stdout)
	w := csv.NewWriter(out)
	if !a.json {
		if err := w.Write([]string{"address", "reason", "note", "at"}); err != nil {
			return err
		}
	}
	erased := 0
	for after := int64(0); ; {
		page, next, err := s.SuppressionPage(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, x := range page {
			switch {
			case x.Address == "":
				erased++
				continue
			case a.json:
				err = writeJSONLine(out, x)
			default:
				cells := []string{x.Address, string(x.Reason), x.Note, x.At.Format(time.RFC3339)}
				for i := range cells {
					if !raw {
						cells[i] = guardCell(cells[i])
					}
				}
				err = w.Write(cells)
			}
			if err != nil {
				return err
			}
		}
		if next == 0 {
			break
		}
		after = next
	}
	if erased > 0 {
		a.say("%d more are known by their hash only: they were erased", erased)
	}
	w.Flush()
	return errors.Join(w.Error(), out.Flush())
}
