package digest

import (
	"strings"
	"unicode/utf8"
)

// Lengths in characters. Mailboxes show some 40 to 90 of a subject.
const (
	maxSubject   = 90
	maxListTitle = 40
	minHeadline  = 24
	maxPreheader = 110
)

// subject is "World news: first headline and 4 more".
func (w *writer) subject(items []item) string {
	list := cutWord(withoutReply(w.list.Title), maxListTitle)
	if len(items) == 0 {
		return list
	}
	key, more := "subject.one", len(items)-1
	if more > 0 {
		key = "subject.more"
	}
	say := func(headline string) string {
		return w.set.Count(w.lang, key, more, "list", list, "headline", headline)
	}
	room := maxSubject - utf8.RuneCountInString(say(""))
	return say(cutWord(w.title(&items[0].article), max(room, minHeadline)))
}

// withoutReply takes a fake "Re:" or "Fwd:" from the front of a title: a
// subject that pretends to be an answer is what spam does.
func withoutReply(s string) string {
	s = oneLine(s)
	for {
		head, rest, found := strings.Cut(s, ":")
		switch strings.ToLower(strings.TrimSpace(head)) {
		case "re", "fw", "fwd", "aw", "wg", "sv", "ynt":
			if found && strings.TrimSpace(rest) != "" {
				s = strings.TrimSpace(rest)
				continue
			}
		}
		return s
	}
}

// preheader is what mailboxes show after the subject: the next headlines, or
// the beginning of the only article.
func preheader(titles []string, only string) string {
	if len(titles) < 2 {
		return cutWord(only, maxPreheader)
	}
	return cutWord(strings.Join(titles[1:min(len(titles), 6)], " · "), maxPreheader)
}

// intro says how much there is, and of what.
func (w *writer) intro(items []item) string {
	var names []string
	for i := range items {
		s := items[i].section
		if s.name != "" && (i == 0 || s != items[i-1].section) {
			names = append(names, s.name)
		}
	}
	if n := sections(items); n < 2 || len(names) != n {
		return w.set.Count(w.lang, "articles", len(items))
	}
	if len(names) > 4 {
		names = append(names[:3:3], w.set.Count(w.lang, "sections.more", len(names)-3))
	}
	return w.set.Count(w.lang, "articles.in", len(items), "sections", listing(names, w.set.Say(w.lang, "and")))
}
