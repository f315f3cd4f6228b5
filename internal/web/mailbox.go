package web

import (
	"bytes"
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
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
	view := templates.MailboxPage{Frame: s.mailboxFrame(r)}
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
		From: m.From, To: m.To, Subject: m.Subject, Date: s.minute(m.At), Datetime: stamp(m.At),
		Size: size(m.Bytes), URL: s.mailboxURL(r, m.Name),
	}
}

func size(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	return strconv.FormatInt((n+512)/1024, 10) + " KB"
}

// captured reads one mail.
func (s *Server) captured(r *http.Request) ([]byte, *parts, error) {
	if err := s.admitted(r); err != nil {
		return nil, nil, err
	}
	f, err := s.o.Mailbox.Open(r.PathValue("name"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, news.ErrNotFound
	}
	if err != nil {
		return nil, nil, fmt.Errorf("open captured mail: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(f, maxMail))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, nil, fmt.Errorf("read captured mail: %w", err)
	}
	p, err := readParts(raw)
	if err != nil {
		return nil, nil, err
	}
	return raw, p, nil
}

func (s *Server) mail(w http.ResponseWriter, r *http.Request) error {
	raw, p, err := s.captured(r)
	if err != nil {
		return err
	}
	name := r.PathValue("name")
	view := templates.MailPage{
		Frame: s.mailboxFrame(r), Headers: p.headers, Raw: s.mailboxURL(r, name, "raw"),
		Mail: s.pageMail(r, news.CapturedMail{Name: name, From: p.from, To: p.to, Subject: p.subject, At: p.date, Bytes: int64(len(raw))}),
	}
	if p.html != nil {
		view.HTML = s.mailboxURL(r, name, "html")
	}
	if p.text != nil {
		view.Text = s.mailboxURL(r, name, "text")
	}
	return s.page(w, http.StatusOK, "mail", view)
}

// mailHTML is the HTML part, to be shown in a sandboxed frame. Its links open
// beside the frame, because the pages they lead to refuse to be framed.
func (s *Server) mailHTML(w http.ResponseWriter, r *http.Request) error {
	_, p, err := s.captured(r)
	if err != nil {
		return err
	}
	if p.html == nil {
		return news.ErrNotFound
	}
	const base = `<base target="_blank">`
	out := p.html
	if i := bytes.Index(bytes.ToLower(out), []byte("<head>")); i >= 0 {
		out = bytes.Join([][]byte{out[:i+len("<head>")], out[i+len("<head>"):]}, []byte(base))
	} else {
		out = append([]byte(base), out...)
	}
	w.Header().Set("Content-Security-Policy", cspMail)
	return raw(w, "text/html; charset=utf-8", out)
}

func (s *Server) mailText(w http.ResponseWriter, r *http.Request) error {
	_, p, err := s.captured(r)
	if err != nil {
		return err
	}
	if p.text == nil {
		return news.ErrNotFound
	}
	w.Header().Set("Content-Security-Policy", cspMail)
	return raw(w, "text/plain; charset=utf-8", p.text)
}

func (s *Server) mailRaw(w http.ResponseWriter, r *http.Request) error {
	b, _, err := s.captured(r)
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
