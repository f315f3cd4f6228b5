package source

import (
	"context"
	"io"
	"strings"
	"testing"

	"gazetted/internal/news"
)

func FuzzWXR(f *testing.F) {
	f.Add(`<?xml version="1.0" encoding="UTF-8" ?><rss xmlns:excerpt="http://wordpress.org/export/1.2/excerpt/" xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:wp="http://wordpress.org/export/1.2/"><channel>
<wp:author><wp:author_login>ines</wp:author_login><wp:author_display_name><![CDATA[Ines]]></wp:author_display_name></wp:author><wp:tag><wp:term_id>7</wp:term_id><wp:tag_slug>c</wp:tag_slug></wp:tag>
<item><title><![CDATA[A &amp; <b>b</b>]]></title><link>https://n.example/1/</link><dc:creator>ines</dc:creator><guid>https://n.example/?p=1</guid><content:encoded><![CDATA[One\n\n[caption]x[/caption]<script>x</script>]]></content:encoded>
<excerpt:encoded>x</excerpt:encoded><wp:post_id>1</wp:post_id><wp:post_date_gmt>2026-01-02 08:04:05</wp:post_date_gmt><wp:status>publish</wp:status><wp:post_type>post</wp:post_type><wp:post_password></wp:post_password>
<category domain="category" nicename="c">C</category><wp:postmeta><wp:meta_key>_thumbnail_id</wp:meta_key><wp:meta_value>2</wp:meta_value></wp:postmeta></item>
<item><wp:post_id>2</wp:post_id><wp:post_type>attachment</wp:post_type><wp:attachment_url>https://n.example/a.jpg</wp:attachment_url></item></channel></rss>`)
	f.Add("<rss><item><title>&hellip;</title><wp:status>publish</wp:status></item>")
	f.Add(`<rss><channel><item><encoded>[caption]x[/caption][embed]https://x.example/[/embed][</encoded></item>`)
	cleaner := NewCleaner() // takes longer to make than an export to read
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		store := &foundStore{}
		im := &Importer{o: ImportOptions{Store: store}, cleaner: cleaner, report: ImportReport{LeftOut: map[string]int{}}}
		open := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
		_, _ = im.WXR(t.Context(), open) // whatever it says, what it lets through must be sound
		for _, a := range store.found {
			if a.NativeID == "" || a.Title == "" || !webURL(a.URL) || a.Hash == "" || a.PublishedAt.IsZero() || strings.ContainsAny(a.Title, "\r\n\x00") || strings.Contains(a.ContentHTML, "<script") {
				t.Fatalf("let through: %+v", a)
			}
		}
	})
}

// foundStore keeps what is imported.
type foundStore struct{ found []news.Found }

func (*foundStore) SourceByName(context.Context, string) (news.Source, error) {
	return news.Source{Kind: news.SourcePush}, nil
}

func (*foundStore) KnownArticles(context.Context, int64, string, int) ([]news.Known, error) {
	return nil, nil
}

func (s *foundStore) ImportArticles(_ context.Context, _ int64, found []news.Found) ([]news.PutOutcome, error) {
	s.found = append(s.found, found...)
	return make([]news.PutOutcome, len(found)), nil
}
