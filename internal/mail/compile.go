package mail

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Compiled is a message for all recipients of one Variant, cut where they
// differ. It is immutable and safe for concurrent use.
type Compiled struct {
	pieces   []piece
	from     news.Address
	places   string // what values it needs
	size     int    // of the literals
	maxBytes int
}

// piece is bytes that all recipients share, followed by a value that they do
// not; the last one has no value.
type piece struct {
	literal []byte
	where   where
	place   news.Place
}

// where says how a value is encoded.
type where byte

const (
	inHeader where = 'h'
	inText   where = 't' // quoted-printable
	inHTML   where = 'x' // HTML-escaped, then quoted-printable
)

// Compile builds the message of a Variant and cuts it at its marks. The same
// Spec gives the same bytes. A fault that an editor could mend is a
// *news.FieldError.
func Compile(s Spec) (*Compiled, error) {
	nonce := s.Variant.Nonce
	if len(nonce) < 8 || len(nonce) > 48 || strings.Trim(nonce, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") != "" {
		return nil, fmt.Errorf("compile variant %d: the nonce %q is not 8 to 48 letters and digits", s.Variant.ID, nonce)
	}
	if s.MaxBytes == 0 {
		s.MaxBytes = DefaultMaxBytes
	}
	if len(s.Variant.HTML)+len(s.Variant.Text) > s.MaxBytes {
		return nil, tooLarge(len(s.Variant.HTML)+len(s.Variant.Text), s.MaxBytes)
	}
	if strings.TrimSpace(s.Variant.Text) == "" {
		return nil, fmt.Errorf("compile variant %d: it has no text part", s.Variant.ID)
	}
	m, err := build(&s)
	if err != nil {
		return nil, fmt.Errorf("compile variant %d: %w", s.Variant.ID, err)
	}
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		return nil, fmt.Errorf("compile variant %d: %w", s.Variant.ID, err)
	}
	c := &Compiled{maxBytes: s.MaxBytes}
	if _, c.from, err = news.ParseSender("from", s.From); err != nil {
		return nil, fmt.Errorf("compile variant %d: %w", s.Variant.ID, err)
	}
	if c.pieces, err = cut(raw.Bytes(), nonce); err != nil {
		return nil, fmt.Errorf("compile variant %d: %w", s.Variant.ID, err)
	}
	for _, p := range c.pieces {
		c.size += len(p.literal)
		if p.place != 0 {
			c.places += string(rune(p.place))
		}
	}
	if c.size > c.maxBytes {
		return nil, fmt.Errorf("compile variant %d: %w", s.Variant.ID, tooLarge(c.size, c.maxBytes))
	}
	return c, nil
}

func tooLarge(size, limit int) error {
	return &news.FieldError{Field: "message", Value: fmt.Sprintf("%d bytes", size), Want: fmt.Sprintf("at most %d bytes: fewer articles, or only their summaries", limit)}
}

// Size is roughly the memory that c holds, in bytes.
func (c *Compiled) Size() int { return c.size }

// needs tells whether something of a recipient stands at p.
func (c *Compiled) needs(p news.Place) bool { return strings.ContainsRune(c.places, rune(p)) }

func markPrefix(nonce string) string { return "gz" + nonce }

// token stands in the built message for a value. It has the shape of a mark
// with one letter more, which tells how the value is to be encoded.
func token(nonce string, w where, p news.Place) string {
	return markPrefix(nonce) + string(rune(w)) + string(rune(p)) + "zg"
}

// isolate puts each mark on a line of its own, as a token. quoted-printable
// then never breaks a token in two, and the two line ends become soft breaks
// when the message is cut. The result ends with a line end.
func isolate(s, nonce string, w where) (string, error) {
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(s, "\uFFFD"))
	if !strings.HasSuffix(s, "\n") {
		s += "\n"
	}
	marks := strings.Count(s, markPrefix(nonce))
	for _, p := range news.Places() {
		marks -= strings.Count(s, news.Mark(nonce, p))
		s = strings.ReplaceAll(s, news.Mark(nonce, p), "\n"+token(nonce, w, p)+"\n")
	}
	if marks != 0 {
		return "", fmt.Errorf("%d marks of no known place", marks)
	}
	return s, nil
}

