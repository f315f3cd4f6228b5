package templates

import "time"

// sampleDigests are the shapes of edition that templates are tried with: all
// there can be, as little as there can be, and headlines only.
func sampleDigests() []DigestView {
	at := time.Date(2025, 11, 19, 13, 28, 0, 0, time.UTC)
	full := ArticleView{
		Title: "A sample headline", URL: "https://example.org/a", Kicker: "World", Authors: "Ana Ruiz",
		Published: at, Updated: at.Add(time.Hour), Excerpt: "A sample excerpt.", Notice: "For members",
		Image:     &ImageView{URL: "https://example.org/a.jpg", Alt: "A sample", Width: 552, Height: 310},
		Tags:      []Anchor{{Text: "Sample"}, {Text: "Linked", URL: "https://example.org/t"}},
		Share:     []ShareView{{Text: "Copy link", Label: "Copy link to this article", URL: "https://news.example.org/share/1"}},
		SharePage: "https://news.example.org/share/1", PrintPage: "https://news.example.org/share/1?print", Discuss: "https://example.org/a#comments",
	}
	bare := ArticleView{Title: "A bare headline", URL: "https://example.org/b", Published: at}
	view := DigestView{
		Lang: "en", Subject: "Sample", Preheader: "Sample", Intro: "2 new articles", Date: at, Zone: "Europe/Istanbul",
		List:        ListView{Title: "World news", Description: "Daily", URL: "https://news.example.org/subscribe/world", Archive: "https://news.example.org/lists/world/"},
		Site:        SiteView{Title: "Example", URL: "https://example.org/", Postal: "1 Example Street\nExample Town", Links: []Anchor{{Text: "Privacy", URL: "https://example.org/privacy"}}},
		Sections:    []SectionView{{Name: "World", Articles: []ArticleView{full, bare}}},
		More:        []HeadlineView{{Title: "Another", URL: "https://example.org/c"}},
		Rest:        3,
		RestURL:     "https://example.org/",
		Related:     []RelatedView{{Title: "Related", URL: "https://example.org/d", Category: "World", Authors: "Ana Ruiz", Image: full.Image}, {Title: "Related", URL: "https://example.org/e"}},
		Why:         "You get this because you asked for it.",
		Unsubscribe: "gzuzg", Preferences: "gzpzg", WebView: "gzwzg", Address: "gzazg",
	}
	least := DigestView{Lang: "en", Subject: "Sample", Date: at, List: ListView{Title: "World news"}, Sections: []SectionView{{Articles: []ArticleView{bare}}}}
	headlines := view
	headlines.Sections = nil
	return []DigestView{view, least, headlines}
}

func sampleConfirms() []ConfirmView {
	d := sampleDigests()[0]
	full := ConfirmView{Lang: "en", List: d.List, Site: d.Site, Confirm: "gzczg", Address: "gzazg", Until: d.Date}
	least := ConfirmView{Lang: "en", List: ListView{Title: "World news"}, Confirm: "gzczg", Address: "gzazg"}
	return []ConfirmView{full, least}
}
