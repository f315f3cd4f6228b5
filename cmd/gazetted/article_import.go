package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/news"
	"gazetted/internal/source"
)

func (a *app) articleImport() *cobra.Command {
	im := &articleImporter{a: a}
	c := &cobra.Command{
		Use: "import FILE --source NAME [--dry-run]", Short: "Bring a past into the feeds: a WordPress export, JSON lines, a folder", Args: cobra.ExactArgs(1),
		Long: `Imports articles as archive: they fill the feeds of the source that they are
given to and are mailed to nobody. FILE is a WordPress export (Tools, Export), a
file with one article per line in the form of the publish API, or a folder of
Markdown or HTML. What the source has already stays as it is, so that an import
may be repeated.

Give a WordPress export to the source that watches that site: its posts have the
same ids there. If there is none, give it to a push source; a source of that site
that is added later takes the articles over, known by their guid or address, and
mails none of them.`,
		Example: "  gazetted article import export.xml --source news.example.org --dry-run\n  gazetted article import articles.jsonl --source cms\n  gazetted article import ./old-blog --source blog --base-url https://blog.example.org",
		RunE: func(c *cobra.Command, args []string) error {
			return a.withDaemon(c.Context(), func(d *daemon.Daemon) error { return im.run(c.Context(), d, args[0]) })
		},
	}
	c.Flags().StringVar(&im.o.Source, "source", "", "`NAME` of the source that the articles belong to")
	c.Flags().StringVar(&im.o.BaseURL, "base-url", "", "folder: the `URL` under which it is published (default: the source's)")
	c.Flags().StringSliceVar(&im.o.Types, "type", []string{"post"}, "WordPress export: which post `TYPE`s are articles")
	c.Flags().BoolVar(&im.o.DryRun, "dry-run", false, "only say what would be done")
	c.Flags().StringVar(&im.rejects, "rejects", "", "write everything that was left out, with the reason, to this `FILE`")
	_ = c.MarkFlagRequired("source") // fails only for a flag that does not exist
	return c
}

type articleImporter struct {
	a       *app
	o       source.ImportOptions
	rejects string

	list  *bufio.Writer // of what was left out; nil: nobody wants it
	shown int
}

func (im *articleImporter) run(ctx context.Context, d *daemon.Daemon, path string) (err error) {
	im.o.Store, im.o.Now, im.o.Left = d.Store, im.a.now, im.left
	if im.rejects != "" {
		f, err := os.OpenFile(im.rejects, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return fmt.Errorf("write rejects: %w", err)
		}
		im.list = bufio.NewWriter(f)
		defer func() { err = errors.Join(err, im.list.Flush(), f.Close()) }()
	}
	report, err := im.read(ctx, path)
	if err != nil {
		return err
	}
	released := 0
	if !im.o.DryRun {
		if released, err = d.ReleaseAll(ctx); err != nil {
			return err
		}
	}
	if im.a.json {
		if err := im.a.printJSON(map[string]any{"report": report, "dry_run": im.o.DryRun, "released": released}); err != nil {
			return err
		}
	} else {
		im.say(report)
	}
	if report.Faults > 0 {
		return fmt.Errorf("%s could not be used", counted(report.Faults, "article"))
	}
	return nil
}

func (im *articleImporter) say(r source.ImportReport) {
	done := "imported as archive"
	if im.o.DryRun {
		done = "would be imported as archive"
	}
	im.a.say("%s %s, %d were there", counted(r.New, "article"), done, r.Known)
	for _, reason := range slices.Sorted(maps.Keys(r.LeftOut)) {
		im.a.say("left out: %d (%s)", r.LeftOut[reason], reason)
	}
}

// left tells of what was left out: everything into the file, and of what should
// have become an article the first few on the terminal.
func (im *articleImporter) left(l source.LeftOut) {
	text := oneLine(l.Where + ": " + l.Reason)
	if l.Detail != "" {
		text += ": " + oneLine(l.Detail)
	}
	if im.list != nil {
		_, _ = im.list.WriteString(text + "\n") // its Flush tells
	}
	if !l.Fault {
		return
	}
	im.shown++
	switch {
	case im.shown <= maxRejectsShown:
		im.a.say("%s", text)
	case im.shown == maxRejectsShown+1:
		im.a.say("more could not be used (--rejects FILE keeps them all)")
	}
}

// read finds out what path is, and imports it.
func (im *articleImporter) read(ctx context.Context, path string) (report source.ImportReport, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return report, fmt.Errorf("import: %w", err)
	}
	if info.IsDir() {
		if bar := im.a.bar(-1, false); bar != nil {
			im.o.Counted = func() { _ = bar.Add(1) } // what the terminal does not show is lost
			defer func() { _ = bar.Finish() }()
		}
	}
	importer, err := source.NewImporter(ctx, im.o)
	if err != nil {
		return report, err
	}
	if info.IsDir() {
		return importer.Folder(ctx, path)
	}
	first, err := firstByte(path)
	if err != nil {
		return report, err
	}
	switch first {
	case '<':
		bar := im.a.bar(2*info.Size(), true)
		return importer.WXR(ctx, func() (io.ReadCloser, error) { return openWith(path, bar) })
	case '{':
		f, err := openWith(path, im.a.bar(info.Size(), true))
		if err != nil {
			return report, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		return importer.Lines(ctx, f)
	default:
		return report, &news.FieldError{Field: "FILE", Value: path, Want: "a WordPress export (XML), one JSON object per line, or a folder"}
	}
}

// firstByte is the first byte of a file that is no white space; 0: there is none.
func firstByte(path string) (byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, fmt.Errorf("import: %w", err)
	}
	defer func() { _ = f.Close() }() // only read from
	head := make([]byte, 1024)
	n, err := io.ReadFull(f, head)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("import: %w", err)
	}
	head = bytes.TrimSpace(bytes.TrimPrefix(head[:n], []byte("\uFEFF")))
	if len(head) == 0 {
		return 0, nil
	}
	return head[0], nil
}

// openWith opens a file whose reading moves a bar, if there is one.
func openWith(path string, bar *progressbar.ProgressBar) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil || bar == nil {
		return f, err
	}
	return barFile{Reader: io.TeeReader(f, bar), Closer: f}, nil
}

type barFile struct {
	io.Reader
	io.Closer
}
