package source

import (
	"encoding/xml"
	"errors"
	"io"
	"net/url"
	"strings"
	"time"
)

// Limits of sitemaps (https://www.sitemaps.org/protocol.html allows 50,000
// addresses and as many files).
const (
	maxSitemapURLs     = 50_000
	maxSitemapFiles    = 500
	maxSitemapElements = 1_000_000
)

// sitemap is a sitemap or an index of them.
type sitemap struct {
	index bool
	news  bool // a news sitemap, which holds the last two days only
	urls  []sitemapURL
}

// sitemapURL is an address with what the sitemap says of it.
type sitemapURL struct {
	loc       string
	lastmod   time.Time
	published time.Time // news:publication_date
	title     string    // news:title
}

// newest is the date by which to sort.
func (u sitemapURL) newest() time.Time {
	if u.lastmod.After(u.published) {
		return u.lastmod
	}
	return u.published
}

// parseSitemap reads a sitemap, or an index, that was fetched from base. Only
// the elements that are of use are kept; addresses of other hosts are left out,
// as the protocol asks.
func parseSitemap(text, base string, dates *dateReader) (*sitemap, error) {
	if err := checkElements(text, maxSitemapElements); err != nil {
		return nil, err
	}
	host := siteHost(base)
	out := &sitemap{}
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict = false
	var cur *sitemapURL
	field := ""
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, &noFeedError{"a sitemap that cannot be read: " + oneLine(err.Error(), 200)}
		}
		switch t := tok.(type) {
		case xml.StartElement:
			field = t.Name.Local
			switch {
			case field == "sitemapindex":
				out.index = true
			case field == "url" || field == "sitemap":
				cur = &sitemapURL{}
			case field == "news":
				out.news = true
			}
			// Pictures and films have a loc and a title of their own.
			if space := t.Name.Space; strings.Contains(space, "image") || strings.Contains(space, "video") {
				field = ""
			}
		case xml.CharData:
			if cur != nil {
				cur.set(field, strings.TrimSpace(string(t)), base, dates)
			}
		case xml.EndElement:
			field = ""
			if t.Name.Local != "url" && t.Name.Local != "sitemap" || cur == nil {
				continue
			}
			if cur.loc != "" && (host == "" || out.index || siteHost(cur.loc) == host) {
				out.urls = append(out.urls, *cur)
			}
			cur = nil
			if len(out.urls) > maxSitemapURLs {
				return nil, &FeedLimitError{What: "addresses in one sitemap", Limit: maxSitemapURLs}
			}
		}
	}
}

// set takes the text of an element. It may come in parts; the first is all
// that is needed, except for titles, whose rest is never longer than a word.
func (u *sitemapURL) set(field, text, base string, dates *dateReader) {
	if text == "" {
		return
	}
	at := func() time.Time {
		t, _, err := dates.parse(text)
		if err != nil {
			return time.Time{}
		}
		return t
	}
	switch field {
	case "loc":
		u.loc = orElse(u.loc, abs(text, base))
	case "lastmod":
		u.lastmod = at()
	case "publication_date":
		u.published = at()
	case "title":
		u.title = strings.TrimSpace(u.title + " " + text)
	}
}

// siteHost is an address's host without "www.".
func siteHost(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}
