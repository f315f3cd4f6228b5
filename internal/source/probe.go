package source

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// Finding is what is to be found at an address, before anything is stored.
type Finding struct {
	Kind     news.SourceKind `json:"kind"`
	Location string          `json:"location"` // of the source as it should be added
	Title    string          `json:"title,omitempty"`
	// Posts is how many articles there are; -1: the site does not tell. Listed:
	// how many of them the list shows at once, where that is not all.
	Posts      int            `json:"posts"`
	Listed     int            `json:"listed,omitempty"`
	Categories []FoundTerm    `json:"categories,omitempty"` // at most foundTerms, the largest first
	Latest     []FoundArticle `json:"latest,omitempty"`     // at most foundLatest
	Notes      []string       `json:"notes,omitempty"`
}

// FoundTerm is a category with the number of its articles.
type FoundTerm struct {
	Name  string `json:"name"`
	Posts int    `json:"posts"`
}

// FoundArticle is an article in brief.
type FoundArticle struct {
	Title       string    `json:"title"`
	URL         string    `json:"url"`
	PublishedAt time.Time `json:"published_at,omitzero"`
}

const (
	foundTerms  = 15
	foundLatest = 5
)

// Prober looks at addresses to say what is there.
type Prober struct {
	client *Client
	feed   *feedReader
	page   *page
}

// NewProber makes a Prober.
func NewProber(c *Client) *Prober {
	return &Prober{client: c, feed: newFeedReader(), page: newPage(NewCleaner(), c, time.Now, pause)}
}

// Probe tells what a source at an address would find. kind "" lets it guess:
// the address itself, if it is a feed or a sitemap; else the WordPress site or
// the feed that a page tells of; else the site's sitemap; else the page's links.
func (p *Prober) Probe(ctx context.Context, address string, kind news.SourceKind) (Finding, error) {
	switch kind {
	case news.SourceWordPress:
		return p.wordPress(ctx, address)
	case news.SourceFeed:
		ans, err := p.client.Get(ctx, address, feedAccept)
		if err != nil {
			return Finding{}, err
		}
		return p.asFeed(ans, address)
	case news.SourcePage:
		ans, err := p.client.Get(ctx, address, pageAccept)
		if err != nil {
			return Finding{}, err
		}
		return p.pages(ctx, ans, address)
	case "":
		return p.guess(ctx, address)
	}
	return Finding{}, &news.FieldError{Field: "kind", Value: string(kind), Want: "one of wordpress, feed, page"}
}

func (p *Prober) guess(ctx context.Context, address string) (Finding, error) {
	ans, err := p.client.Get(ctx, address, "text/html, application/rss+xml;q=0.9, application/atom+xml;q=0.9, */*;q=0.5")
	if err != nil {
		return Finding{}, err
	}
	f, err := p.asFeed(ans, address)
	if err == nil {
		return f, nil
	}
	if body, uerr := unpacked(ans.Body); uerr == nil && isSitemap(string(body[:min(len(body), 4<<10)])) {
		return p.pages(ctx, ans, address)
	}
	var notes []string
	told := readTold(ans)
	if told.api || strings.HasPrefix(told.generator, "WordPress") {
		f, err := p.wordPress(ctx, address)
		if err == nil {
			return f, nil
		}
		notes = append(notes, "a WordPress site whose REST API cannot be read: "+err.Error())
	}
	if strings.HasPrefix(told.generator, "Ghost") {
		notes = append(notes, "a Ghost site: with a key of its Content API it is better watched as `ghost`")
	}
	for _, at := range told.feeds {
		fed, err := p.client.Get(ctx, at, feedAccept)
		if err != nil {
			continue
		}
		if f, err := p.asFeed(fed, at); err == nil {
			f.Notes = append(notes, f.Notes...)
			return f, nil
		}
	}
	f, err = p.anyList(ctx, ans, address)
	f.Notes = append(notes, f.Notes...)
	return f, err
}

