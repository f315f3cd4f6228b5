package news_test

import (
	"testing"

	"gazetted/internal/news"
)

func TestSlugify(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"U.S. Military": "u-s-military", "C++": "cplusplus", "C#": "csharp", "C": "c", "São Paulo": "sao-paulo", "İstanbul": "istanbul", "Iğdır": "igdir",
		"R&D": "r-and-d", "R&amp;D": "r-and-d", "  --  ": "", "": "", "東京": "東京", "War-in-Ukraine": "war-in-ukraine", "../../etc": "etc", "Straße": "strasse",
	} {
		if got := news.Slugify(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzSlugify(f *testing.F) {
	f.Add("U.S. Military")
	f.Add("..")
	f.Fuzz(func(t *testing.T, s string) {
		if slug := news.Slugify(s); slug != "" && slug != "con" && !news.ValidSlug(slug) && !reserved(slug) {
			t.Fatalf("%q became %q", s, slug)
		}
	})
}

func reserved(s string) bool { return !news.ValidSlug(s) && news.ValidSlug(s+"-2") }

func TestValidSlug(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", ".", "..", "a/b", `a\b`, "con", "CON", "nul.txt", "com1", "lpt9", ".hidden", "a b", "a\x00", "trail.", string(make([]byte, 300))} {
		if news.ValidSlug(bad) {
			t.Errorf("%q was taken", bad)
		}
	}
	for _, good := range []string{"us", "u-s-military", "東京", "console", "com", "a.b"} {
		if !news.ValidSlug(good) {
			t.Errorf("%q was refused", good)
		}
	}
}

func TestTermTree(t *testing.T) {
	t.Parallel()
	tree := news.NewTermTree([]news.Term{
		{ID: 1, Kind: news.KindCategory, Slug: "latin-america"}, {ID: 2, Kind: news.KindCategory, Slug: "mexico", ParentID: 1},
		{ID: 3, Kind: news.KindTag, Slug: "mexico"}, {ID: 4, Kind: news.KindCategory, Slug: "loop", ParentID: 5}, {ID: 5, Kind: news.KindCategory, Slug: "pool", ParentID: 4},
	})
	a := &news.Article{Categories: []news.Term{{ID: 2}}}
	for topics, want := range map[string]bool{"category:latin-america": true, "category:mexico": true, "tag:mexico": false, "category:gone": false} {
		if got := tree.Matches(a, []news.Topic{news.Topic(topics)}); got != want {
			t.Errorf("%s: %v", topics, got)
		}
	}
	if !tree.Matches(a, nil) {
		t.Error("no topics match everything")
	}
	if tree.Within(4, 1) || len(tree.Ancestors(4)) == 0 {
		t.Error("a loop of parents must end")
	}
}
