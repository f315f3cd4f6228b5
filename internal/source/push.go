package source

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Limits of the publish API.
const (
	// MaxPush is how many articles one call may bring.
	MaxPush = 1000
	// MaxPushBytes bounds the body of one call.
	MaxPushBytes = 32 << 20
	maxNativeID  = 250
)

// pushLooker has nothing to look at: articles come to us. Its one look ends
// the first run, so that what is pushed is news.
type pushLooker struct{}

func (pushLooker) look(context.Context, *job) (outcome, error) {
	return outcome{complete: true, again: 24 * MaxBackoff}, nil
}

// PushStore is what pushing needs of the store.
type PushStore interface {
	SourceByName(ctx context.Context, name string) (news.Source, error)
	FinishLook(ctx context.Context, sourceID int64, look news.Look, activate bool) error
	StoreArticles(ctx context.Context, sourceID int64, found []news.Found) (news.StoreCounts, error)
	WithdrawArticles(ctx context.Context, sourceID int64, nativeIDs []string) (int, error)
}

// Push stores what a publisher's own system sends. It is safe for concurrent use.
type Push struct {
	store   PushStore
	cleaner *Cleaner
	md      *markdown
	now     func() time.Time
}

// NewPush makes a Push. now may be nil: time.Now.
func NewPush(store PushStore, now func() time.Time) *Push {
	if now == nil {
		now = time.Now
	}
	return &Push{store: store, cleaner: NewCleaner(), md: newMarkdown(), now: now}
}

// pushArticle is an article as the publish API takes it.
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

// Put stores one article, a JSON array of articles, or one article per line
// (NDJSON), at most MaxPush. Either every article is valid or none is stored;
// the first fault is a *news.FieldError that names the field, with its number
// if there are several: "[3].url". Sending the same article again changes
// nothing. An unknown source is news.ErrNotFound.
func (p *Push) Put(ctx context.Context, sourceName string, body io.Reader) (news.StoreCounts, error) {
	src, err := p.source(ctx, sourceName)
	if err != nil {
		return news.StoreCounts{}, err
	}
	found, err := p.parse(body)
	if err != nil {
		return news.StoreCounts{}, err
	}
	if src.ActivatedAt.IsZero() {
		// There is no first run to wait for: what is pushed is news.
		now := p.now()
		look := news.Look{LastAt: now, NextAt: now.Add(24 * MaxBackoff)}
		if err := p.store.FinishLook(ctx, src.ID, look, true); err != nil {
			return news.StoreCounts{}, fmt.Errorf("activate source: %w", err)
		}
	}
	var all news.StoreCounts
	for batch := range slices.Chunk(found, storeBatch) {
		counts, err := p.store.StoreArticles(ctx, src.ID, batch)
		if err != nil {
			return all, fmt.Errorf("store articles: %w", err)
		}
		all.Add(counts)
	}
	return all, nil
}

// Delete withdraws an article. One that the source never had, or that is
// withdrawn already, is news.ErrNotFound.
func (p *Push) Delete(ctx context.Context, sourceName, id string) error {
	src, err := p.source(ctx, sourceName)
	if err != nil {
		return err
	}
	n, err := p.store.WithdrawArticles(ctx, src.ID, []string{id})
	if err != nil {
		return fmt.Errorf("withdraw article: %w", err)
	}
	if n == 0 {
		return fmt.Errorf("withdraw article %q: %w", clip(oneLine(id, 80), 80), news.ErrNotFound)
	}
	return nil
}

func (p *Push) source(ctx context.Context, name string) (news.Source, error) {
	src, err := p.store.SourceByName(ctx, name)
	if err != nil {
		return news.Source{}, fmt.Errorf("publish: %w", err)
	}
	if src.Kind != news.SourcePush {
		return news.Source{}, &news.FieldError{Field: "source", Value: name, Want: "a source of kind push"}
	}
	return src, nil
}

