package source

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/wptest"
)

func TestProbe(t *testing.T) {
	pages := map[string]string{}
	s, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		body, ok := pages[r.URL.Path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		fmt.Fprint(w, strings.ReplaceAll(body, "$SITE", "http://"+r.Host))
	})
	p := NewProber(testClient(t))
	p.page.pace = func(context.Context, time.Duration) error { return nil }
	const feedText = `<rss version="2.0"><channel><title>Fed</title><item><title>One</title><link>$SITE/1</link></item></channel></rss>`
	const story = `<title>Story</title><meta property="og:type" content="article"><p>Words.</p>`
	tests := []struct {
		name  string
		pages map[string]string
		path  string
		kind  news.SourceKind
		at    string
	}{
		{"a feed", map[string]string{"/f": feedText}, "/f", news.SourceFeed, "/f"},
		{"a page that tells of its feed, comments last", map[string]string{
			"/":  `<link rel="alternate" type="application/rss+xml" title="Comments" href="/c"><link rel="alternate" type="application/rss+xml" href="/broken"><link rel="alternate" type="application/rss+xml" href="/f">`,
			"/c": feedText, "/f": feedText, "/broken": "<html>"}, "/", news.SourceFeed, "/f"},
		{"a closed WordPress", map[string]string{"/": `<meta name="generator" content="WordPress 6.5"><link rel="alternate" type="application/rss+xml" href="/feed/">`, "/feed/": feedText}, "/", news.SourceFeed, "/feed/"},
		{"a sitemap", map[string]string{"/s.xml": `<urlset><url><loc>$SITE/a</loc></url></urlset>`, "/a": story}, "/s.xml", news.SourcePage, "/s.xml"},
		{"a sitemap at the usual place", map[string]string{"/": "<p>x", "/sitemap.xml": `<urlset><url><loc>$SITE/a</loc></url></urlset>`, "/a": story}, "/", news.SourcePage, "/sitemap.xml"},
		{"links", map[string]string{"/": `<h2><a href="/a">x</a></h2>`, "/a": story}, "/", news.SourcePage, "/"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			clear(pages)
			for k, v := range tt.pages {
				pages[k] = v
			}
			f, err := p.Probe(context.Background(), s.URL+tt.path, "")
			if err != nil || f.Kind != tt.kind || f.Location != s.URL+tt.at || len(f.Latest) != 1 {
				t.Errorf("%+v, %v", f, err)
			}
		})
	}
	clear(pages)
	pages["/"] = "<title>Nothing here</title>"
	var odd *OddAnswerError
	if f, err := p.Probe(context.Background(), s.URL+"/", ""); !errors.As(err, &odd) {
		t.Errorf("%+v, %v", f, err)
	}
	pages["/robots.txt"] = "User-agent: *\nDisallow: /"
	if _, err := NewProber(testClient(t)).Probe(context.Background(), s.URL+"/", news.SourcePage); as[*RobotsError](err) == nil {
		t.Errorf("read although forbidden: %v", err)
	}
	wp := wptest.Start(t)
	wp.Publish(1, nil)
	wp.Publish(2, nil)
	f, err := p.Probe(context.Background(), wp.URL, "")
	if err != nil || f.Kind != news.SourceWordPress || f.Posts != 2 || len(f.Latest) != 2 || len(f.Categories) != 2 || f.Latest[0].Title != "Post 2 & more" {
		t.Errorf("%+v, %v", f, err)
	}
}
