package source

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
	"unicode/utf8"

	"gazetted/internal/news"
)

// ImportStore is what importing needs of the store.
type ImportStore interface {
	SourceByName(ctx context.Context, name string) (news.Source, error)
	KnownArticles(ctx context.Context, sourceID int64, afterNativeID string, limit int) ([]news.Known, error)
	// ImportArticles takes at most 500.
	ImportArticles(ctx context.Context, sourceID int64, found []news.Found) ([]news.PutOutcome, error)
}

// ImportOptions say what is imported, and how.
type ImportOptions struct {
	Store  ImportStore
	Source string // its name
	// BaseURL is where a folder's articles are published; "": as the source says.
	BaseURL string
	// Types are the post types that are taken of a WordPress export; nil: post.
	Types []string
	// DryRun stores nothing.
	DryRun bool
	Now    func() time.Time // nil: time.Now
	// Left is told of everything that is left out.
	Left func(LeftOut)
	// Counted is told of each article, for a progress bar; may be nil.
	Counted func()
}

// LeftOut is something in a file that did not become an article.
type LeftOut struct {
	Where  string // "post 12", "line 3", "a.md:4"
	Reason string // the same for all of a kind: "draft", "post type page"
	// Fault: it should have become one; Detail says why it could not.
	Fault  bool
	Detail string
}

// ImportReport counts.
type ImportReport struct {
	New     int            `json:"new"`
	Known   int            `json:"known"`    // there already, and left as they are
	LeftOut map[string]int `json:"left_out"` // by reason
	Faults  int            `json:"faults"`   // of these, what should have become an article
}

// Importer brings a file's articles into a source as archive: they fill its
// feeds and are mailed to nobody. What is there already stays as it is, so that
// an import may be repeated. A file is read as a stream.
type Importer struct {
	o       ImportOptions
	src     news.Source
	cleaner *Cleaner
	md      *markdown
	report  ImportReport
	known   map[string]bool // of a dry run
	batch   []news.Found
	bytes   int
}

// NewImporter finds the source. A name that there is none of is news.ErrNotFound.
func NewImporter(ctx context.Context, o ImportOptions) (*Importer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	src, err := o.Store.SourceByName(ctx, o.Source)
	if err != nil {
		return nil, fmt.Errorf("import: %w", err)
	}
	im := &Importer{o: o, src: src, cleaner: NewCleaner(), md: newMarkdown(), report: ImportReport{LeftOut: map[string]int{}}}
	if !o.DryRun {
		return im, nil
	}
	im.known = make(map[string]bool)
	for after := ""; ; {
		page, err := o.Store.KnownArticles(ctx, src.ID, after, knownPage)
		if err != nil {
			return nil, fmt.Errorf("import: %w", err)
		}
		for _, k := range page {
			im.known[k.NativeID] = true
			after = k.NativeID
		}
		if len(page) < knownPage {
			return im, nil
		}
	}
}

// leave notes what is left out.
func (im *Importer) leave(l LeftOut) {
	im.report.LeftOut[l.Reason]++
	if l.Fault {
		im.report.Faults++
	}
	if im.o.Left != nil {
		im.o.Left(l)
	}
	im.counted()
}

func (im *Importer) counted() {
	if im.o.Counted != nil {
		im.o.Counted()
	}
}

// put queues an article.
func (im *Importer) put(ctx context.Context, f news.Found) error {
	im.counted()
	seal(&f)
	im.batch = append(im.batch, f)
	im.bytes += len(f.ContentHTML) + 1000
	if len(im.batch) >= storeBatch || im.bytes >= storeBytes {
		return im.flush(ctx)
	}
	return nil
}

func (im *Importer) flush(ctx context.Context) error {
	if im.o.DryRun {
		for _, f := range im.batch {
			if im.known[f.NativeID] {
				im.report.Known++
			} else {
				im.report.New++
			}
			im.known[f.NativeID] = true
		}
	} else if len(im.batch) > 0 {
		outcomes, err := im.o.Store.ImportArticles(ctx, im.src.ID, im.batch)
		if err != nil {
			return fmt.Errorf("import: %w", err)
		}
		for _, o := range outcomes {
			if o == news.PutKnown {
				im.report.Known++
			} else {
				im.report.New++
			}
		}
	}
	im.batch, im.bytes = nil, 0
	return nil
}

// Lines imports articles in the form of the publish API, one per line.
func (im *Importer) Lines(ctx context.Context, in io.Reader) (ImportReport, error) {
	read := newPushReader(im.cleaner, im.md)
	for item, err := range lineItems(bufio.NewReader(in)) {
		if err != nil {
			return im.report, fmt.Errorf("import: %w", err)
		}
		if ctx.Err() != nil {
			return im.report, ctx.Err()
		}
		found, err := news.Found{}, item.err
		if err == nil {
			found, err = read.article(item.raw)
		}
		if err != nil {
			im.leave(LeftOut{Where: fmt.Sprintf("line %d", item.line), Reason: "cannot be used", Fault: true, Detail: err.Error()})
			continue
		}
		if err := im.put(ctx, found); err != nil {
			return im.report, err
		}
	}
	return im.report, im.flush(ctx)
}

// Folder imports a tree of Markdown and HTML files, read as a folder source
// reads them.
func (im *Importer) Folder(ctx context.Context, dir string) (ImportReport, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return im.report, fmt.Errorf("import: %w", err)
	}
	defer func() { _ = root.Close() }() // only read from
	zone := time.UTC
	if im.src.Settings.Zone != "" {
		if zone, err = news.LoadZone("zone", im.src.Settings.Zone); err != nil {
			return im.report, err
		}
	}
	reader := newFileReader(im.cleaner, im.md, zone, root, orElse(im.o.BaseURL, im.src.Settings.BaseURL), im.o.Now())
	err = fs.WalkDir(root.FS(), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return err
		case d.IsDir() && p != "." && skipDir(d.Name()):
			return fs.SkipDir
		case d.IsDir(), !articleName(d.Name()), !utf8.ValidString(p), len(p) > 1000:
			return nil
		}
		return im.file(ctx, root, reader, p)
	})
	if err != nil {
		return im.report, fmt.Errorf("import: %w", err)
	}
	return im.report, im.flush(ctx)
}

// file imports one file of a folder.
func (im *Importer) file(ctx context.Context, root *os.Root, reader *fileReader, p string) error {
	fault := func(where string, err error) error {
		im.leave(LeftOut{Where: where, Reason: "cannot be used", Fault: true, Detail: err.Error()})
		return nil
	}
	f, err := root.Open(p)
	if err != nil {
		return fault(p, errors.New(plainPathError(err)))
	}
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	_ = f.Close() // only read from
	if err == nil && len(data) > maxFile {
		err = fmt.Errorf("longer than %d MB", maxFile>>20)
	}
	if err != nil {
		return fault(p, err)
	}
	found, kind, _, err := reader.read(folderFile{Path: p, Data: data})
	var line *lineError
	switch {
	case errors.As(err, &line):
		return fault(fmt.Sprintf("%s:%d", p, line.Line), errors.New(line.Text))
	case err != nil:
		return fault(p, err)
	case kind == isDraft:
		im.leave(LeftOut{Where: p, Reason: "draft or expired"})
		return nil
	case kind != isArticle:
		im.leave(LeftOut{Where: p, Reason: "no article (" + path.Ext(p) + " without title or date)"})
		return nil
	case !webURL(found.URL):
		return fault(p, errors.New("url: it is not known where it is published; see --base-url"))
	}
	return im.put(ctx, found)
}
