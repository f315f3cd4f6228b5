package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-message"

	"gazetted/internal/news"
)

// Limits of what is decoded of a captured message for display.
const (
	maxShownPart  = 4 << 20
	maxShownParts = 20
)

// Mailbox reads what a Capture keeps. It is safe for concurrent use.
type Mailbox struct{ c *Capture }

// Mailbox returns the reading side.
func (c *Capture) Mailbox() *Mailbox { return &Mailbox{c: c} }

// List returns the newest messages, newest first.
func (m *Mailbox) List(ctx context.Context, limit int) ([]news.CapturedMail, error) {
	m.c.mu.Lock()
	names := slices.Clone(m.c.names)
	m.c.mu.Unlock()
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(b, a) })
	mails := []news.CapturedMail{}
	for _, name := range names[:min(len(names), max(limit, 0))] {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("list captured mail: %w", err)
		}
		one, err := m.summary(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue // removed in the meantime
		}
		if err != nil {
			return nil, fmt.Errorf("list captured mail: %w", err)
		}
		mails = append(mails, one)
	}
	return mails, nil
}

func (m *Mailbox) summary(name string) (news.CapturedMail, error) {
	f, err := m.c.root.Open("new/" + name)
	if err != nil {
		return news.CapturedMail{}, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil {
		return news.CapturedMail{}, err
	}
	ms, err := strconv.ParseInt(name[:13], 10, 64)
	if err != nil {
		ms = info.ModTime().UnixMilli()
	}
	one := news.CapturedMail{Name: name, At: time.UnixMilli(ms).UTC(), Bytes: info.Size()}
	e, err := message.Read(f)
	if e == nil || err != nil && !message.IsUnknownCharset(err) {
		return one, nil // put there by somebody else; shown without its fields
	}
	one.From, one.To, one.Subject = shown(&e.Header, "From"), shown(&e.Header, "To"), shown(&e.Header, "Subject")
	return one, nil
}

// shown decodes a field as far as it can be decoded.
func shown(h *message.Header, key string) string {
	text, err := h.Text(key)
	if err != nil {
		return h.Get(key)
	}
	return text
}

// Open returns a message as it would have been sent. news.ErrNotFound if there
// is none of that name.
func (m *Mailbox) Open(name string) (io.ReadCloser, error) {
	if !validCaptured(name) {
		return nil, fmt.Errorf("open captured mail: %w", news.ErrNotFound)
	}
	f, err := m.c.root.Open("new/" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open captured mail: %w", news.ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("open captured mail: %w", err)
	}
	return f, nil
}

// Parts decodes a message for display: its fields as pairs of name and value
// in their order, its text and its HTML. The HTML is as it was mailed: show it
// in a sandbox. news.ErrNotFound if there is no such message.
func (m *Mailbox) Parts(name string) (fields [][2]string, text, html string, err error) {
	f, err := m.Open(name)
	if err != nil {
		return nil, "", "", err
	}
	defer f.Close()
	e, err := message.Read(f)
	if e == nil || err != nil && !message.IsUnknownCharset(err) {
		return nil, "", "", fmt.Errorf("read captured mail: %w", err)
	}
	for all := e.Header.Fields(); all.Next(); {
		value, err := all.Text()
		if err != nil {
			value = all.Value()
		}
		fields = append(fields, [2]string{all.Key(), value})
	}
	parts := 0
	err = e.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return err
		}
		if parts++; parts > maxShownParts {
			return errors.New("too many parts")
		}
		kind, _, _ := part.Header.ContentType()
		into := map[string]*string{"text/plain": &text, "": &text, "text/html": &html}[kind]
		if into == nil || *into != "" {
			return nil
		}
		body, err := io.ReadAll(io.LimitReader(part.Body, maxShownPart))
		*into = string(body)
		return err
	})
	if err != nil {
		return nil, "", "", fmt.Errorf("read captured mail: %w", err)
	}
	return fields, text, html, nil
}
