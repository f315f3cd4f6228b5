package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// wpBrief is what a sweep asks of a post: whatever may change without its
// modified date changing.
type wpBrief struct {
	ID          int64   `json:"id"`
	ModifiedGMT string  `json:"modified_gmt"`
	Slug        string  `json:"slug"`
	Status      string  `json:"status"`
	Categories  wpIDs   `json:"categories"`
	Tags        wpIDs   `json:"tags"`
	Media       wpMaybe `json:"featured_media"`
}

// wpVersion is part of every fingerprint: raise it when posts are to be read
// anew after a change of how they are read.
const wpVersion = 1

func (b wpBrief) fingerprint() string {
	slices.Sort(b.Categories)
	slices.Sort(b.Tags)
	return fmt.Sprintf("%d|%s|%s|%s|%s|%s|%d", wpVersion, b.ModifiedGMT, clipBytes(b.Slug, 200), b.Status, joinIDs(b.Categories), joinIDs(b.Tags), b.Media)
}

// wpIDs is a list of ids; plugins make null or an object of an empty one.
type wpIDs []int64

// UnmarshalJSON never fails: terms that cannot be read are none.
func (ids *wpIDs) UnmarshalJSON(b []byte) error {
	var list []int64
	if json.Unmarshal(b, &list) != nil {
		list = nil
	}
	*ids = list
	return nil
}

// wpMaybe is an id that may be 0, null, false or in quotes.
type wpMaybe int64

// UnmarshalJSON never fails.
func (m *wpMaybe) UnmarshalJSON(b []byte) error {
	n, err := strconv.ParseInt(strings.Trim(string(b), `"`), 10, 64)
	if err != nil {
		n = 0
	}
	*m = wpMaybe(n)
	return nil
}

// wpRendered is a text that WordPress has made HTML of.
type wpRendered struct {
	Rendered  string `json:"rendered"`
	Protected bool   `json:"protected"`
}

// UnmarshalJSON takes a bare string for the rendering; plugins write that.
func (r *wpRendered) UnmarshalJSON(b []byte) error {
	type plain wpRendered
	if json.Unmarshal(b, (*plain)(r)) == nil {
		return nil
	}
	if json.Unmarshal(b, &r.Rendered) != nil {
		*r = wpRendered{}
	}
	return nil
}

// wpPost is a post in full.
type wpPost struct {
	ID            int64      `json:"id"`
	Date          string     `json:"date"`
	DateGMT       string     `json:"date_gmt"`
	Modified      string     `json:"modified"`
	ModifiedGMT   string     `json:"modified_gmt"`
	Slug          string     `json:"slug"`
	Status        string     `json:"status"`
	Link          string     `json:"link"`
	GUID          wpRendered `json:"guid"`
	Title         wpRendered `json:"title"`
	Content       wpRendered `json:"content"`
	Excerpt       wpRendered `json:"excerpt"`
	Author        wpMaybe    `json:"author"`
	Media         wpMaybe    `json:"featured_media"`
	CommentStatus string     `json:"comment_status"`
	Categories    wpIDs      `json:"categories"`
	Tags          wpIDs      `json:"tags"`
	Lang          any        `json:"lang"` // of Polylang
	Yoast         any        `json:"yoast_head_json"`
}

func (p *wpPost) brief() wpBrief {
	return wpBrief{ID: p.ID, ModifiedGMT: p.ModifiedGMT, Slug: p.Slug, Status: p.Status,
		Categories: slices.Clone(p.Categories), Tags: slices.Clone(p.Tags), Media: p.Media}
}

type wpTerm struct {
	ID     int64   `json:"id"`
	Name   string  `json:"name"` // HTML: R&amp;D
	Slug   string  `json:"slug"` // percent-encoded beyond ASCII
	Parent wpMaybe `json:"parent"`
	tag    bool
}

// ref is the term as the store takes it.
func (t wpTerm) ref() news.TermRef {
	r := news.TermRef{Kind: news.KindCategory, NativeID: strconv.FormatInt(t.ID, 10), Slug: decodedSlug(t.Slug), Name: clip(plainTitle(t.Name), maxName)}
	if t.tag {
		r.Kind = news.KindTag
	}
	if t.Parent > 0 {
		r.ParentNativeID = strconv.FormatInt(int64(t.Parent), 10)
	}
	return r
}

