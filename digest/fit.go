package digest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"

	"gazetted/internal/news"
	"gazetted/templates"
)

// maxHTML is how long the HTML part may be, in bytes. Gmail cuts a message off
// at about 102 KB, and with it the unsubscribe link; what we send stays below
// 97,000 bytes, of which 4,000 are kept for the recipient's values, which are
// longer than their marks.
const maxHTML = 97_000 - 4_000

// Bounds of a trimmed edition.
const (
	maxEntries   = 150 // more full entries than that never fit
	maxHeadlines = 40  // below them; a reader has had enough by then
)

// shape is how much of an edition is shown.
type shape struct {
	entries   int // articles with all that is said of them
	excerpt   int // characters
	lead      int // characters of the first article's
	headlines int // articles with their headline only
}

// fit renders items as fully as the limit allows: first excerpts get shorter,
// then articles move to the headlines at the end, least prominent first, and
// at last headlines become a number. The links at the end are always there.
func (w *writer) fit(ctx context.Context, items []item, related []news.Article, template string) (templates.Mail, error) {
	try := func(s shape) (templates.Mail, bool, error) {
		m, err := w.set.Digest(ctx, template, w.view(items, related, s))
		if errors.Is(err, templates.ErrTooLarge) {
			return m, false, nil
		}
		return m, err == nil && len(m.HTML) <= maxHTML, err
	}
	all := min(len(items), maxEntries)
	full := shape{entries: all, excerpt: fullExcerpt, lead: leadExcerpt, headlines: maxHeadlines}
	tiny := shape{entries: all, excerpt: tinyExcerpt, lead: tinyExcerpt, headlines: maxHeadlines}
	for _, s := range []shape{full, tiny} {
		if s.entries < len(items) {
			continue
		}
		if m, ok, err := try(s); ok || err != nil {
			return m, err
		}
	}
	var best templates.Mail
	var fault error
	for _, headlines := range []int{maxHeadlines, maxHeadlines / 4, 0} {
		found := false
		sort.Search(all+1, func(dropped int) bool {
			s := tiny
			s.entries, s.headlines = all-dropped, headlines
			m, ok, err := try(s)
			if err != nil {
				fault = err
			}
			if ok {
				best, found = m, true
			}
			return ok
		})
		if found || fault != nil {
			return best, fault
		}
	}
	return best, fmt.Errorf("template %q: longer than %d bytes even without articles", template, maxHTML)
}

// view is the edition in a shape.
func (w *writer) view(items []item, related []news.Article, s shape) templates.DigestView {
	v := w.head()
	v.Subject = w.subject(items)
	v.Intro = w.intro(items)
	v.Related = w.related(related)
	shown := prominence(items)[:min(s.entries, len(items))]
	slices.Sort(shown)
	headed := sections(items) > 1
	rest := 0
	for i := range items {
		it := &items[i]
		if _, ok := slices.BinarySearch(shown, i); ok {
			length := s.excerpt
			if i == 0 {
				length = s.lead
			}
			w.enter(&v, it, headed, length, i > 0 && it.section == items[i-1].section)
			continue
		}
		if len(v.More) < s.headlines {
			v.More = append(v.More, templates.HeadlineView{Title: w.title(&it.article), URL: w.link(&it.article)})
			continue
		}
		rest++
	}
	if rest > 0 {
		v.Rest, v.RestURL = rest, webLink(w.site.URL)
		if v.List.Archive != "" {
			v.RestURL = v.List.Archive
		}
	}
	v.Preheader = preheader(w.titles(items), items[0].excerpt)
	return v
}

// enter adds an article to its section.
func (w *writer) enter(v *templates.DigestView, it *item, headed bool, excerptLen int, same bool) {
	n := len(v.Sections)
	if n == 0 || !same {
		s := templates.SectionView{}
		if headed {
			if s.Name = it.section.name; s.Name == "" {
				s.Name = w.set.Say(w.lang, "section.other")
			}
		}
		v.Sections = append(v.Sections, s)
		n++
	}
	v.Sections[n-1].Articles = append(v.Sections[n-1].Articles, w.article(it, headed, excerptLen))
}

// titles are the headlines that a preheader can hold.
func (w *writer) titles(items []item) []string {
	var out []string
	for i := range items[:min(len(items), 6)] {
		out = append(out, w.title(&items[i].article))
	}
	return out
}
