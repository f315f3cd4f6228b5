package source

import (
	"encoding/json"
	"strings"
	"time"

	"gazetted/internal/news"
)

// pushArticle is an article as the publish API takes it.
// internal/web/openapi.json describes the fields; a test holds them together.
type pushArticle struct {
	ID              string       `json:"id"`
	URL             string       `json:"url"`
	Title           string       `json:"title"`
	ContentHTML     string       `json:"content_html"`
	ContentMarkdown string       `json:"content_markdown"`
	Summary         string       `json:"summary"`
	Language        string       `json:"language"`
	Authors         []pushAuthor `json:"authors"`
	Image           *pushImage   `json:"image"`
	CommentsURL     string       `json:"comments_url"`
	Visibility      string       `json:"visibility"`
	Categories      []pushTerm   `json:"categories"`
	Tags            []pushTerm   `json:"tags"`
	PublishedAt     string       `json:"published_at"`
	UpdatedAt       string       `json:"updated_at"`
	EmbargoAt       string       `json:"embargo_at"`
	ExpiresAt       string       `json:"expires_at"`
	GUID            string       `json:"guid"`
}

type pushImage struct {
	URL    string `json:"url"`
	Alt    string `json:"alt"`
	Type   string `json:"type"`
	Width  int    `json:"width"`
	Height int    `json:"height"`
}

// pushAuthor is a name, or an object with name and url.
type pushAuthor struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// UnmarshalJSON takes both forms.
func (a *pushAuthor) UnmarshalJSON(b []byte) error {
	type plain pushAuthor
	return nameOr(b, &a.Name, (*plain)(a))
}

// pushTerm is a name, or an object with name, id, slug and parent (an id).
type pushTerm struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Slug   string `json:"slug"`
	Parent string `json:"parent"`
}

// UnmarshalJSON takes both forms.
func (t *pushTerm) UnmarshalJSON(b []byte) error {
	type plain pushTerm
	return nameOr(b, &t.Name, (*plain)(t))
}

func nameOr(b []byte, name *string, object any) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, name) // turned into a FieldError by jsonField
	}
	return decodeStrict(b, object)
}

func decodeStrict(b []byte, into any) error {
	dec := json.NewDecoder(strings.NewReader(string(b)))
	dec.DisallowUnknownFields()
	return dec.Decode(into) // turned into a FieldError by jsonField
}

// pushReader makes articles of what the publish API takes.
type pushReader struct {
	cleaner *Cleaner
	md      *markdown
}

func newPushReader(c *Cleaner, md *markdown) *pushReader { return &pushReader{cleaner: c, md: md} }

// article checks and converts one article. Its mistakes are news.FieldErrors,
// or one *news.FieldError; its id is returned with them if it could be read.
func (r *pushReader) article(raw []byte) (news.Found, error) {
	var a pushArticle
	if err := decodeStrict(raw, &a); err != nil {
		return news.Found{}, jsonField(err, raw)
	}
	f := news.Found{URL: strings.TrimSpace(a.URL), GUID: a.GUID, Title: oneLine(a.Title, maxTitle), Language: languageTag(a.Language)}
	if validID(a.ID) {
		f.NativeID = a.ID
	}
	faults := a.check()
	for _, t := range []struct {
		field, text string
		into        *time.Time
	}{
		{"published_at", a.PublishedAt, &f.PublishedAt}, {"updated_at", a.UpdatedAt, &f.UpdatedAt},
		{"embargo_at", a.EmbargoAt, &f.EmbargoAt}, {"expires_at", a.ExpiresAt, &f.ExpiresAt},
	} {
		if t.text == "" {
			continue
		}
		var err error
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			faults = append(faults, &news.FieldError{Field: t.field, Value: t.text, Want: "a time such as 2025-11-19T13:28:00+03:00 (RFC 3339)"})
		}
	}
	if len(faults) > 0 {
		return f, faults
	}
	f.Version = instant(f.UpdatedAt)
	f.Visibility = news.Visibility(orElse(a.Visibility, string(news.VisibilityPublic)))
	for _, author := range a.Authors {
		f.Authors = append(f.Authors, news.Author(author))
	}
	f.Terms = append(pushTerms(news.KindCategory, a.Categories), pushTerms(news.KindTag, a.Tags)...)
	f.CommentsURL = a.CommentsURL
	if a.Image != nil {
		f.Image = &news.Image{URL: a.Image.URL, Alt: a.Image.Alt, Type: a.Image.Type, Width: a.Image.Width, Height: a.Image.Height}
	}
	if err := r.content(&f, &a); err != nil {
		return f, err
	}
	seal(&f)
	return f, nil
}

func pushTerms(kind news.TermKind, in []pushTerm) []news.TermRef {
	var out []news.TermRef
	for _, t := range in {
		out = append(out, news.TermRef{Kind: kind, NativeID: t.ID, ParentNativeID: t.Parent, Slug: t.Slug, Name: t.Name})
	}
	return out
}

func (r *pushReader) content(f *news.Found, a *pushArticle) error {
	body := a.ContentHTML
	if a.ContentMarkdown != "" {
		var err error
		if body, err = r.md.render(a.ContentMarkdown); err != nil {
			return &news.FieldError{Field: "content_markdown", Value: oneLine(clipBytes(a.ContentMarkdown, 400), 60), Want: "Markdown that can be rendered"}
		}
	}
	f.Summary = plainHTML(a.Summary, maxSummary)
	if f.Visibility != news.VisibilityPublic {
		return nil // title, link and a summary that was meant for all
	}
	got := r.cleaner.Clean(body, CleanOptions{Base: f.URL, Title: f.Title})
	f.ContentHTML = got.HTML
	f.Summary = orElse(f.Summary, got.Excerpt)
	if f.Image == nil {
		f.Image = got.Image
	}
	return nil
}
