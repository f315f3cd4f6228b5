package source

import (
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// readAll does to a body what a look does, without a store.
func readAll(r *feedReader, c *Cleaner, body []byte, contentType string) (items int, sealed []string, err error) {
	l := &feedLook{job: &job{}, feed: &feed{cleaner: c, reader: r}, zone: time.UTC, taken: map[string]bool{}}
	doc, err := r.read(&Answer{URL: "https://n.example/feed", Header: http.Header{"Content-Type": {contentType}}, Body: body}, time.UTC)
	if err != nil {
		return 0, nil, err
	}
	l.index = newFeedIndex(nil)
	for _, s := range l.place(doc).seats {
		f := l.article(s.item, doc)
		f.NativeID = s.id
		seal(&f)
		sealed = append(sealed, f.NativeID, f.GUID, f.Title, f.Summary, f.ContentHTML, f.Language)
		for _, t := range f.Terms {
			sealed = append(sealed, t.Name)
		}
		for _, a := range f.Authors {
			sealed = append(sealed, a.Name, a.URL)
		}
	}
	return len(doc.items), sealed, nil
}

func FuzzFeed(f *testing.F) {
	f.Add([]byte(`<?xml version="1.0" encoding="koi8-r"?><rss version="2.0"><channel><title>T</title><item><guid>1</guid><link>/a</link><title>x &amp; y</title><pubDate>Mon, 02 Mar 2026 09:00:00 GMT</pubDate></item></channel></rss>`), "text/xml")
	f.Add([]byte(`<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://n.example/"><entry><id>x</id><title type="html">&lt;b&gt;</title><link href="a"/><content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>x</p></div></content></entry></feed>`), "application/atom+xml")
	f.Add([]byte(`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"><item rdf:about="x"><link>https://n.example/1</link></item></rdf:RDF>`), "")
	f.Add([]byte(`{"version":"https://jsonfeed.org/version/1","items":[{"id":1,"url":"/1","content_text":"x","tags":[null]}]}`), "application/feed+json; charset=x")
	f.Add([]byte("\xff\xfe<\x00r\x00s\x00s\x00"), "text/xml; charset=utf-16")
	f.Add([]byte("<rss><channel><item><title><![CDATA[ ]]>]]></title><guid>\x93\x00</guid></item></channel></rss>"), "text/xml")
	r, c := newFeedReader(), NewCleaner()
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		_, sealed, err := readAll(r, c, body, contentType)
		if err != nil {
			return
		}
		for _, s := range sealed {
			if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
				t.Errorf("%q reaches the store", s)
			}
		}
	})
}

// What is at every limit at once still costs a bounded amount of memory (S16).
func TestFeedMemory(t *testing.T) {
	bodies := map[string]string{
		"items":    "<rss><channel>" + strings.Repeat("<item><guid>1</guid><link>https://n.example/</link>"+strings.Repeat("<a>x</a>", 40)+"<title>t</title><description>"+strings.Repeat("y", 1500)+"</description></item>", maxFeedItems) + "</channel></rss>",
		"elements": "<rss xmlns:m='http://search.yahoo.com/mrss/'><channel><item><guid>1</guid>" + strings.Repeat("<m:a><m:b/></m:a>", maxFeedElements/2-10) + "</item></channel></rss>",
		"spaces":   "<rss><channel><item><guid>1</guid>" + strings.Repeat("<x "+strings.Repeat("xmlns:abcdefgh='y' ", maxFeedAttrs)+">", maxFeedDepth-5) + strings.Repeat("</x>", maxFeedDepth-5) + "</item></channel></rss>",
		"json":     `{"version":"https://jsonfeed.org/version/1.1","items":[` + strings.Repeat(`{"id":"1","tags":[`+strings.Repeat(`"",`, 90)+`""]},`, maxFeedItems-1) + `{}]}`,
	}
	cleaner := NewCleaner()
	for name, body := range bodies {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		_, _, err := readAll(newFeedReader(), cleaner, []byte(body), "text/xml")
		runtime.ReadMemStats(&after)
		allocated := (after.TotalAlloc - before.TotalAlloc) >> 20
		t.Logf("%s: %d KiB of feed, %d MiB allocated", name, len(body)>>10, allocated)
		if err != nil || allocated > 800 {
			t.Errorf("%s: %d MiB allocated, %v", name, allocated, err)
		}
	}
}
