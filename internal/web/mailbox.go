package web

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/mail"
	"net/url"
	"strconv"
	"strings"

	"gazetted/internal/news"
	"gazetted/templates"
)

// Mailbox is where a demonstration or a trial keeps its mails instead of
// sending them.
type Mailbox interface {
	// List returns at most limit mails, newest first.
	List(ctx context.Context, limit int) ([]news.CapturedMail, error)
	// Open returns the message as it went over the wire; news.ErrNotFound or
	// fs.ErrNotExist if there is none of that name.
	Open(name string) (io.ReadCloser, error)
	// Parts decodes the message: its fields in order, its text and its HTML
	// (each empty if there is none).
	Parts(name string) (fields [][2]string, text, html string, err error)
}

const (
	mailboxPage = 200
	// maxMail bounds a captured mail that is shown: one of ours has 100 KB.
	maxMail = 8 << 20
)

// admitted guards the mailbox: it shows other people's mails with their links.
// Nobody but this machine, or whoever has the key, learns that it exists.
func (s *Server) admitted(r *http.Request) error {
	if s.o.Mailbox == nil {
		return news.ErrNotFound
	}
	key := r.URL.Query().Get("key")
	if s.o.MailboxKey != "" && subtle.ConstantTimeCompare([]byte(key), []byte(s.o.MailboxKey)) == 1 {
		return nil
	}
	if s.onThisMachine(r) {
		return nil
	}
	return statusError(http.StatusForbidden)
}

// mailboxURL is a path below the mailbox; a key that was given is handed on.
func (s *Server) mailboxURL(r *http.Request, segments ...string) string {
	link := s.local(s.o.Links.Path(append([]string{"mailbox"}, segments...)...))
	if key := r.URL.Query().Get("key"); key != "" {
		link += "?key=" + url.QueryEscape(key)
	}
	return link
}

func (s *Server) mailboxFrame(r *http.Request) templates.Frame {
	f := s.frame("")
	f.Here, f.Mailbox = "mailbox", s.mailboxURL(r)
	return f
}

func (s *Server) mailbox(w http.ResponseWriter, r *http.Request) error {
	if err := s.admitted(r); err != nil {
		return err
	}
	mails, err := s.o.Mailbox.List(r.Context(), mailboxPage)
	if err != nil {
		return fmt.Errorf("list captured mails: %w", err)
	}
	view := templates.MailboxPage{Frame: s.mailboxFrame(r), Keyed: s.o.MailboxKey != ""}
	for _, m := range mails {
		view.Mails = append(view.Mails, s.pageMail(r, m))
	}
	if s.o.Demo {
		view.Refresh = demoRefresh
	}
	return s.page(w, http.StatusOK, "mailbox", view)
}

func (s *Server) pageMail(r *http.Request, m news.CapturedMail) templates.PageMail {
	return templates.PageMail{
		From: person(m.From), To: person(m.To), Subject: m.Subject, Date: s.minute(m.At), Datetime: stamp(m.At),
		Size: size(m.Bytes), URL: s.mailboxURL(r, m.Name),
	}
}

// person writes a sender or recipient without the quotes and brackets that the
// header needs; what is no address stays as it is.
func person(field string) string {
	a, err := mail.ParseAddress(field)
	switch {
	case err != nil:
		return field
	case a.Name == "":
		return a.Address
	default:
		return a.Name + " <" + a.Address + ">"
	}
}

func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatInt((n+512)/1024, 10) + " KB"
}

// captured is one mail taken apart.
type captured struct {
	fields     [][2]string
	text, html string
}

func (s *Server) captured(r *http.Request) (c captured, err error) {
	if err := s.admitted(r); err != nil {
		return c, err
	}
	c.fields, c.text, c.html, err = s.o.Mailbox.Parts(r.PathValue("name"))
	return c, missing(err)
}

// field returns the first field of that name.
func (c *captured) field(name string) string {
	for _, f := range c.fields {
		if strings.EqualFold(f[0], name) {
			return f[1]
		}
	}
	return ""
}

// capturedRaw is one mail as it went over the wire.
func (s *Server) capturedRaw(r *http.Request) ([]byte, error) {
	if err := s.admitted(r); err != nil {
		return nil, err
	}
	f, err := s.o.Mailbox.Open(r.PathValue("name"))
	if err != nil {
		return nil, missing(err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxMail))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read captured mail: %w", err)
	}
	return b, nil
}

func missing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return news.ErrNotFound
	}
	return err
}

func (s *Server) mail(w http.ResponseWriter, r *http.Request) error {
	c, err := s.captured(r)
	if err != nil {
		return err
	}
	b, err := s.capturedRaw(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	view := templates.MailPage{
		Frame: s.mailboxFrame(r), Raw: s.mailboxURL(r, name, "raw"),
		Mail: templates.PageMail{From: person(c.field("From")), To: person(c.field("To")), Subject: c.field("Subject"), Date: c.field("Date"), Size: size(int64(len(b)))},
	}
	if at, err := mail.ParseDate(c.field("Date")); err == nil {
		view.Mail.Date, view.Mail.Datetime = s.minute(at), stamp(at)
	}
	for _, f := range c.fields {
		view.Headers = append(view.Headers, templates.PageHeader{Name: f[0], Value: f[1]})
	}
	if c.html != "" {
		view.HTML = s.mailboxURL(r, name, "html")
	}
	if c.text != "" {
		view.Text = s.mailboxURL(r, name, "text")
	}
	return s.page(w, http.StatusOK, "mail", view)
}

// mailHTML is the HTML part, to be shown in a sandboxed frame. Its links open
// beside the frame, because the pages they lead to refuse to be framed.
func (s *Server) mailHTML(w http.ResponseWriter, r *http.Request) error {
	c, err := s.captured(r)
	if err != nil {
		return err
	}
	if c.html == "" {
		return news.ErrNotFound
	}
	const base = `<base target="_blank">`
	// Before the head, a parser would take the element for the head's first;
	// without one, it makes a head for it.
	out := base + c.html
	if before, after, ok := strings.Cut(c.html, "<head>"); ok {
		out = before + "<head>" + base + after
	}
	w.Header().Set("Content-Security-Policy", cspMail)
	return raw(w, "text/html; charset=utf-8", []byte(out))
}

func (s *Server) mailText(w http.ResponseWriter, r *http.Request) error {
	c, err := s.captured(r)
	if err != nil {
		return err
	}
	if c.text == "" {
		return news.ErrNotFound
	}
	w.Header().Set("Content-Security-Policy", cspMail)
	return raw(w, "text/plain; charset=utf-8", []byte(c.text))
}

func (s *Server) mailRaw(w http.ResponseWriter, r *http.Request) error {
	b, err := s.capturedRaw(r)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Security-Policy", cspNothing)
	if strings.EqualFold(r.URL.Query().Get("download"), "yes") {
		return raw(w, "message/rfc822", b)
	}
	return raw(w, "text/plain; charset=utf-8", b)
}

func raw(w http.ResponseWriter, contentType string, b []byte) error {
	h := w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(b) // a reader that has gone is not our fault
	return nil
}
