package news

import (
	"net/url"
	"strings"
)

// maxShared is how long a URL may be, in bytes, to be passed on through another
// site's URL: beyond it, those sites and some mail programs cut it.
const maxShared = 1500

// ShareLink leads to a network's own form for passing something on.
type ShareLink struct {
	Network string // its name, as it writes it
	URL     string
}

// ShareLinks are the networks to which an article can be passed on, in the
// order in which pages and mails show them; none if link is too long for it.
// They are plain links: nothing is loaded from a network, so none of them learns
// anything until a reader goes there.
func ShareLinks(title, link string) []ShareLink {
	if len(link) > maxShared {
		return nil
	}
	u, t, both := queryValue(link), queryValue(title), queryValue(title+" "+link)
	return []ShareLink{
		{"Facebook", "https://www.facebook.com/sharer/sharer.php?u=" + u},
		{"X", "https://x.com/intent/post?url=" + u + "&text=" + t},
		{"WhatsApp", "https://wa.me/?text=" + both},
		{"LinkedIn", "https://www.linkedin.com/sharing/share-offsite/?url=" + u},
		{"Telegram", "https://t.me/share/url?url=" + u + "&text=" + t},
		{"Reddit", "https://www.reddit.com/submit?url=" + u + "&title=" + t},
		{"Bluesky", "https://bsky.app/intent/compose?text=" + both},
	}
}

// MailLink opens a new mail without recipient in the reader's own mail program
// (RFC 6068 §2).
func MailLink(subject, body string) string {
	return "mailto:?subject=" + queryValue(subject) + "&body=" + queryValue(body)
}

// queryValue escapes s for a query. A space becomes %20, which is right in a
// form's query and in a mailto (RFC 6068 §5); slashes and colons stay, as they
// may (RFC 3986 §3.4), because ten links an article add up in a mail.
func queryValue(s string) string {
	return strings.NewReplacer("+", "%20", "%2F", "/", "%3A", ":").Replace(url.QueryEscape(s))
}
