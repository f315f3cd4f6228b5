package source

import (
	"encoding/json"
	"errors"
	"html"
	"io"
	"strings"

	"gazetted/internal/news"
)

// JSON Feed 1.1 (https://www.jsonfeed.org/version/1.1/), read here rather than
// by gofeed: ids may be numbers, and one odd member must not cost the feed.

type jsonFeed struct {
	Version  looseText    `json:"version"`
	Title    looseText    `json:"title"`
	Home     looseText    `json:"home_page_url"`
	Self     looseText    `json:"feed_url"`
	Next     looseText    `json:"next_url"`
	Language looseText    `json:"language"`
	Authors  []jsonAuthor `json:"authors"`
	Author   *jsonAuthor  `json:"author"` // of version 1
	Hubs     []struct {
		Type looseText `json:"type"`
		URL  looseText `json:"url"`
	} `json:"hubs"`
	Items []json.RawMessage `json:"items"`
}

type jsonAuthor struct {
	Name looseText `json:"name"`
	URL  looseText `json:"url"`
}

type jsonItem struct {
	ID        looseText    `json:"id"`
	URL       looseText    `json:"url"`
	External  looseText    `json:"external_url"`
	Title     looseText    `json:"title"`
	HTML      looseText    `json:"content_html"`
	Text      looseText    `json:"content_text"`
	Summary   looseText    `json:"summary"`
	Image     looseText    `json:"image"`
	Banner    looseText    `json:"banner_image"`
	Published looseText    `json:"date_published"`
	Modified  looseText    `json:"date_modified"`
	Authors   []jsonAuthor `json:"authors"`
	Author    *jsonAuthor  `json:"author"`
	Tags      []looseText  `json:"tags"`
	Language  looseText    `json:"language"`
}

// looseText is a string; a number or boolean is its text, anything else none.
type looseText string

// UnmarshalJSON never fails.
func (t *looseText) UnmarshalJSON(b []byte) error {
	var s string
	switch {
	case json.Unmarshal(b, &s) == nil:
		*t = looseText(s)
	case len(b) > 0 && strings.IndexByte("-0123456789tf", b[0]) >= 0:
		*t = looseText(b)
	default:
		*t = ""
	}
	return nil
}

func (p *feedParse) json(text string) (*feedDoc, error) {
	var f jsonFeed
	err := json.NewDecoder(strings.NewReader(text)).Decode(&f)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, &noFeedError{"JSON that was cut short"}
	}
	if err != nil && len(f.Items) == 0 {
		return nil, &noFeedError{"JSON that is no feed"}
	}
	if !strings.Contains(string(f.Version), "jsonfeed.org") && f.Items == nil {
		return nil, &noFeedError{"JSON that is no feed"}
	}
	if len(f.Items) > maxFeedItems {
		return nil, &FeedLimitError{What: "items", Limit: maxFeedItems}
	}
	base := p.base.String()
	d := &feedDoc{format: "JSON Feed", title: oneLine(string(f.Title), maxTitle), home: abs(string(f.Home), base),
		next: abs(string(f.Next), base), self: abs(string(f.Self), base), language: languageTag(string(f.Language))}
	for _, h := range f.Hubs {
		if strings.EqualFold(string(h.Type), "websub") {
			d.link("hub", abs(string(h.URL), base))
		}
	}
	for _, raw := range f.Items {
		var i jsonItem
		if json.Unmarshal(raw, &i) != nil && i.ID == "" && i.URL == "" {
			continue // not an object
		}
		d.items = append(d.items, p.jsonItem(&i, &f))
	}
	return d, nil
}

func (p *feedParse) jsonItem(i *jsonItem, f *jsonFeed) feedItem {
	base := p.base.String()
	out := feedItem{
		guid: strings.TrimSpace(string(i.ID)), permalink: true, link: orElse(abs(string(i.URL), base), abs(string(i.External), base)),
		title: noTags(string(i.Title)), content: string(i.HTML), language: languageTag(string(i.Language)),
		published: p.date(string(i.Published), nil), updated: p.date(string(i.Modified), nil),
	}
	if i.Summary != "" {
		out.summary = noTags(string(i.Summary))
	}
	if out.content == "" && i.Text != "" {
		out.content = textHTML(string(i.Text))
	}
	if out.content == "" {
		out.content, out.summary = out.summary, ""
	}
	if img := orElse(string(i.Image), string(i.Banner)); img != "" {
		out.image = &news.Image{URL: abs(img, base)}
	}
	people := i.Authors
	if len(people) == 0 && i.Author != nil {
		people = []jsonAuthor{*i.Author}
	}
	if len(people) == 0 {
		people = f.Authors
	}
	if len(people) == 0 && f.Author != nil {
		people = []jsonAuthor{*f.Author}
	}
	for _, a := range people {
		out.authors = append(out.authors, news.Author{Name: string(a.Name), URL: string(a.URL)})
	}
	for _, t := range i.Tags {
		out.terms = append(out.terms, feedTerm{name: noTags(string(t)), tag: true})
	}
	return out
}

// noTags makes HTML of what is plain text by the format. Entities stay: they
// are a mistake there, but a common one, and never meant to be read.
func noTags(s string) string { return strings.ReplaceAll(s, "<", "&lt;") }

// textHTML makes paragraphs of plain text.
func textHTML(s string) string {
	var b strings.Builder
	for para := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n\n") {
		if para = strings.TrimSpace(para); para != "" {
			b.WriteString("<p>" + strings.ReplaceAll(html.EscapeString(para), "\n", "<br>") + "</p>")
		}
	}
	return b.String()
}