// parse reads and checks a whole body. With an id given twice the last wins.
func (p *Push) parse(body io.Reader) ([]news.Found, error) {
	data, err := io.ReadAll(io.LimitReader(body, MaxPushBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read body: %w", err)
	}
	if len(data) > MaxPushBytes {
		return nil, &news.FieldError{Field: "body", Value: strconv.Itoa(len(data)) + " bytes", Want: "at most 32 MiB"}
	}
	raws, many, err := splitArticles(data)
	if err != nil {
		return nil, err
	}
	var out []news.Found
	index := make(map[string]int, len(raws))
	for i, raw := range raws {
		prefix := ""
		if many {
			prefix = "[" + strconv.Itoa(i) + "]."
		}
		found, err := p.one(raw, prefix)
		if err != nil {
			return nil, err
		}
		if at, ok := index[found.NativeID]; ok {
			out[at] = found
			continue
		}
		index[found.NativeID] = len(out)
		out = append(out, found)
	}
	return out, nil
}

func splitArticles(data []byte) (raws []json.RawMessage, many bool, err error) {
	text := strings.TrimSpace(strings.TrimPrefix(string(data), "\uFEFF"))
	bad := func(err error) error {
		return &news.FieldError{Field: "body", Value: clip(oneLine(text[:min(len(text), 200)], 60), 60), Want: "JSON: an article, an array of them, or one per line (" + oneLine(err.Error(), 120) + ")"}
	}
	if strings.HasPrefix(text, "[") {
		many = true
		if err := json.Unmarshal([]byte(text), &raws); err != nil {
			return nil, true, bad(err)
		}
	} else {
		dec := json.NewDecoder(strings.NewReader(text))
		for len(raws) <= MaxPush {
			var raw json.RawMessage
			err := dec.Decode(&raw)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, false, bad(err)
			}
			raws = append(raws, raw)
		}
		many = len(raws) > 1
	}
	if len(raws) == 0 {
		return nil, many, bad(errors.New("there is none"))
	}
	if len(raws) > MaxPush {
		return nil, many, &news.FieldError{Field: "body", Value: "more", Want: "at most " + strconv.Itoa(MaxPush) + " articles in a call"}
	}
	return raws, many, nil
}

// one checks and converts one article.
func (p *Push) one(raw json.RawMessage, prefix string) (news.Found, error) {
	var a pushArticle
	if err := decodeStrict(raw, &a); err != nil {
		return news.Found{}, jsonField(err, raw, prefix)
	}
	f := news.Found{NativeID: a.ID, URL: strings.TrimSpace(a.URL), GUID: a.GUID, Title: oneLine(a.Title, maxTitle), Language: languageTag(a.Language)}
	if err := a.check(prefix); err != nil {
		return f, err
	}
	var err error
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
		if *t.into, err = time.Parse(time.RFC3339, t.text); err != nil {
			return f, &news.FieldError{Field: prefix + t.field, Value: t.text, Want: "a time such as 2025-11-19T13:28:00+03:00 (RFC 3339)"}
		}
	}
	f.Visibility = news.Visibility(orElse(a.Visibility, string(news.VisibilityPublic)))
	for _, author := range a.Authors {
		f.Authors = append(f.Authors, news.Author(author))
	}
	f.Terms = append(pushTerms(news.KindCategory, a.Categories), pushTerms(news.KindTag, a.Tags)...)
	f.CommentsURL = a.CommentsURL
	if a.Image != nil {
		f.Image = &news.Image{URL: a.Image.URL, Alt: a.Image.Alt, Type: a.Image.Type, Width: a.Image.Width, Height: a.Image.Height}
	}
	if err := p.content(&f, &a, prefix); err != nil {
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

func (p *Push) content(f *news.Found, a *pushArticle, prefix string) error {
	body := a.ContentHTML
	if a.ContentMarkdown != "" {
		var err error
		if body, err = p.md.render(a.ContentMarkdown); err != nil {
			return &news.FieldError{Field: prefix + "content_markdown", Value: clip(oneLine(a.ContentMarkdown[:min(len(a.ContentMarkdown), 400)], 60), 60), Want: "Markdown that can be rendered"}
		}
	}
	f.Summary = plainHTML(a.Summary, maxSummary)
	if f.Visibility != news.VisibilityPublic {
		return nil // title, link and a summary that was meant for all
	}
	got := p.cleaner.Clean(body, CleanOptions{Base: f.URL, Title: f.Title})
	f.ContentHTML = got.HTML
	f.Summary = orElse(f.Summary, got.Excerpt)
	if f.Image == nil {
		f.Image = got.Image
	}
	return nil
}
