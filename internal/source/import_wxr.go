package source

import (
	"bufio"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/runes"
	"golang.org/x/text/transform"

	"gazetted/internal/news"
)

// Limits of a WordPress export.
const (
	// maxWXRItem bounds the bytes of one item: a post with all its comments.
	maxWXRItem = 64 << 20
	// maxAttachments bounds the pictures that are remembered: about 100 MB.
	maxAttachments = 500_000
)

// wxrItem is an item of a WordPress export (WXR 1.0 to 1.2): a post, a page, a
// picture, or whatever a plugin keeps. Elements of the names wanted here are
// the same in all versions; only the versions' name spaces differ.
type wxrItem struct {
	Title       string        `xml:"title"`
	Link        string        `xml:"link"`
	PubDate     string        `xml:"pubDate"`
	Creator     string        `xml:"creator"`
	GUID        string        `xml:"guid"`
	Encoded     []wxrEncoded  `xml:"encoded"` // content and excerpt, told apart by name space
	PostID      string        `xml:"post_id"`
	Date        string        `xml:"post_date"`
	DateGMT     string        `xml:"post_date_gmt"`
	ModifiedGMT string        `xml:"post_modified_gmt"`
	Comments    string        `xml:"comment_status"`
	Status      string        `xml:"status"`
	Type        string        `xml:"post_type"`
	Password    string        `xml:"post_password"`
	Attachment  string        `xml:"attachment_url"`
	Categories  []wxrCategory `xml:"category"`
	Meta        []wxrMeta     `xml:"postmeta"`
}

type wxrEncoded struct {
	XMLName xml.Name
	Text    string `xml:",chardata"`
}

type wxrCategory struct {
	Domain   string `xml:"domain,attr"`
	Nicename string `xml:"nicename,attr"`
	Name     string `xml:",chardata"`
}

type wxrMeta struct {
	Key   string `xml:"meta_key"`
	Value string `xml:"meta_value"`
}

// wxrAuthor and wxrTerm stand in the channel before the items.
type wxrAuthor struct {
	Login   string `xml:"author_login"`
	Display string `xml:"author_display_name"`
}

type wxrTerm struct {
	ID       string `xml:"term_id"`
	Category string `xml:"category_nicename"`
	Tag      string `xml:"tag_slug"`
}

// wxrReader reads one export.
type wxrReader struct {
	im      *Importer
	authors map[string]string // login → name to show
	terms   map[string]string // "category:slug" → id
	images  map[string]string // id of an attachment → URL
}

// WXR imports a WordPress export (Tools, Export). open is called twice: a
// post's picture is an item of its own, which may stand behind it.
//
// Into a WordPress source the articles come under the ids that the site's REST
// API has for them; into a push source under their guid, until a source of the
// same site finds them there and takes them over.
func (im *Importer) WXR(ctx context.Context, open func() (io.ReadCloser, error)) (ImportReport, error) {
	if len(im.o.Types) == 0 {
		im.o.Types = []string{"post"}
	}
	r := &wxrReader{im: im, authors: map[string]string{}, terms: map[string]string{}, images: map[string]string{}}
	for _, take := range []func(context.Context, *wxrItem) error{r.attachment, r.post} {
		if err := r.pass(ctx, open, take); err != nil {
			return im.report, fmt.Errorf("import: %w", err)
		}
	}
	return im.report, im.flush(ctx)
}