// anyList finds the sitemap of a site, or takes the page itself.
func (p *Prober) anyList(ctx context.Context, ans *Answer, address string) (Finding, error) {
	u, err := url.Parse(ans.URL)
	if err != nil {
		return Finding{}, fmt.Errorf("read address: %w", err)
	}
	site := u.Scheme + "://" + u.Host
	var candidates []string
	if rules, err := p.page.robots.of(ctx, u); err == nil {
		candidates = rules.sitemaps
	}
	for _, at := range append(candidates, site+"/sitemap.xml", site+"/sitemap_index.xml") {
		list, err := p.client.Get(ctx, at, pageAccept)
		if err != nil || !isSitemap(string(list.Body[:min(len(list.Body), 4<<10)])) {
			continue
		}
		if f, err := p.pages(ctx, list, at); err == nil && len(f.Latest) > 0 {
			return f, nil
		}
	}
	return p.pages(ctx, ans, address)
}

// asFeed describes an answer that is a feed.
func (p *Prober) asFeed(ans *Answer, address string) (Finding, error) {
	doc, err := p.feed.read(ans, time.UTC)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Kind: news.SourceFeed, Location: address, Title: doc.title, Posts: len(doc.items), Notes: []string{doc.format}}
	if ans.Moved != "" {
		f.Location = ans.Moved
	}
	if nextPage(doc, ans.URL) != "" {
		f.Listed, f.Posts = len(doc.items), -1
	}
	if len(doc.hubs) > 0 {
		f.Notes = append(f.Notes, "tells of news through the WebSub hub "+doc.hubs[0])
	}
	terms := map[string]int{}
	for i := range doc.items {
		it := &doc.items[i]
		if i < foundLatest {
			f.Latest = append(f.Latest, FoundArticle{Title: orElse(plainTitle(it.title), firstWords(plainHTML(clipBytes(orElse(it.summary, it.content), 4000), maxSummary))), URL: cleanLink(it.link), PublishedAt: it.published})
		}
		for _, t := range it.terms {
			if name := plainTitle(t.name); name != "" {
				terms[name]++
			}
		}
	}
	for name, n := range terms {
		f.Categories = append(f.Categories, FoundTerm{Name: name, Posts: n})
	}
	f.sortTerms()
	return f, nil
}

func (f *Finding) sortTerms() {
	slices.SortFunc(f.Categories, func(a, b FoundTerm) int { return cmp.Or(b.Posts-a.Posts, strings.Compare(a.Name, b.Name)) })
	if more := len(f.Categories) - foundTerms; more > 0 {
		f.Categories = f.Categories[:foundTerms]
		f.Notes = append(f.Notes, fmt.Sprintf("and %d more categories", more))
	}
}

// wordPress describes a site through its REST API.
func (p *Prober) wordPress(ctx context.Context, address string) (Finding, error) {
	root, err := findAPI(ctx, p.client, address)
	if err != nil {
		return Finding{}, err
	}
	api := &wpAPI{client: p.client, root: root}
	f := Finding{Kind: news.SourceWordPress, Location: address, Notes: []string{"REST API at " + root}}
	raw, total, err := api.list(ctx, "posts", "per_page="+strconv.Itoa(foundLatest)+"&orderby=date&order=desc&_fields=id,title,link,date_gmt")
	if err != nil {
		return Finding{}, err
	}
	f.Posts = total
	for _, r := range raw {
		var post wpPost
		if json.Unmarshal(r, &post) != nil {
			continue // the count tells of it
		}
		a := FoundArticle{Title: plainTitle(post.Title.Rendered), URL: post.Link}
		if at, err := time.Parse("2006-01-02T15:04:05", post.DateGMT); err == nil {
			a.PublishedAt = at
		}
		f.Latest = append(f.Latest, a)
	}
	terms, n, err := api.list(ctx, "categories", "per_page=100&orderby=count&order=desc&_fields=name,count")
	if err != nil {
		f.Notes = append(f.Notes, "categories: "+err.Error())
		return f, nil
	}
	for _, r := range terms {
		var t struct {
			Name  string `json:"name"`
			Count int    `json:"count"`
		}
		if json.Unmarshal(r, &t) == nil {
			f.Categories = append(f.Categories, FoundTerm{Name: plainTitle(t.Name), Posts: t.Count})
		}
	}
	f.sortTerms()
	if n > len(terms) {
		f.Notes = append(f.Notes, fmt.Sprintf("%d categories in all", n))
	}
	return f, nil
}

