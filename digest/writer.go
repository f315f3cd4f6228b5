package digest

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// writer writes the views of one variant.
type writer struct {
	set       *templates.Set
	links     *news.Links
	site      templates.SiteView
	list      news.List
	frequency string
	lang      string
	zone      *time.Location
	date      time.Time // of the edition
	nonce     string
}

// Limits of one article's entry. They only bite where something is wrong.
const (
	maxTitle  = 200
	maxByline = 120
	maxKicker = 60
	maxTags   = 8
	maxTag    = 40
)

// Widths of pictures in CSS pixels: the column, and the thumbnail of a related
// article. A tall picture is made narrower rather than a screen long.
const (
	imageWidth  = 552
	imageHeight = 420
	thumbWidth  = 120
	thumbHeight = 120
)

func (w *writer) mark(p news.Place) string { return news.Mark(w.nonce, p) }

func (w *writer) title(a *news.Article) string {
	if t := cutWord(oneLine(a.Title), maxTitle); t != "" {
		return t
	}
	return cutWord(oneLine(a.URL), maxTitle)
}

// head is the view without its articles.
func (w *writer) head() templates.DigestView {
	v := templates.DigestView{
		Lang: w.lang, Date: w.date, Zone: w.zone.String(), Site: w.site,
		List:        templates.ListView{Title: cutWord(oneLine(w.list.Title), maxTitle), Description: oneLine(w.list.Description)},
		Unsubscribe: w.mark(news.PlaceUnsubscribe), Preferences: w.mark(news.PlacePreferences),
		WebView: w.mark(news.PlaceWebView), Address: w.mark(news.PlaceAddress),
	}
	if w.list.Public {
		v.List.URL, v.List.Archive = w.links.SignUp(w.list.Name), w.links.Archive(w.list.Name)
	}
	v.Why = w.why(v.List.Title, v.Address)
	return v
}

func (w *writer) why(list, address string) string {
	if w.frequency == "" {
		return w.set.Say(w.lang, "why.all", "address", address, "list", list)
	}
	label := strings.NewReplacer("-", " ", "_", " ").Replace(w.frequency)
	if key := "frequency." + w.frequency; w.set.Knows(w.lang, key) {
		label = w.set.Say(w.lang, key)
	}
	return w.set.Say(w.lang, "why", "address", address, "list", list, "frequency", label)
}

// article writes one entry. Of an article that is not public it says no more
// than title, date and author: spec and publisher ask for that.
func (w *writer) article(it *item, headed bool, excerptLen int) templates.ArticleView {
	a := &it.article
	v := templates.ArticleView{
		Title: w.title(a), URL: w.link(a), Kicker: w.kicker(it, headed), Authors: w.authors(a.Authors), Published: a.PublishedAt.In(w.zone),
	}
	if a.Edited() {
		v.Updated = a.UpdatedAt.In(w.zone)
	}
	switch a.Visibility {
	case news.VisibilityMembers:
		v.Notice = w.set.Say(w.lang, "members", "site", w.site.Title)
		return v
	case news.VisibilityPassword:
		v.Notice = w.set.Say(w.lang, "password")
		return v
	}
	v.Image = image(a.Image, v.Title, imageWidth, imageHeight)
	v.Excerpt = cut(it.excerpt, excerptLen)
	v.Tags = w.tags(a.Tags)
	v.SharePage = w.links.Share(a.ID)
	v.PrintPage = v.SharePage + "?print"
	v.Share = w.share(cut(v.Title, maxTitle/2), v.URL, a.ID)
	v.Discuss = webLink(a.CommentsURL)
	return v
}

// kicker names the article's categories, but not the one under whose heading
// it stands.
func (w *writer) kicker(it *item, headed bool) string {
	var names []string
	for _, c := range it.article.Categories {
		name := oneLine(c.Name)
		if name == "" || headed && c.ID == it.section.id || slices.Contains(names, name) {
			continue
		}
		names = append(names, name)
	}
	return cutWord(strings.Join(names[:min(len(names), 3)], " · "), maxKicker)
}

func (w *writer) authors(authors []news.Author) string {
	var names []string
	for _, a := range authors {
		if name := oneLine(a.Name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return cutWord(listing(names, w.set.Say(w.lang, "and")), maxByline)
}

func (w *writer) tags(tags []news.Term) []templates.Anchor {
	var out []templates.Anchor
	for _, t := range tags[:min(len(tags), maxTags)] {
		if name := cutWord(oneLine(t.Name), maxTag); name != "" && t.Slug != "" {
			out = append(out, templates.Anchor{Text: name, URL: w.links.Topic(t)})
		}
	}
	return out
}

func (w *writer) related(found []news.Article) []templates.RelatedView {
	var out []templates.RelatedView
	for i := range found {
		a := &found[i]
		v := templates.RelatedView{Title: w.title(a), URL: w.link(a), Authors: w.authors(a.Authors)}
		if len(a.Categories) > 0 {
			v.Category = cutWord(oneLine(a.Categories[0].Name), maxTag)
		}
		v.Image = image(a.Image, v.Title, thumbWidth, thumbHeight)
		out = append(out, v)
	}
	return out
}

// image fits a picture into a box, keeping its shape and never enlarging it.
// Where the source gives no size, it is shown as wide as the box. A linked
// picture needs a text, so that a screen reader can say where it leads.
func image(img *news.Image, title string, width, height int) *templates.ImageView {
	if img == nil || !webURL(img.URL) {
		return nil
	}
	v := &templates.ImageView{URL: webLink(img.URL), Alt: cut(oneLine(img.Alt), maxTitle), Width: width}
	if v.Alt == "" {
		v.Alt = title
	}
	if img.Width <= 0 || img.Height <= 0 {
		return v
	}
	v.Width = min(width, img.Width)
	v.Height = (v.Width*img.Height + img.Width/2) / img.Width
	if v.Height > height {
		v.Height = height
		v.Width = max(1, height*img.Width/img.Height)
	}
	v.Height = max(1, v.Height)
	return v
}

// webURL tells whether s is an absolute http or https URL.
func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// webLink is s as it stands in both parts of a mail, or "" if it is no web
// address. It escapes what html/template would escape in an href, so that both
// parts have the same link, and with it spaces and line breaks, which would
// end a link in the text part.
func webLink(s string) string {
	if !webURL(s) {
		return ""
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~!#$&*+,/:;=?@[]", c) >= 0,
			c == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]):
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}

func isHex(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

// link leads to the article, or, if its address is none, to our page of it.
func (w *writer) link(a *news.Article) string {
	if u := webLink(a.URL); u != "" {
		return u
	}
	return w.links.Share(a.ID)
}
