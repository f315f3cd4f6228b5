package feeds

import (
	"fmt"
	"strings"
	"testing"

	"gazetted/internal/news"
)

// BenchmarkBuild builds a feed of 50 items with bodies of about 3 KB.
func BenchmarkBuild(b *testing.B) {
	items := make([]news.Article, 50)
	for i := range items {
		items[i] = fullArticle()
		items[i].ID = int64(i + 1)
		items[i].GUID = fmt.Sprintf("https://harbour.example/?p=%d", i)
		items[i].ContentHTML = strings.Repeat("<p>Two cranes stood over the quay, one rope between them &amp; no plan.</p>\n", 40)
	}
	c := testChannel()
	for _, f := range news.FeedFormats() {
		b.Run(string(f), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				body, _, err := Build(f, c, items)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(int64(len(body)))
			}
		})
	}
}
