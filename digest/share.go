package digest

import (
	"net/url"
	"strings"

	"gazetted/templates"
)

// maxShared is how long a URL may be to be passed on through another site's
// URL: beyond it, those sites and some mail programs cut it.
const maxShared = 1500

// share lists the ways of passing an article on: ours first, then the
// networks. They are plain links: nothing of a network is loaded with the mail,
// so none of them learns that it was opened.
func (w *writer) share(title, link string, id int64) []templates.ShareView {
	say := func(key string) string { return w.set.Say(w.lang, key) }
	page := w.links.Share(id)
	out := []templates.ShareView{
		{Text: say("share.email"), Label: say("share.email.label"), URL: mailto(title, link)},
		{Text: say("share.copy"), Label: say("share.copy.label"), URL: page},
		{Text: say("share.print"), Label: say("share.print.label"), URL: page + "?print"},
	}
	if len(link) > maxShared {
		return out[1:]
	}
	u, t, both := queryValue(link), queryValue(title), queryValue(title+" "+link)
	for _, n := range [...][2]string{
		{"Facebook", "https://www.facebook.com/sharer/sharer.php?u=" + u},
		{"X", "https://x.com/intent/post?url=" + u + "&text=" + t},
		{"WhatsApp", "https://wa.me/?text=" + both},
		{"LinkedIn", "https://www.linkedin.com/sharing/share-offsite/?url=" + u},
		{"Telegram", "https://t.me/share/url?url=" + u + "&text=" + t},
		{"Reddit", "https://www.reddit.com/submit?url=" + u + "&title=" + t},
		{"Bluesky", "https://bsky.app/intent/compose?text=" + both},
	} {
		out = append(out, templates.ShareView{Text: n[0], Label: w.set.Say(w.lang, "share.on", "network", n[0]), URL: n[1]})
	}
	return out
}

// mailto makes a new mail without recipient (RFC 6068 §2).
func mailto(subject, body string) string {
	return "mailto:?subject=" + queryValue(subject) + "&body=" + queryValue(body)
}

// queryValue escapes s for a query. A space becomes %20, which is right in a
// form's query and in a mailto (RFC 6068 §5); slashes and colons stay, as they
// may (RFC 3986 §3.4), because ten links an article add up.
func queryValue(s string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/", "%3A", ":").Replace(url.QueryEscape(s))
}
