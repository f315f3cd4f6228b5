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
	u, t, both := url.QueryEscape(link), url.QueryEscape(title), url.QueryEscape(title+" "+link)
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

// mailto makes a new mail without recipient (RFC 6068 §2). Unlike a form, it
// writes a space as %20 and a line break as %0D%0A (§5).
func mailto(subject, body string) string {
	return "mailto:?subject=" + mailtoEscape(subject) + "&body=" + mailtoEscape(subject+"\r\n"+body)
}

func mailtoEscape(s string) string {
	return strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
}