// pages describes what a page source would read, by its newest pages.
func (p *Prober) pages(ctx context.Context, ans *Answer, address string) (Finding, error) {
	u, err := url.Parse(ans.URL)
	if err != nil {
		return Finding{}, fmt.Errorf("read address: %w", err)
	}
	rules, err := p.page.robots.of(ctx, u)
	if err != nil {
		return Finding{}, err
	}
	if !rules.allows(u) {
		return Finding{}, &RobotsError{URL: u.Redacted()}
	}
	l := &pageLooking{job: &job{src: news.Source{Location: address}, now: time.Now, started: time.Now()}, page: p.page, zone: time.UTC, delay: max(pagePace, rules.delay)}
	list, err := l.list(ctx, ans, false)
	if err != nil {
		return Finding{}, err
	}
	f := Finding{Kind: news.SourcePage, Location: address, Posts: len(list.urls)}
	terms := map[string]int{}
	for _, w := range list.urls[:min(len(list.urls), 2*foundLatest)] {
		if len(f.Latest) == foundLatest {
			break
		}
		a, ok, err := p.sample(ctx, l, w.loc)
		switch {
		case ctx.Err() != nil:
			return f, err
		case err != nil:
			l.notes.add(err.Error())
		case ok:
			f.Latest = append(f.Latest, FoundArticle{Title: a.Title, URL: a.URL, PublishedAt: a.PublishedAt})
			for _, t := range a.Terms {
				if t.Kind == news.KindCategory {
					terms[t.Name]++
				}
			}
		}
	}
	f.Notes = append(f.Notes, l.notes.list()...)
	if len(f.Latest) == 0 {
		return f, &OddAnswerError{URL: address, Text: "nothing that could be watched: no feed, no API, no sitemap, and no links to articles"}
	}
	for name, n := range terms {
		f.Categories = append(f.Categories, FoundTerm{Name: name, Posts: n})
	}
	f.sortTerms()
	return f, nil
}

func (p *Prober) sample(ctx context.Context, l *pageLooking, address string) (news.Found, bool, error) {
	u, err := url.Parse(address)
	if err != nil {
		return news.Found{}, false, fmt.Errorf("read address: %w", err)
	}
	rules, err := p.page.robots.of(ctx, u)
	if err != nil {
		return news.Found{}, false, err
	}
	if !rules.allows(u) {
		return news.Found{}, false, &RobotsError{URL: u.Redacted()}
	}
	if err := l.waitTurn(ctx); err != nil {
		return news.Found{}, false, err
	}
	ans, err := p.client.Get(ctx, address, pageAccept)
	if err != nil {
		return news.Found{}, false, err
	}
	return p.page.reader.read(ans, time.UTC)
}

// told is what a page says of the site it belongs to.
type told struct {
	api       bool // a WordPress REST API
	generator string
	feeds     []string // its own before those of its comments
}

func readTold(ans *Answer) told {
	t := told{api: apiLink(ans) != ""}
	doc, err := html.Parse(bytes.NewReader(clipPage(ans.Body)))
	if err != nil {
		return t
	}
	var later []string
	for n := range doc.Descendants() {
		switch n.DataAtom {
		case atom.Meta:
			if strings.EqualFold(attr(n, "name"), "generator") {
				t.generator = attr(n, "content")
			}
		case atom.Link:
			kind := strings.ToLower(attr(n, "type"))
			isFeed := kind == "application/rss+xml" || kind == "application/atom+xml" || kind == "application/feed+json" || kind == "application/rdf+xml"
			href := abs(attr(n, "href"), ans.URL)
			if !isFeed || href == "" || !strings.Contains(strings.ToLower(attr(n, "rel")), "alternate") || len(t.feeds)+len(later) > 10 {
				continue
			}
			if strings.Contains(strings.ToLower(attr(n, "title")+href), "comment") {
				later = append(later, href)
			} else {
				t.feeds = append(t.feeds, href)
			}
		}
	}
	t.feeds = append(t.feeds, later...)
	return t
}