// decodedSlug reads the percent-encoding of a slug in another script; "" where
// it cannot be a slug of ours, which is then made from the name.
func decodedSlug(s string) string {
	plain, err := url.PathUnescape(s)
	if err != nil || !news.ValidSlug(plain) {
		return ""
	}
	return plain
}

type wpUser struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	URL  string `json:"url"`
	Link string `json:"link"`
}

type wpMedia struct {
	ID        int64     `json:"id"`
	Alt       string    `json:"alt_text"`
	Type      string    `json:"mime_type"`
	SourceURL string    `json:"source_url"`
	Details   wpDetails `json:"media_details"`
}

type wpDetails struct {
	wpSize
	Sizes map[string]wpSize `json:"sizes"`
}

// UnmarshalJSON never fails: without sizes WordPress writes [] or {}.
func (d *wpDetails) UnmarshalJSON(b []byte) error {
	type plain wpDetails
	if json.Unmarshal(b, (*plain)(d)) != nil {
		// One odd size must not cost the picture's own numbers.
		if json.Unmarshal(b, &d.wpSize) != nil {
			d.wpSize = wpSize{}
		}
		d.Sizes = nil
	}
	return nil
}

type wpSize struct {
	Width     wpMaybe `json:"width"`
	Height    wpMaybe `json:"height"`
	FileSize  wpMaybe `json:"filesize"`
	Type      string  `json:"mime_type"`
	SourceURL string  `json:"source_url"`
}

// image picks the file to show: the widest of at most 1200 pixels in a format
// that every mail client shows; else the original.
func (m *wpMedia) image() *news.Image {
	if m.SourceURL == "" || m.Type != "" && !strings.HasPrefix(m.Type, "image/") {
		return nil
	}
	original := m.Details.wpSize
	original.SourceURL, original.Type = m.SourceURL, m.Type
	best := original
	for _, s := range m.Details.Sizes {
		if s.SourceURL != "" && s.better(best) {
			best = s
		}
	}
	return &news.Image{URL: best.SourceURL, Alt: plainTitle(m.Alt), Type: best.Type, Width: int(best.Width), Height: int(best.Height), Bytes: int64(best.FileSize)}
}

func (s wpSize) better(o wpSize) bool {
	score := func(x wpSize) int64 {
		n := int64(0)
		if x.Type == "image/jpeg" || x.Type == "image/png" {
			n += 1 << 40
		}
		if x.Width > 0 && x.Width <= maxImageWidth {
			return n + 1<<30 + int64(x.Width)
		}
		return n - int64(x.Width)
	}
	a, b := score(s), score(o)
	return a > b || a == b && s.SourceURL < o.SourceURL
}

// join fetches what posts refer to. Media are returned; users and terms are
// kept for the look.
func (l *wpLook) join(ctx context.Context, posts []wpPost) (map[int64]wpMedia, error) {
	var authors, media, categories, tags []int64
	for i := range posts {
		p := &posts[i]
		if _, ok := l.users[int64(p.Author)]; !ok && p.Author > 0 {
			authors = append(authors, int64(p.Author))
		}
		if p.Media > 0 {
			media = append(media, int64(p.Media))
		}
		for _, id := range p.Categories {
			if _, ok := l.terms[id]; !ok {
				categories = append(categories, id)
			}
		}
		for _, id := range p.Tags {
			if _, ok := l.terms[id]; !ok {
				tags = append(tags, id)
			}
		}
	}
	if err := l.joinUsers(ctx, authors); err != nil {
		return nil, err
	}
	if err := l.joinTerms(ctx, categories, tags); err != nil {
		return nil, err
	}
	list, err := byID[wpMedia](ctx, l.api, "media", "id,alt_text,mime_type,source_url,media_details", media)
	if err != nil {
		return nil, err
	}
	out := make(map[int64]wpMedia, len(list))
	for _, m := range list {
		out[m.ID] = m
	}
	return out, nil
}

