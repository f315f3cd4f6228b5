package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// importBatch is how many rows one transaction stores.
const importBatch = 500

// maxRejectsShown bounds what a person is told; --rejects keeps all.
const maxRejectsShown = 10

func (a *app) subscriberImport() *cobra.Command {
	var list, rejects string
	var confirmed bool
	c := &cobra.Command{
		Use: "import FILE.csv --list NAME [--confirmed]", Short: "Add many people to a list", Args: cobra.ExactArgs(1),
		Long: `Adds the people of a CSV file (UTF-8, a header line) to a list. Columns:
address (or email), and if they are there name, language, zone, frequency and
topics (separated by spaces). A file without a header holds one address per
line. Rows that cannot be used are reported and the others go in; who has
unsubscribed or is suppressed is not brought back. - reads standard input.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error {
				im := &importer{a: a, d: d, list: list, confirmed: confirmed}
				return im.file(c.Context(), args[0], rejects)
			})
		},
	}
	c.Flags().StringVar(&list, "list", "", "`NAME` of the list")
	c.Flags().StringVar(&rejects, "rejects", "", "write the rows that could not be used, with the reason, to this `FILE`")
	c.Flags().BoolVar(&confirmed, "confirmed", false, "their consent is known: no confirmation mails")
	_ = c.MarkFlagRequired("list") // fails only for a flag that does not exist
	return c
}

type importer struct {
	a         *app
	d         *daemon.Daemon
	list      string
	confirmed bool

	columns map[string]int
	batch   []news.SubscribeRequest
	rows    []importRow
	rejects *csv.Writer

	Added      int `json:"added"`
	Known      int `json:"known"`      // had a place on the list
	Suppressed int `json:"suppressed"` // never mailed
	Rejected   int `json:"rejected"`
}

// importRow is where a request came from.
type importRow struct {
	line   int
	record []string
}

func (im *importer) file(ctx context.Context, path, rejects string) (err error) {
	if _, err := im.d.Store.ListByName(ctx, im.list); err != nil {
		return err
	}
	in, size := im.a.stdin, int64(-1)
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("read subscribers: %w", err)
		}
		defer func() { _ = f.Close() }()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	if rejects != "" {
		f, err := os.OpenFile(rejects, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("write rejects: %w", err)
		}
		im.rejects = csv.NewWriter(f)
		defer func() {
			im.rejects.Flush()
			err = errors.Join(err, im.rejects.Error(), f.Close())
		}()
	}
	if err := im.read(ctx, im.a.progress(in, size)); err != nil {
		return err
	}
	if im.a.json {
		return im.a.printJSON(im)
	}
	im.a.say("%d added, %d were there, %d suppressed, %d rejected", im.Added, im.Known, im.Suppressed, im.Rejected)
	if im.Rejected > 0 {
		return fmt.Errorf("%s could not be used", counted(im.Rejected, "row"))
	}
	return nil
}

func (im *importer) read(ctx context.Context, in io.Reader) error {
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
		if err != nil {
			var bad *csv.ParseError
			if !errors.As(err, &bad) {
				return fmt.Errorf("read subscribers: %w", err)
			}
			im.reject(importRow{line: bad.Line, record: record}, bad.Err)
			continue
		}
		if first && im.header(record) {
			continue
		}
		im.add(importRow{line: line, record: record})
		if len(im.batch) >= importBatch {
			if err := im.flush(ctx); err != nil {
				return err
			}
		}
	}
}

// header reads the column names; a first row that holds an address is no header.
func (im *importer) header(record []string) bool {
	im.columns = map[string]int{"address": 0}
	if slices.ContainsFunc(record, func(s string) bool { return strings.Contains(s, "@") }) {
		return false
	}
	alias := map[string]string{"email": "address", "e-mail": "address", "email address": "address", "timezone": "zone", "time zone": "zone", "full name": "name"}
	im.columns = map[string]int{}
	for i, name := range record {
		name = strings.ToLower(strings.TrimSpace(name))
		if a, ok := alias[name]; ok {
			name = a
		}
		im.columns[name] = i
	}
	if _, ok := im.columns["address"]; !ok {
		im.columns["address"] = 0
	}
	return true
}

func (im *importer) cell(record []string, name string) string {
	i, ok := im.columns[name]
	if !ok || i >= len(record) {
		return ""
	}
	return strings.TrimSpace(record[i])
}

func (im *importer) add(row importRow) {
	req := news.SubscribeRequest{
		Name: news.CleanName(im.cell(row.record, "name")), Language: im.cell(row.record, "language"), Zone: im.cell(row.record, "zone"),
		List: im.list, Frequency: im.cell(row.record, "frequency"), Confirmed: im.confirmed,
		Consent: news.Consent{Source: "import", RequestedAt: im.a.now().UTC()},
	}
	var err error
	if req.Address, err = news.ParseAddress("address", im.cell(row.record, "address")); err != nil {
		im.reject(row, err)
		return
	}
	// An exported cell of several topics may stand behind the quote that keeps
	// spreadsheets from reading it as a formula.
	if req.Topics, err = news.CleanTopics(strings.FieldsFunc(im.cell(row.record, "topics"), func(r rune) bool { return r == ' ' || r == ';' || r == ',' })); err != nil {
		im.reject(row, err)
		return
	}
	if req.Zone != "" {
		if _, err := news.LoadZone("zone", req.Zone); err != nil {
			im.reject(row, err)
			return
		}
	}
	im.batch = append(im.batch, req)
	im.rows = append(im.rows, row)
}

func (im *importer) flush(ctx context.Context) error {
	if len(im.batch) == 0 {
		return nil
	}
	results, faults, err := im.d.Import(ctx, im.batch)
	if err != nil {
		return err
	}
	for i, res := range results {
		switch {
		case faults[i] != nil:
			im.reject(im.rows[i], faults[i])
		case res.Suppressed:
			im.Suppressed++
		case res.Created:
			im.Added++
		default:
			im.Known++
		}
	}
	im.batch, im.rows = im.batch[:0], im.rows[:0]
	return nil
}

func (im *importer) reject(row importRow, why error) {
	im.Rejected++
	if im.rejects != nil {
		_ = im.rejects.Write(append(slices.Clone(row.record), fmt.Sprintf("line %d: %v", row.line, why))) // its Error is read at the end
	}
	switch {
	case im.Rejected <= maxRejectsShown:
		im.a.say("line %d: %v", row.line, why)
	case im.Rejected == maxRejectsShown+1:
		im.a.say("more rows were rejected (--rejects FILE keeps them all)")
	}
}

func (a *app) subscriberExport() *cobra.Command {
	var list string
	var raw bool
	c := &cobra.Command{
		Use: "export [--list NAME]", Short: "Write subscribers as CSV (or, with --json, JSON lines)", Args: cobra.NoArgs,
		Long: `Writes one line per person and list. Cells that a spreadsheet would take for a
formula are preceded by a quote; --raw leaves them as they are, for machines.`,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return a.export(c.Context(), s, list, raw) })
		},
	}
	c.Flags().StringVar(&list, "list", "", "only this list's")
	c.Flags().BoolVar(&raw, "raw", false, "do not guard cells against spreadsheets")
	return c
}

func (a *app) export(ctx context.Context, s *store.Store, list string, raw bool) error {
	if a.json {
		out := bufio.NewWriter(a.stdout)
		if err := eachSubscriber(ctx, s, list, func(r news.SubscriberRow) error { return writeJSONLine(out, r) }); err != nil {
			return err
		}
		return out.Flush()
	}
	w := csv.NewWriter(a.stdout)
	write := func(cells ...string) error {
		if !raw {
			for i := range cells {
				cells[i] = guardCell(cells[i])
			}
		}
		return w.Write(cells)
	}
	if err := write("address", "name", "language", "zone", "list", "state", "frequency", "topics", "confirmed_at"); err != nil {
		return err
	}
	err := eachSubscriber(ctx, s, list, func(r news.SubscriberRow) error {
		for _, sub := range r.Subscriptions {
			if list != "" && sub.ListName != list {
				continue
			}
			var topics []string
			for _, t := range sub.Topics {
				topics = append(topics, string(t))
			}
			if err := write(r.Address, r.Name, r.Language, r.Zone, sub.ListName, string(sub.State), sub.Frequency, strings.Join(topics, " "), clock(sub.ConfirmedAt)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// guardCell puts a quote before what a spreadsheet would run.
func guardCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
