package feeds

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestGolden(t *testing.T) {
	summaries := testChannel()
	summaries.FullContent = false
	bare := Channel{ID: "urn:x:bare", Link: "https://harbour.example/", Self: testChannel().Self}
	for _, c := range []struct {
		name    string
		channel Channel
		items   []news.Article
	}{
		{"full", testChannel(), []news.Article{fullArticle(), plainArticle(), membersArticle()}},
		{"summaries", summaries, []news.Article{fullArticle(), plainArticle()}},
		{"empty", testChannel(), nil},
		{"bare", bare, []news.Article{{ID: 7, SourceID: 1}}},
		{"hostile", testChannel(), []news.Article{hostileArticle()}},
	} {
		for _, f := range news.FeedFormats() {
			t.Run(c.name+"/"+string(f), func(t *testing.T) {
				checkGolden(t, c.name+"."+string(f), must(t, f, c.channel, c.items...))
			})
		}
	}
}

func TestGoldenOPML(t *testing.T) {
	feed := func(slug string) string { return "https://news.harbour.example/feeds/category/" + slug + ".rss" }
	outlines := []Outline{
		{Title: "All & everything", XMLURL: "https://news.harbour.example/feeds/all.rss", HTMLURL: "https://harbour.example/"},
		{Title: "World", XMLURL: feed("world"), Children: []Outline{
			{Title: "US", XMLURL: feed("us"), Children: []Outline{{Title: "\"Texas\"\x00", XMLURL: feed("texas")}}},
			{Title: "Türkiye", XMLURL: feed("türkiye")},
		}},
		{Title: "Folder", Children: []Outline{{XMLURL: feed("untitled")}}},
		{Title: "Neither feed nor folder", XMLURL: "javascript:alert(1)"},
	}
	for name, outlines := range map[string][]Outline{"tree": outlines, "empty": nil} {
		body, err := OPML("Feeds of The Harbour Gazette", outlines)
		if err != nil {
			t.Fatal(err)
		}
		wellFormed(t, string(body))
		checkGolden(t, name+".opml", string(body))
	}
}

func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", path, diff)
	}
}