// joinUsers reads authors. Many sites hide them from the API, against spying
// on login names; their articles then have no byline.
func (l *wpLook) joinUsers(ctx context.Context, ids []int64) error {
	if l.noUsers || len(ids) == 0 {
		return nil
	}
	users, err := byID[wpUser](ctx, l.api, "users", "id,name,url,link", ids)
	var status *StatusError
	if errors.As(err, &status) && !status.Temporary() {
		l.noUsers = true
		l.notes.add("authors are left out: " + err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	for _, u := range users {
		l.users[u.ID] = u
	}
	return nil
}

func (l *wpLook) joinTerms(ctx context.Context, categories, tags []int64) error {
	if len(categories) > 0 {
		list, err := byID[wpTerm](ctx, l.api, "categories", "id,name,slug,parent", categories)
		if err != nil {
			return err
		}
		for _, t := range list {
			l.terms[t.ID] = t
		}
	}
	if len(tags) > 0 {
		list, err := byID[wpTerm](ctx, l.api, "tags", "id,name,slug", tags)
		if err != nil {
			return err
		}
		for _, t := range list {
			t.tag = true
			l.terms[t.ID] = t
		}
	}
	return nil
}

// article makes a Found of a post.
func (l *wpLook) article(p *wpPost, media map[int64]wpMedia) news.Found {
	f := news.Found{
		NativeID: strconv.FormatInt(p.ID, 10),
		URL:      p.Link,
		GUID:     oneLine(plainTitle(p.GUID.Rendered), 500),
		Title:    plainTitle(p.Title.Rendered),
	}
	f.PublishedAt = l.instant(p, p.DateGMT, p.Date)
	f.UpdatedAt = l.instant(p, p.ModifiedGMT, p.Modified)
	if u, ok := l.users[int64(p.Author)]; ok {
		f.Authors = []news.Author{{Name: u.Name, URL: orElse(u.URL, u.Link)}}
	}
	for _, id := range slices.Concat(p.Categories, p.Tags) {
		if t, ok := l.terms[id]; ok {
			f.Terms = append(f.Terms, t.ref())
		}
	}
	if p.CommentStatus == "open" && p.Link != "" {
		f.CommentsURL = p.Link + "#comments"
	}
	if lang, ok := p.Lang.(string); ok {
		f.Language = languageTag(lang)
	}
	if m, ok := media[int64(p.Media)]; ok {
		f.Image = m.image()
	}
	if p.Content.Protected || p.Excerpt.Protected {
		f.Visibility = news.VisibilityPassword // and not a word of its body
		return f
	}
	clean := l.cleaner.Clean(p.Content.Rendered, CleanOptions{Base: p.Link, Title: f.Title})
	f.ContentHTML = clean.HTML
	f.Summary = orElse(writtenExcerpt(p.Excerpt.Rendered, p.Content.Rendered), clean.Excerpt)
	if f.Image == nil {
		f.Image = yoastImage(p.Yoast)
	}
	if f.Image == nil {
		f.Image = clean.Image
	}
	return f
}

// instant reads a time that WordPress gives twice: in UTC without saying so,
// and in the site's zone without naming it. Drafts published by plugins may
// lack the former.
func (l *wpLook) instant(p *wpPost, gmt, local string) time.Time {
	if at, err := time.Parse("2006-01-02T15:04:05", strings.TrimSuffix(gmt, "Z")); err == nil && at.Year() > 1 {
		return at
	}
	if at, err := time.ParseInLocation("2006-01-02T15:04:05", local, l.zone); err == nil && at.Year() > 1 {
		l.notes.add(fmt.Sprintf("post %d: has no time in UTC, read in %s", p.ID, l.zone))
		return at
	}
	return time.Time{}
}

// yoastImage is the og:image as a widespread plugin gives it.
func yoastImage(v any) *news.Image {
	list := asList(asMap(v)["og_image"])
	if len(list) == 0 {
		return nil
	}
	m := asMap(list[0])
	ref := asText(m["url"])
	if ref == "" {
		return nil
	}
	return &news.Image{URL: ref, Type: asText(m["type"]), Width: max(pixels(asText(m["width"])), 0), Height: max(pixels(asText(m["height"])), 0)}
}
