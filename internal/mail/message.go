package mail

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"

	"gazetted/internal/news"
)

// Spec is everything of a message that is the same for all recipients of a Variant.
type Spec struct {
	Variant news.Variant

	From    string // one sender, as news.ParseSender reads it; needed
	ReplyTo string // empty: answers go to From

	// ListID is the stable name of the list, such as world.news.example.org
	// (RFC 2919 §2), and ListTitle the words before it.
	ListID    string
	ListTitle string
	// Language is BCP 47; empty: the Variant's.
	Language string

	// OneClick adds List-Unsubscribe-Post. RFC 8058 §3.1 allows it only where
	// the unsubscribe URL is https.
	OneClick bool
	// MailtoUnsubscribe says that recipients bring a mailto URL to unsubscribe by.
	MailtoUnsubscribe bool

	HelpURL    string // List-Help (RFC 2369 §3.1); empty: none
	ArchiveURL string // List-Archive (§3.6); empty: none
	Owner      string // address for List-Owner (§3.5); empty: none
	FeedbackID string // a:b:c:SenderId for the feedback loops of mailbox providers; empty: none

	// MaxBytes bounds a finished message; 0: DefaultMaxBytes.
	MaxBytes int
}

// DefaultMaxBytes is the size above which a message is refused. 10 MB is the
// least that large mailbox providers take (Outlook.com: 20 MB, Gmail: 25 MB).
const DefaultMaxBytes = 10 << 20

// Recipient is what differs from one message of a Variant to the next. A URL
// is needed only if the Variant has its mark.
type Recipient struct {
	Address   string    // as news.ParseAddress accepts it
	Name      string    // display name; may be empty
	MessageID string    // with its angle brackets
	Date      time.Time // of the message: frozen, so that every attempt has the same bytes

	Unsubscribe       string // https URL: one-click and page
	MailtoUnsubscribe string // with Spec.MailtoUnsubscribe
	Preferences       string
	WebView           string
	Confirm           string
}

// Bounds of what goes into a header.
const (
	maxSubject = 250 // characters; clients show about 70
	maxTitle   = 100 // characters
	maxListID  = 255 // octets (RFC 2919 §2)
	maxURL     = 900 // octets, so that a header line stays below 998
)

// Places that exist only in headers; templates cannot use them.
const (
	placeTo        news.Place = 'T'
	placeDate      news.Place = 'D'
	placeMessageID news.Place = 'M'
	placeMailto    news.Place = 'L'
)

// build lays the message out with go-mail. Where recipients differ it holds
// tokens, which cut finds again.
func build(s *Spec) (*gomail.Msg, error) {
	m := gomail.NewMsg(
		gomail.WithNoDefaultUserAgent(),
		gomail.WithCharset("utf-8"),
		gomail.WithEncoding(gomail.EncodingQP),
		// Rule: the same inputs give the same bytes, so no random boundary. The
		// nonce is unguessable: no article contains it.
		gomail.WithBoundary("gazetted-"+s.Variant.Nonce),
	)
	if err := setSenders(m, s); err != nil {
		return nil, err
	}
	nonce := s.Variant.Nonce
	subject := cleanLine(s.Variant.Subject, maxSubject)
	if subject == "" || strings.Contains(subject, markPrefix(nonce)) {
		return nil, &news.FieldError{Field: "subject", Value: s.Variant.Subject, Want: "some text, without marks"}
	}
	m.SetGenHeader(gomail.HeaderSubject, unstructured(subject))
	m.SetGenHeader("To", token(nonce, inHeader, placeTo))
	m.SetGenHeader(gomail.HeaderDate, token(nonce, inHeader, placeDate))
	m.SetGenHeader(gomail.HeaderMessageID, token(nonce, inHeader, placeMessageID))
	m.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	language := s.Language
	if language == "" {
		language = s.Variant.Language
	}
	if language != "" {
		if !languageTag(language) {
			return nil, &news.FieldError{Field: "language", Value: language, Want: "a language tag such as en or pt-BR"}
		}
		m.SetGenHeader(gomail.HeaderContentLang, language)
	}
	if err := setListHeaders(m, s); err != nil {
		return nil, err
	}
	return m, setBodies(m, s)
}

