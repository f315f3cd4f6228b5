package news

import (
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Links makes every URL of ours that leaves the process. It knows only the
// configured public URL: a request's Host header never reaches a link.
type Links struct {
	base   string // without trailing slash
	signer *Signer
}

// NewLinks checks the public URL. A path prefix is allowed.
func NewLinks(publicURL string, signer *Signer) (*Links, error) {
	u, err := url.Parse(publicURL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, &FieldError{Field: "public_url", Value: publicURL, Want: "the URL under which readers reach the daemon, such as https://news.example.org"}
	}
	return &Links{base: strings.TrimRight(u.String(), "/"), signer: signer}, nil
}

// Signer returns the signer of the links' tokens.
func (l *Links) Signer() *Signer { return l.signer }

// Home is the front page.
func (l *Links) Home() string { return l.base + "/" }

// Path joins segments below the public URL, each escaped.
func (l *Links) Path(segments ...string) string {
	var b strings.Builder
	b.WriteString(l.base)
	for _, s := range segments {
		b.WriteByte('/')
		b.WriteString(url.PathEscape(s))
	}
	return b.String()
}

// FeedFormat is the ending of a feed's path.
type FeedFormat string

// The feed formats.
const (
	FormatRSS  FeedFormat = "rss"
	FormatAtom FeedFormat = "atom"
	FormatJSON FeedFormat = "json"
)

// FeedFormats lists them all.
func FeedFormats() []FeedFormat { return []FeedFormat{FormatRSS, FormatAtom, FormatJSON} }

// FeedAll is the feed of all articles.
func (l *Links) FeedAll(f FeedFormat) string { return l.Path("feeds", "all."+string(f)) }

// FeedTerm is the feed of a category or tag.
func (l *Links) FeedTerm(kind TermKind, slug string, f FeedFormat) string {
	return l.Path("feeds", string(kind), slug+"."+string(f))
}

// Topic is the page of a category or tag for people.
func (l *Links) Topic(t Term) string { return l.Path("topics", string(t.Kind), t.Slug) }

// FeedIndex is the page that lists all feeds.
func (l *Links) FeedIndex() string { return l.Path("feeds") }

// OPML is the feed index for readers.
func (l *Links) OPML() string { return l.Path("feeds.opml") }

// Share is the page of an article with a copy button and a print style sheet.
func (l *Links) Share(articleID int64) string {
	return l.Path("share", strconv.FormatInt(articleID, 10))
}

// SignUp is the sign-up page of a public list.
func (l *Links) SignUp(list string) string { return l.Path("subscribe", list) }

// Archive is the public archive of a list.
func (l *Links) Archive(list string) string { return l.Path("lists", list) + "/" }

// ArchiveEdition is one edition in the public archive.
func (l *Links) ArchiveEdition(list, slug string) string { return l.Path("lists", list, slug) }

// Unsubscribe is the one-click and page URL; it works for ever.
func (l *Links) Unsubscribe(subscriptionID int64) string {
	return l.Path("unsubscribe", l.signer.Sign(PurposeUnsubscribe, Token{ID: subscriptionID}))
}

// Preferences is the page where a subscriber changes a subscription.
func (l *Links) Preferences(subscriptionID int64) string {
	return l.Path("preferences", l.signer.Sign(PurposePreferences, Token{ID: subscriptionID}))
}

// Confirm is the page of the double opt-in.
func (l *Links) Confirm(subscriptionID int64, expires time.Time) string {
	return l.Path("confirm", l.signer.Sign(PurposeConfirm, Token{ID: subscriptionID, Expires: expires}))
}

// WebView is an edition as it was sent to one subscriber.
func (l *Links) WebView(deliveryID int64) string {
	return l.Path("view", l.signer.Sign(PurposeWebView, Token{ID: deliveryID}))
}

// Hook is where a source may be told to be looked at, for senders that know no
// other way to show who they are.
func (l *Links) Hook(src Source) string {
	return l.Path("hooks", "source", src.Name, l.HookToken(src))
}

// HookSigned is the same for senders that sign, or that send the token in a header.
func (l *Links) HookSigned(src Source) string { return l.Path("hooks", "source", src.Name) }

// HookToken shows that its holder may call the source's hook. It works until
// the operator renews it.
func (l *Links) HookToken(src Source) string {
	return l.signer.Sign(PurposeHook, Token{ID: src.ID, Second: src.HookSerial})
}

// HookSecret is what the source's sender signs its calls with.
func (l *Links) HookSecret(src Source) string {
	return l.signer.Digest(PurposeHookSecret, src.ID, src.HookSerial)
}

// HubCallback is where a WebSub hub calls when a source's feed has something new.
func (l *Links) HubCallback(src Source) string {
	return l.Path("hooks", "websub", src.Name, l.HookToken(src))
}

// HubSecret is what the hub signs its calls with.
func (l *Links) HubSecret(src Source) string {
	return l.signer.Digest(PurposeHubSecret, src.ID, src.HookSerial)
}

// IsHookToken checks a token of the source's hook, in constant time.
func (l *Links) IsHookToken(src Source, token string, now time.Time) bool {
	t, err := l.signer.Verify(PurposeHook, token, now)
	return err == nil && t.ID == src.ID && t.Second == src.HookSerial && src.ID != 0
}
