package digest

import (
	"gazetted/internal/news"
	"gazetted/templates"
)

// share lists the ways of passing an article on: ours first, then the
// networks. A link that is too long for a network is too long for a mailto, too.
func (w *writer) share(title, link string, id int64) []templates.ShareView {
	say := func(key string) string { return w.set.Say(w.lang, key) }
	page := w.links.Share(id)
	out := []templates.ShareView{
		{Text: say("share.email"), Label: say("share.email.label"), URL: news.MailLink(title, link)},
		{Text: say("share.copy"), Label: say("share.copy.label"), URL: page},
		{Text: say("share.print"), Label: say("share.print.label"), URL: page + "?print"},
	}
	networks := news.ShareLinks(title, link)
	if len(networks) == 0 {
		return out[1:]
	}
	for _, n := range networks {
		out = append(out, templates.ShareView{Text: n.Network, Label: w.set.Say(w.lang, "share.on", "network", n.Network), URL: n.URL})
	}
	return out
}