// cut finds the tokens of a built message. In a body the line ends around a
// token become soft line breaks (RFC 2045 §6.7 rule 5), left out where a line
// starts or ends anyway.
func cut(raw []byte, nonce string) ([]piece, error) {
	prefix, width := []byte(markPrefix(nonce)), len(token(nonce, inText, 'u'))
	var pieces []piece
	soft := false // a soft break is due before the next literal
	for {
		i := bytes.Index(raw, prefix)
		if i < 0 {
			return append(pieces, piece{literal: join(soft, raw, false)}), nil
		}
		if i+width > len(raw) {
			return nil, fmt.Errorf("a mark was broken: %q", raw[i:])
		}
		p := piece{where: where(raw[i+width-4]), place: news.Place(raw[i+width-3])}
		before, after := raw[:i], raw[i+width:]
		if p.where == inHeader {
			p.literal, soft = join(soft, before, false), false
		} else {
			if !bytes.HasSuffix(before, []byte("\r\n")) || !bytes.HasPrefix(after, []byte("\r\n")) {
				return nil, fmt.Errorf("a mark was broken: %q", raw[i:i+width])
			}
			before, after = before[:i-2], after[2:]
			p.literal = join(soft, before, len(before) > 0 && !bytes.HasSuffix(before, []byte("\r\n")))
			next := bytes.HasPrefix(after, append([]byte("\r\n"), prefix...))
			soft = next || !bytes.HasPrefix(after, []byte("\r\n"))
		}
		pieces, raw = append(pieces, p), after
	}
}

// join copies b with soft breaks around it.
func join(before bool, b []byte, after bool) []byte {
	out := make([]byte, 0, len(b)+6)
	if before {
		out = append(out, "=\r\n"...)
	}
	out = append(out, b...)
	if after {
		out = append(out, "=\r\n"...)
	}
	return out
}

// Bytes returns the message for r: CRLF line ends, at most 76 octets a line in
// the bodies. The same Recipient gives the same bytes. It refuses a value that
// could not stand where it has to.
func (c *Compiled) Bytes(r Recipient) ([]byte, error) {
	return c.Append(make([]byte, 0, c.size+c.size/16+2048), r)
}

// Write writes what Bytes returns. Nothing is written if r is refused.
func (c *Compiled) Write(w io.Writer, r Recipient) error {
	b, err := c.Bytes(r)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// Append appends what Bytes returns to dst.
func (c *Compiled) Append(dst []byte, r Recipient) ([]byte, error) {
	start := len(dst)
	for i := range c.pieces {
		p := &c.pieces[i]
		dst = append(dst, p.literal...)
		if p.place == 0 {
			continue
		}
		v, err := r.value(p.place)
		if err != nil {
			return nil, fmt.Errorf("compose message: %w", err)
		}
		switch p.where {
		case inText:
			dst = appendQP(dst, v)
		case inHTML:
			dst = appendQP(dst, html.EscapeString(v))
		default:
			dst = append(dst, v...)
		}
	}
	if n := len(dst) - start; n > c.maxBytes {
		return nil, fmt.Errorf("compose message: %w", tooLarge(n, c.maxBytes))
	}
	return dst, nil
}

// value returns what stands at p, checked.
func (r *Recipient) value(p news.Place) (string, error) {
	switch p {
	case placeTo:
		return r.to()
	case placeDate:
		if r.Date.IsZero() {
			return "", fmt.Errorf("the message has no date")
		}
		return r.Date.UTC().Format(time.RFC1123Z), nil // RFC 5322 §3.3
	case placeMessageID:
		if !validMessageID(r.MessageID) {
			return "", fmt.Errorf("%q is no Message-ID", cutBytes(r.MessageID, 100))
		}
		return r.MessageID, nil
	case news.PlaceAddress:
		addr, err := news.ParseAddress("address", r.Address)
		return addr.Spec, err
	case news.PlaceUnsubscribe:
		return checkedURL("unsubscribe", r.Unsubscribe)
	case placeMailto:
		return checkedURL("unsubscribe by mail", r.MailtoUnsubscribe)
	case news.PlacePreferences:
		return checkedURL("preferences", r.Preferences)
	case news.PlaceWebView:
		return checkedURL("web view", r.WebView)
	case news.PlaceConfirm:
		return checkedURL("confirm", r.Confirm)
	default:
		return "", fmt.Errorf("a mark of no known place: %q", rune(p))
	}
}

// to is exactly one address with its name.
func (r *Recipient) to() (string, error) {
	addr, err := news.ParseAddress("address", cutBytes(r.Address, 1000))
	if err != nil {
		return "", err
	}
	name := news.CleanName(cutBytes(r.Name, 1000))
	if name == "" {
		return "<" + addr.Spec + ">", nil
	}
	return fold(phrase(name)+" <"+addr.Spec+">", len("To: ")), nil
}

func checkedURL(what, u string) (string, error) {
	if !headerURL(u) {
		return "", &news.FieldError{Field: what + " link", Value: u, Want: "a URL"}
	}
	return u, nil
}

// validMessageID checks <dot-atom@domain> (RFC 5322 §3.6.4).
func validMessageID(id string) bool {
	if len(id) < 5 || len(id) > 250 || id[0] != '<' || id[len(id)-1] != '>' {
		return false
	}
	left, right, ok := strings.Cut(id[1:len(id)-1], "@")
	atoms := func(r rune) bool { return r != '.' && !isAtext(r) }
	return ok && left != "" && right != "" && strings.IndexFunc(left, atoms) < 0 && strings.IndexFunc(right, atoms) < 0
}