// setBodies adds the parts, the plainest first (RFC 2046 §5.1.4).
func setBodies(m *gomail.Msg, s *Spec) error {
	text, err := isolate(s.Variant.Text, s.Variant.Nonce, inText)
	if err != nil {
		return fmt.Errorf("text part: %w", err)
	}
	m.SetBodyString(gomail.TypeTextPlain, text)
	if s.Variant.HTML == "" {
		return nil
	}
	page, err := isolate(s.Variant.HTML, s.Variant.Nonce, inHTML)
	if err != nil {
		return fmt.Errorf("html part: %w", err)
	}
	m.AddAlternativeString(gomail.TypeTextHTML, page)
	return nil
}

func setSenders(m *gomail.Msg, s *Spec) error {
	name, addr, err := news.ParseSender("from", cutBytes(s.From, 1000))
	if err != nil {
		return err
	}
	// A sender beyond ASCII would make every recipient's relay need SMTPUTF8.
	if addr.NeedsUTF8() {
		return &news.FieldError{Field: "from", Value: s.From, Want: "an address in ASCII"}
	}
	m.FromMailAddress(&mail.Address{Name: name, Address: addr.Spec})
	if s.ReplyTo == "" {
		return nil
	}
	name, addr, err = news.ParseSender("reply_to", cutBytes(s.ReplyTo, 1000))
	if err != nil {
		return err
	}
	if addr.NeedsUTF8() {
		return &news.FieldError{Field: "reply_to", Value: s.ReplyTo, Want: "an address in ASCII"}
	}
	m.ReplyToMailAddress(&mail.Address{Name: name, Address: addr.Spec})
	return nil
}

// setListHeaders adds what RFC 2369, 2919 and 8058 ask of a list. A
// confirmation is no bulk mail, and its reader has nothing to unsubscribe from.
func setListHeaders(m *gomail.Msg, s *Spec) error {
	if s.ListID != "" {
		if len(s.ListID) > maxListID || strings.Trim(s.ListID, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
			return &news.FieldError{Field: "list id", Value: s.ListID, Want: "a name such as world.news.example.org"}
		}
		id := "<" + s.ListID + ">"
		if title := cleanLine(s.ListTitle, maxTitle); title != "" {
			id = phrase(title) + " " + id
		}
		m.SetGenHeader("List-Id", id)
	}
	if s.Owner != "" {
		owner, err := news.ParseAddress("owner", s.Owner)
		if err != nil {
			return err
		}
		m.SetGenHeader("List-Owner", "<mailto:"+url.PathEscape(owner.Spec)+">")
	}
	if err := errors.Join(setURL(m, "List-Help", s.HelpURL), setURL(m, "List-Archive", s.ArchiveURL)); err != nil {
		return err
	}
	if s.Variant.Kind == news.VariantConfirm {
		return nil
	}
	unsubscribe := "<" + token(s.Variant.Nonce, inHeader, news.PlaceUnsubscribe) + ">"
	if s.MailtoUnsubscribe {
		unsubscribe += ", <" + token(s.Variant.Nonce, inHeader, placeMailto) + ">"
	}
	m.SetGenHeader(gomail.HeaderListUnsubscribe, unsubscribe)
	if s.OneClick {
		m.SetGenHeader(gomail.HeaderListUnsubscribePost, "List-Unsubscribe=One-Click")
	}
	m.SetGenHeader(gomail.HeaderPrecedence, "bulk")
	if s.FeedbackID != "" {
		if len(s.FeedbackID) > maxListID || !plainHeader(s.FeedbackID) || strings.Contains(s.FeedbackID, " ") {
			return &news.FieldError{Field: "feedback id", Value: s.FeedbackID, Want: "four parts such as edition:list:gazetted:sender"}
		}
		m.SetGenHeader("Feedback-ID", s.FeedbackID)
	}
	return nil
}

func setURL(m *gomail.Msg, field gomail.Header, u string) error {
	if u == "" {
		return nil
	}
	if !headerURL(u) {
		return &news.FieldError{Field: string(field), Value: u, Want: "a URL"}
	}
	m.SetGenHeader(field, "<"+u+">")
	return nil
}

// headerURL tells whether u may stand between angle brackets (RFC 2369 §2):
// printable ASCII without white space and without the characters that end it.
func headerURL(u string) bool {
	if u == "" || len(u) > maxURL {
		return false
	}
	for i := range len(u) {
		if c := u[i]; c <= ' ' || c > '~' || c == '<' || c == '>' || c == '"' || c == ',' {
			return false
		}
	}
	return true
}

// languageTag checks the shape of a BCP 47 tag.
func languageTag(s string) bool {
	if len(s) > 35 { // RFC 5646 §4.4.1
		return false
	}
	for part := range strings.SplitSeq(s, "-") {
		if part == "" || len(part) > 8 || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
			return false
		}
	}
	return true
}