func (r *wxrReader) pass(ctx context.Context, open func() (io.ReadCloser, error), take func(context.Context, *wxrItem) error) (err error) {
	file, err := open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	limited := &itemLimit{in: bufio.NewReaderSize(file, 256<<10), left: maxWXRItem}
	d := xml.NewDecoder(transform.NewReader(limited, transform.Chain(runes.ReplaceIllFormed(), runes.Map(xmlRune))))
	d.Entity = xml.HTMLEntity
	d.CharsetReader = func(label string, _ io.Reader) (io.Reader, error) {
		return nil, &news.FieldError{Field: "FILE", Value: label, Want: "UTF-8; convert it first"}
	}
	root := false
	for {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		limited.left = maxWXRItem
		token, err := d.Token()
		if errors.Is(err, io.EOF) && root {
			return nil
		}
		if err != nil {
			line, _ := d.InputPos()
			return fmt.Errorf("line %d: no WordPress export: %w", line, err)
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch name := start.Name.Local; {
		case !root:
			if root = name == "rss"; !root {
				return &news.FieldError{Field: "FILE", Value: name, Want: "a WordPress export, which begins with <rss>"}
			}
		case name == "item":
			var item wxrItem
			if err := r.decode(d, &item, start); err != nil {
				return err
			}
			if err := take(ctx, &item); err != nil {
				return err
			}
		case name == "author":
			var a wxrAuthor
			if err := r.decode(d, &a, start); err != nil {
				return err
			}
			r.authors[a.Login] = a.Display
		case (name == "category" || name == "tag") && strings.Contains(start.Name.Space, "wordpress.org/export"):
			var t wxrTerm
			if err := r.decode(d, &t, start); err != nil {
				return err
			}
			r.terms[name+":"+orElse(t.Category, t.Tag)] = t.ID
		}
	}
}

func (r *wxrReader) decode(d *xml.Decoder, into any, start xml.StartElement) error {
	if err := d.DecodeElement(into, &start); err != nil {
		line, _ := d.InputPos()
		return fmt.Errorf("line %d: %w", line, err)
	}
	return nil
}

// attachment remembers where a picture is.
func (r *wxrReader) attachment(_ context.Context, item *wxrItem) error {
	if item.Type == "attachment" && webURL(strings.TrimSpace(item.Attachment)) && len(r.images) < maxAttachments {
		r.images[item.PostID] = strings.TrimSpace(item.Attachment)
	}
	return nil
}

// post imports an item, or says why not.
func (r *wxrReader) post(ctx context.Context, item *wxrItem) error {
	where := "post " + clip(oneLine(orElse(item.PostID, item.GUID), 60), 60)
	switch {
	case item.Type == "attachment", item.Type == "nav_menu_item", item.Type == "revision":
		return nil // parts of others
	case !slices.Contains(r.im.o.Types, item.Type):
		r.im.leave(LeftOut{Where: where, Reason: "post type " + clip(oneLine(item.Type, 40), 40)})
		return nil
	case item.Status != "publish":
		r.im.leave(LeftOut{Where: where, Reason: "status " + clip(oneLine(item.Status, 40), 40)})
		return nil
	}
	found, err := r.article(item)
	if err != nil {
		r.im.leave(LeftOut{Where: where, Reason: "cannot be used", Fault: true, Detail: err.Error()})
		return nil
	}
	return r.im.put(ctx, found)
}

// article makes a Found of a published item.
func (r *wxrReader) article(item *wxrItem) (news.Found, error) {
	f := news.Found{URL: strings.TrimSpace(item.Link), GUID: oneLine(item.GUID, 500), Title: plainTitle(item.Title), Visibility: news.VisibilityPublic}
	id, err := strconv.ParseInt(strings.TrimSpace(item.PostID), 10, 64)
	if err != nil || id <= 0 {
		return f, fmt.Errorf("post_id %q is no number", clip(oneLine(item.PostID, 60), 60))
	}
	own := r.im.src.Kind == news.SourceWordPress // its terms and posts have these ids there, too
	f.NativeID = strconv.FormatInt(id, 10)
	if !own {
		f.NativeID = clipBytes(orElse(f.GUID, "wxr:"+f.NativeID), maxNativeID)
	}
	if !webURL(f.URL) {
		return f, fmt.Errorf("link %q is no address on the web", clip(oneLine(item.Link, 80), 80))
	}
	if f.PublishedAt, err = wxrTime(item.DateGMT, item.PubDate, item.Date); err != nil {
		return f, err // an article without its date would be as new as the import
	}
	f.UpdatedAt, _ = wxrTime(item.ModifiedGMT) // without it: never edited
	if name := oneLine(r.authors[item.Creator], maxName); name != "" {
		f.Authors = []news.Author{{Name: name}} // a login name alone is nobody's business
	}
	for _, c := range item.Categories {
		f.Terms = r.addTerm(f.Terms, c, own)
	}
	if item.Comments == "open" {
		f.CommentsURL = f.URL + "#comments"
	}
	for _, m := range item.Meta {
		if m.Key == "_thumbnail_id" && r.images[strings.TrimSpace(m.Value)] != "" {
			f.Image = &news.Image{URL: r.images[strings.TrimSpace(m.Value)]}
		}
	}
	if item.Password != "" {
		f.Visibility = news.VisibilityPassword // and not a word of its body
		return f, nil
	}
	content, excerpt := "", ""
	for _, e := range item.Encoded {
		if strings.Contains(e.XMLName.Space, "excerpt") {
			excerpt = e.Text
		} else {
			content = e.Text
		}
	}
	got := r.im.cleaner.Clean(wpautop(content), CleanOptions{Base: f.URL, Title: f.Title})
	f.ContentHTML = got.HTML
	f.Summary = orElse(plainHTML(excerpt, maxSummary), got.Excerpt)
	if f.Image == nil {
		f.Image = got.Image
	}
	return f, nil
}

func (r *wxrReader) addTerm(terms []news.TermRef, c wxrCategory, own bool) []news.TermRef {
	ref := news.TermRef{Name: plainTitle(c.Name), Slug: decodedSlug(c.Nicename)}
	domain := "category"
	switch c.Domain {
	case "category":
		ref.Kind = news.KindCategory
	case "post_tag", "tag":
		ref.Kind, domain = news.KindTag, "tag"
	default:
		return terms // a format, a series of some plugin
	}
	if own {
		ref.NativeID = r.terms[domain+":"+c.Nicename]
	}
	return append(terms, ref)
}

// wxrTime reads the first of texts that is a time: in UTC, as RSS writes it, or
// in the site's zone, which the export does not name.
func wxrTime(texts ...string) (time.Time, error) {
	for _, text := range texts {
		text = strings.TrimSpace(text)
		for _, layout := range []string{time.DateTime, time.RFC1123Z, time.RFC1123} {
			if at, err := time.Parse(layout, text); err == nil && at.Year() > 1 {
				return at.UTC(), nil
			}
		}
	}
	return time.Time{}, fmt.Errorf("post_date_gmt %q is no time", clip(oneLine(texts[0], 40), 40))
}

// xmlRune replaces what XML 1.0 §2.2 forbids and exports hold all the same.
func xmlRune(r rune) rune {
	if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF {
		return ' '
	}
	return r
}

// itemLimit ends with an error when one item is too long to be held.
type itemLimit struct {
	in   io.Reader
	left int // until the next item begins
}

// Read reads on within the limit.
func (l *itemLimit) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, fmt.Errorf("an item of more than %d MB", maxWXRItem>>20)
	}
	n, err := l.in.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err // io.EOF must stay itself
}
