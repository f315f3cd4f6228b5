package source

import (
	"fmt"
	"net/url"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// verdict says what a file of a folder is.
type verdict int

const (
	isArticle verdict = iota
	isDraft           // unpublished: not found, or withdrawn if it was
	isOther           // neither title nor date: a data file, a section, a redirect
)

// folderFile is one file, read.
type folderFile struct {
	Path string // slash-separated, below the root
	Data []byte
}

// fileReader turns files into articles. It holds what is the same for all
// files of one look.
type fileReader struct {
	cleaner *Cleaner
	md      *markdown
	dates   *dateReader
	root    *os.Root // to see which images are in the folder; may be nil
	base    *url.URL // where the folder is published; nil: unknown
	now     time.Time
	dated   *regexp.Regexp
	notes   []string // of the file at hand
}

func newFileReader(c *Cleaner, md *markdown, zone *time.Location, root *os.Root, baseURL string, now time.Time) *fileReader {
	r := &fileReader{cleaner: c, md: md, dates: newDateReader(zone), root: root, now: now,
		dated: regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})[-_](.+)$`)}
	if u, err := url.Parse(baseURL); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		if !strings.HasSuffix(u.Path, "/") {
			u.Path += "/"
		}
		r.base = u
	}
	return r
}

// read makes an article of f. Notes are "path:line: text"; an error is a
// *lineError and means that the file says nothing that can be relied on.
func (r *fileReader) read(f folderFile) (news.Found, verdict, []string, error) {
	r.notes = nil
	fm, err := parseFrontMatter(f.Data)
	if err != nil {
		return news.Found{}, isOther, nil, err
	}
	if isHTMLName(f.Path) && !fm.found {
		return r.htmlFile(f)
	}
	found, kind, err := r.fromFrontMatter(f, fm)
	return found, kind, r.notes, err
}

func (r *fileReader) note(f folderFile, line int, text string) {
	r.notes = append(r.notes, f.Path+":"+strconv.Itoa(line)+": "+text)
}

// fromFrontMatter reads the keys that the usual static site generators use.
func (r *fileReader) fromFrontMatter(f folderFile, fm *frontMatter) (news.Found, verdict, error) {
	title, _ := fm.text("title", "headline")
	dateText, _ := fm.text(dateKeys()...)
	if fm.found && title == "" && dateText == "" {
		return news.Found{}, isOther, nil
	}
	found := news.Found{NativeID: f.Path, Title: plainTitle(title)}
	if id, _ := fm.text("id", "uid", "uuid"); id != "" {
		found.NativeID = clipBytes("id:"+oneLine(id, 200), 250)
	}
	if asBool(fm.keys["draft"]) || fm.keys["published"] != nil && strings.EqualFold(asText(fm.keys["published"]), "false") {
		return found, isDraft, nil
	}
	if err := r.times(&found, f, fm); err != nil {
		return found, isOther, err
	}
	if r.expired(&found) {
		return found, isDraft, nil
	}
	if strings.HasPrefix(path.Base(f.Path), "index.") && fm.found && found.PublishedAt.IsZero() {
		return found, isOther, nil // the front page of a section, not an article of it
	}
	if err := r.address(&found, f, fm); err != nil {
		return found, isOther, err
	}
	r.people(&found, fm)
	r.terms(&found, fm)
	if err := r.content(&found, f, fm); err != nil {
		return found, isOther, err
	}
	if !fm.found && found.Title == "" && found.ContentHTML == "" {
		return found, isOther, nil
	}
	if v, _ := fm.text("visibility"); strings.EqualFold(v, string(news.VisibilityMembers)) {
		found.Visibility = news.VisibilityMembers
	}
	return found, isArticle, nil
}

// expired articles are as unpublished as drafts.
func (r *fileReader) expired(f *news.Found) bool {
	return !f.ExpiresAt.IsZero() && !f.ExpiresAt.After(r.now)
}

func dateKeys() []string {
	return []string{"date", "published_at", "publishdate", "pubdate", "published_date", "datepublished", "created", "created_at"}
}

// times reads the dates of f. A date that cannot be read is an error: an
// article without its date would be news again.
func (r *fileReader) times(found *news.Found, f folderFile, fm *frontMatter) error {
	read := func(keys ...string) (time.Time, error) {
		v, key := fm.text(keys...)
		if v == "" || strings.EqualFold(v, "false") || strings.EqualFold(v, "none") {
			return time.Time{}, nil
		}
		at, note, err := r.dates.parse(v)
		if err != nil {
			return time.Time{}, &lineError{Line: fm.line(key), Text: key + ": " + err.Error()}
		}
		if note != "" {
			r.note(f, fm.line(key), key+": "+note)
		}
		return at, nil
	}
	var err error
	if found.PublishedAt, err = read(dateKeys()...); err != nil {
		return err
	}
	if found.PublishedAt.IsZero() {
		// Zola keeps the date in the path under which it publishes.
		p, _ := fm.text("path", "url", "permalink")
		for _, where := range []string{p, f.Path} {
			if at, ok := r.dates.fromPath(where); ok {
				found.PublishedAt = at
				break
			}
		}
	}
	if found.UpdatedAt, err = read("lastmod", "updated", "updated_at", "last_modified_at", "modified", "datemodified"); err != nil {
		return err
	}
	if found.ExpiresAt, err = read("expirydate", "expires", "expires_at", "unpublishdate"); err != nil {
		return err
	}
	if found.EmbargoAt, err = read("embargo", "embargo_at", "publishdate"); err != nil {
		return err
	}
	if found.PublishedAt.After(r.now) && found.PublishedAt.After(found.EmbargoAt) {
		found.EmbargoAt = found.PublishedAt
	}
	return nil
}

// address finds where the article is published.
func (r *fileReader) address(found *news.Found, f folderFile, fm *frontMatter) error {
	explicit, key := fm.text("url", "permalink", "path")
	if key != "" && strings.Contains(explicit, "/:") {
		explicit = "" // a pattern such as /:year/:title/, not an address
	}
	if u, err := url.Parse(explicit); explicit != "" && err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
		found.URL = u.String()
		return nil
	}
	if r.base == nil {
		return &lineError{Line: 1, Text: "no url, and the source has no base URL to derive one from"}
	}
	if explicit != "" {
		ref, err := url.Parse(strings.TrimLeft(explicit, "/\\"))
		if err != nil || ref.IsAbs() || ref.Host != "" {
			return &lineError{Line: fm.line(key), Text: key + ": " + fmt.Sprintf("%q", clip(explicit, 60)) + " is no address"}
		}
		if key == "path" && !strings.HasSuffix(ref.Path, "/") {
			ref.Path += "/" // Zola publishes folders
		}
		found.URL = r.base.ResolveReference(ref).String()
		return nil
	}
	slug, _ := fm.text("slug")
	found.URL = r.base.ResolveReference(&url.URL{Path: r.derivedPath(f.Path, strings.Trim(slug, "/"))}).String()
	return nil
}

// derivedPath is where the usual generators publish a file: a dated name under
// its date, an index under its folder, anything else under its own name.
func (r *fileReader) derivedPath(p, slug string) string {
	dir, name := path.Split(p)
	ext := path.Ext(name)
	stem := strings.TrimSuffix(name, ext)
	if m := r.dated.FindStringSubmatch(stem); m != nil {
		return fmt.Sprintf("%s/%02s/%02s/%s/", m[1], m[2], m[3], orElse(slug, m[4]))
	}
	if isHTMLName(p) && slug == "" {
		if stem == "index" {
			return dir
		}
		return p
	}
	if stem == "index" {
		parent := strings.TrimSuffix(dir, "/")
		if slug != "" {
			parent = path.Join(path.Dir(parent), slug)
		}
		if parent == "" || parent == "." {
			return ""
		}
		return parent + "/"
	}
	return dir + orElse(slug, stem) + "/"
}

func (r *fileReader) people(found *news.Found, fm *frontMatter) {
	for _, key := range []string{"authors", "author", "by", "byline", "creator"} {
		v := fm.keys[key]
		items, ok := v.([]any)
		if !ok && v != nil {
			items = []any{v}
		}
		for _, item := range items {
			if m := asMap(item); m != nil {
				found.Authors = append(found.Authors, news.Author{Name: asText(first(m, "name", "display_name", "title")), URL: asText(first(m, "url", "link", "website"))})
				continue
			}
			found.Authors = append(found.Authors, news.Author{Name: asText(item)})
		}
		if len(found.Authors) > 0 {
			break
		}
	}
	lang, _ := fm.text("lang", "language", "locale")
	found.Language = languageTag(lang)
}

// languageTag makes "pt_br" the BCP 47 tag "pt-br"; "" for what is none.
func languageTag(s string) string {
	s = strings.ReplaceAll(strings.TrimSpace(s), "_", "-")
	parts := strings.Split(s, "-")
	if len(s) > 35 || len(parts[0]) < 2 || len(parts[0]) > 3 {
		return ""
	}
	for _, part := range parts {
		if part == "" || len(part) > 8 || strings.Trim(strings.ToLower(part), "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			return ""
		}
	}
	return s
}

func (r *fileReader) terms(found *news.Found, fm *frontMatter) {
	add := func(kind news.TermKind, keys ...string) {
		for _, key := range keys {
			for _, name := range asTexts(fm.keys[key]) {
				found.Terms = append(found.Terms, news.TermRef{Kind: kind, Name: name})
			}
		}
	}
	add(news.KindCategory, "categories", "category", "sections", "section")
	add(news.KindTag, "tags", "tag", "topics", "keywords")
}

// content renders the text and picks summary and image.
func (r *fileReader) content(found *news.Found, f folderFile, fm *frontMatter) error {
	raw := fm.body
	if !isHTMLName(f.Path) {
		var err error
		if raw, err = r.md.render(raw); err != nil {
			return &lineError{Line: 1, Text: err.Error()}
		}
	}
	r.finish(found, f, raw)
	if found.Title == "" && !fm.found {
		// A text without front matter, headed by itself.
		found.Title = firstWords(found.Summary)
	}
	if s, _ := fm.text("summary", "description", "excerpt", "deck", "subtitle"); s != "" {
		found.Summary = plainHTML(s, maxSummary)
	}
	if img := r.headImage(fm); img != nil {
		if abs := r.localImage(f.Path, found.URL)(img.URL); abs != "" {
			img.URL = abs
		}
		if img = tidyImage(img, found.URL); img != nil {
			found.Image = img
		}
	}
	return nil
}

// finish cleans raw HTML and takes from it what the head did not give.
func (r *fileReader) finish(found *news.Found, f folderFile, raw string) {
	got := r.cleaner.Clean(raw, CleanOptions{Base: found.URL, Local: r.localImage(f.Path, found.URL), Title: found.Title})
	found.ContentHTML = got.HTML
	if found.Title == "" {
		found.Title = got.Heading
	}
	if found.Summary == "" {
		found.Summary = got.Excerpt
	}
	if found.Image == nil {
		found.Image = got.Image
	}
}

// headImage reads the image keys, which hold a text, a list or a table.
func (r *fileReader) headImage(fm *frontMatter) *news.Image {
	alt, _ := fm.text("image_alt", "featured_image_alt", "cover_alt", "alt")
	for _, key := range []string{"image", "featured_image", "featuredimage", "cover", "cover_image", "og_image", "thumbnail", "images"} {
		v := fm.keys[key]
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		ref := asText(v)
		if m := asMap(v); m != nil {
			ref = asText(first(m, "url", "src", "image", "path", "feature"))
			alt = orElse(alt, asText(first(m, "alt", "title")))
		}
		// Some sites write the key of an image that only their generator knows.
		if ref != "" && (imageType(ref) != "" || strings.Contains(ref, "://")) {
			return &news.Image{URL: ref, Alt: alt}
		}
	}
	return nil
}

// localImage finds images that lie in the folder itself: beside the file or
// from the root. They are published under the article, or the base URL.
func (r *fileReader) localImage(file, articleURL string) func(string) string {
	return func(ref string) string {
		u, err := url.Parse(ref)
		if err != nil || r.root == nil || r.base == nil || u.IsAbs() || u.Host != "" || u.Path == "" {
			return ""
		}
		dir := path.Dir(file)
		beside := path.Join(dir, u.Path)
		if !strings.HasPrefix(u.Path, "/") && !strings.HasPrefix(beside, "../") && r.exists(beside) {
			if strings.HasPrefix(path.Base(file), "index.") && !strings.HasPrefix(path.Clean(u.Path), "../") {
				if article, err := url.Parse(articleURL); err == nil {
					return article.ResolveReference(&url.URL{Path: u.Path}).String()
				}
			}
			return r.base.ResolveReference(&url.URL{Path: beside}).String()
		}
		if rooted := strings.TrimPrefix(path.Clean("/"+u.Path), "/"); r.exists(rooted) {
			return r.base.ResolveReference(&url.URL{Path: rooted}).String()
		}
		return ""
	}
}

func (r *fileReader) exists(p string) bool {
	info, err := r.root.Stat(p)
	return err == nil && info.Mode().IsRegular()
}

func isHTMLName(p string) bool {
	ext := strings.ToLower(path.Ext(p))
	return ext == ".html" || ext == ".htm" || ext == ".xhtml"
}
