package web

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"time"

	"gazetted/templates"
)

// parts is a mail taken apart for being looked at.
type parts struct {
	from, to, subject string
	date              time.Time
	headers           []templates.PageHeader
	html, text        []byte // nil: no such part
}

// maxNesting bounds multiparts within multiparts.
const maxNesting = 5

func readParts(raw []byte) (*parts, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("read captured mail: %w", err)
	}
	var words mime.WordDecoder
	decode := func(text string) string {
		if out, err := words.DecodeHeader(text); err == nil {
			return out
		}
		return text
	}
	p := &parts{from: decode(m.Header.Get("From")), to: decode(m.Header.Get("To")), subject: decode(m.Header.Get("Subject"))}
	p.date, _ = m.Header.Date() // without one the zero time is shown
	p.headers = headersInOrder(raw)
	if err := p.take(m.Header, m.Body, 0); err != nil {
		return nil, err
	}
	return p, nil
}

// headersInOrder lists the header as it stands, unfolded.
func headersInOrder(raw []byte) []templates.PageHeader {
	head, _, _ := strings.Cut(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n\n")
	var out []templates.PageHeader
	for line := range strings.SplitSeq(head, "\n") {
		if (strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t")) && len(out) > 0 {
			out[len(out)-1].Value += " " + strings.TrimSpace(line)
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		out = append(out, templates.PageHeader{Name: name, Value: strings.TrimSpace(value)})
	}
	return out
}

type header interface{ Get(name string) string }

func (p *parts) take(h header, body io.Reader, depth int) error {
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		media = "text/plain"
	}
	if strings.HasPrefix(media, "multipart/") && depth < maxNesting {
		return p.takeEach(multipart.NewReader(body, params["boundary"]), depth)
	}
	if media != "text/plain" && media != "text/html" {
		return nil
	}
	b, err := io.ReadAll(decoded(h.Get("Content-Transfer-Encoding"), body))
	if err != nil {
		return fmt.Errorf("decode captured mail: %w", err)
	}
	switch {
	case media == "text/html" && p.html == nil:
		p.html = b
	case media == "text/plain" && p.text == nil:
		p.text = b
	}
	return nil
}

func (p *parts) takeEach(r *multipart.Reader, depth int) error {
	for {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read parts of captured mail: %w", err)
		}
		if err := p.take(part.Header, part, depth+1); err != nil {
			return err
		}
	}
}

func decoded(encoding string, r io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(r)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, r)
	default:
		return r
	}
}
