package digest

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/net/html/atom"

	"gazetted/internal/news"
)

// What an attacker who writes articles may try (spec/security.md S1, S3, S4).
func hostileTexts() []string {
	return []string{
		`<script>alert(1)</script>`,
		`"><img src=x onerror=alert(1)>`,
		`' onmouseover='alert(1)`,
		`{{.Site}} {{range .}}{{end}} {{env "HOME"}}`,
		`</title></style></table><form action=//evil.test>`,
		`<!--[if mso]><script>`,
		"Injected\r\nBcc: all@example.org\n\n.\r\nQUIT",
		"line\u2028separator\u2029and\u202etxt.exe\x00\x07",
		"\xff\xfe broken utf-8 \xc3",
		strings.Repeat("A", 100_000),
		strings.Repeat("long words ", 20_000),
		"javascript:alert(1)",
		`gz0000000000000000uzg`,
		"",
		"   ",
	}
}

func TestHostileArticles(t *testing.T) {
	for i, text := range hostileTexts() {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s := world()
			s.articles = []news.Article{hostileArticle(1, text), hostileArticle(2, text)}
			s.articles[1].Image.URL = "data:text/html,<script>alert(1)</script>"
			s.articles[1].CommentsURL = "javascript:alert(1)"
			s.candidates = []news.Article{hostileArticle(3, text), hostileArticle(4, text)}
			s.candidates[0].Archive, s.candidates[1].Archive = true, true
			s.candidates[1].URL = "javascript:alert(1)"
			s.list.Title = "T" + text
			s.list.Description = text
			c := due(t, s)
			v := c.Variants[0]
			checkMail(t, v, 2)
			if len([]rune(v.Subject)) > maxSubject+maxListTitle {
				t.Errorf("subject of %d characters", len([]rune(v.Subject)))
			}
			for _, a := range parsePage(t, v.HTML).all(atom.A, atom.Img) {
				if u := attr(a, "href") + attr(a, "src"); strings.HasPrefix(u, "javascript") || strings.HasPrefix(u, "data:") {
					t.Errorf("a link to %q", u)
				}
			}
		})
	}
}

func hostileArticle(id int64, text string) news.Article {
	a := worldArticles()[0]
	a.ID, a.Seq = id, 100+id
	a.URL = fmt.Sprintf("https://www.example.org/%d/?a=1&b='\"<>", id)
	a.Title, a.Summary, a.ContentHTML = text, text, "<p>"+text+"</p>"
	a.Authors = []news.Author{{Name: text}, {Name: text + "2"}}
	a.Image = &news.Image{URL: "https://www.example.org/a.jpg?\"onload=alert(1)", Alt: text, Width: 3, Height: 9_000_000}
	a.Categories = []news.Term{{ID: 900, Kind: news.KindCategory, Name: text, Slug: "x"}, {ID: termUS, Kind: news.KindCategory, Name: text + "3"}}
	a.Tags = []news.Term{{ID: 901, Kind: news.KindTag, Name: text}, {ID: termMexico, Kind: news.KindTag, Name: text + "4"}}
	return a
}

// An article without a web address cannot be linked to, and must not break the mail.
func TestArticleURLsThatAreNone(t *testing.T) {
	for _, u := range []string{"javascript:alert(1)", "data:text/html,x", "//evil.test", "", "https://www.example.org/" + strings.Repeat("x", 5000)} {
		s := world()
		s.articles = s.articles[:2]
		s.articles[0].URL = u
		v := due(t, s).Variants[0]
		for _, a := range parsePage(t, v.HTML).all(atom.A) {
			href := attr(a, "href")
			if !webURL(href) && !strings.HasPrefix(href, "gz") && !strings.HasPrefix(href, "mailto:?") && href != "#ZgotmplZ" {
				t.Errorf("article URL %.30q: a link to %.60q", u, href)
			}
			if strings.HasPrefix(href, "mailto:") && len(href) > 3000 {
				t.Errorf("a mailto link of %d characters", len(href))
			}
		}
	}
}

// The body of an article that is not for everybody is never mailed, nor its
// summary or picture (spec/watching.md B 46).
func TestMembersOnly(t *testing.T) {
	for _, vis := range []news.Visibility{news.VisibilityMembers, news.VisibilityPassword} {
		s := world()
		s.articles[0].Visibility = vis
		c := due(t, s)
		v := c.Variants[0]
		if both := v.HTML + v.Text; strings.Contains(both, "rejected an offer") || strings.Contains(both, "must not be mailed") || strings.Contains(both, "pictures/1.jpg") {
			t.Errorf("%s: the mail shows more than the title", vis)
		}
		if !strings.Contains(v.Text, s.articles[0].Title) {
			t.Errorf("%s: the title is missing", vis)
		}
		for _, a := range c.Articles {
			if a.Visibility != news.VisibilityPublic && (a.Summary != "" || a.ContentHTML != "") {
				t.Errorf("%s: the frozen article holds its text", vis)
			}
		}
	}
}
