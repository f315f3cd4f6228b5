package mail

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"gazetted/internal/news"
)

// IMAPOptions say where a mailbox is.
type IMAPOptions struct {
	Host     string
	Port     int     // 0: 993, or 143 unless TLS is TLSImplicit
	TLS      TLSMode // empty: TLSImplicit
	Username string
	Password string
	Folder   string      // empty: INBOX
	Config   *tls.Config // nil: the system's authorities
}

// IMAP is a Box on an IMAP server (RFC 9051). It reads what is unseen in one
// folder and marks it as seen; what was no bounce of ours is flagged, too, for
// a person to look at. Each look is a connection of its own.
type IMAP struct{ o IMAPOptions }

// maxCollected bounds the messages of one look; the rest waits for the next.
const maxCollected = 500

// NewIMAP checks o.
func NewIMAP(o IMAPOptions) (*IMAP, error) {
	if o.Host == "" || o.Username == "" {
		return nil, errors.New("make IMAP box: host and user name are needed")
	}
	o.TLS = cmp.Or(o.TLS, TLSImplicit)
	switch o.TLS {
	case TLSImplicit, TLSStart, TLSNone:
	default:
		return nil, &news.FieldError{Field: "imap_tls", Value: string(o.TLS), Want: "tls, starttls or none"}
	}
	if o.Port == 0 {
		o.Port = 143
		if o.TLS == TLSImplicit {
			o.Port = 993
		}
	}
	o.Folder = cmp.Or(o.Folder, "INBOX")
	if o.Config == nil {
		o.Config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	o.Config = o.Config.Clone()
	o.Config.ServerName = cmp.Or(o.Config.ServerName, o.Host)
	return &IMAP{o: o}, nil
}

// Name is host and folder.
func (b *IMAP) Name() string { return b.o.Host + "/" + b.o.Folder }

// Collect logs in, reads what is unseen, and logs out.
func (b *IMAP) Collect(ctx context.Context, read ReadFunc) error {
	c, end, err := b.connect(ctx)
	if err != nil {
		return err
	}
	defer end()
	if err := c.Login(b.o.Username, b.o.Password).Wait(); err != nil {
		return b.fault(ctx, "log in", err)
	}
	if _, err := c.Select(b.o.Folder, nil).Wait(); err != nil {
		return b.fault(ctx, "select "+b.o.Folder, err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagSeen, imap.FlagDeleted}}, nil).Wait()
	if err != nil {
		return b.fault(ctx, "search", err)
	}
	uids := found.AllUIDs()
	slices.Sort(uids)
	for _, uid := range uids[:min(len(uids), maxCollected)] {
		if err := b.one(ctx, c, uid, read); err != nil {
			return err
		}
	}
	if err := c.Logout().Wait(); err != nil && ctx.Err() == nil {
		return nil // everything is done and marked
	}
	return ctx.Err()
}

// connect dials and secures. A context that ends closes the connection: the
// library knows none.
func (b *IMAP) connect(ctx context.Context) (*imapclient.Client, func(), error) {
	d := net.Dialer{Timeout: 30 * time.Second}
	raw, err := d.DialContext(ctx, "tcp", net.JoinHostPort(b.o.Host, strconv.Itoa(b.o.Port)))
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = raw.Close() })
	options := &imapclient.Options{TLSConfig: b.o.Config}
	var c *imapclient.Client
	switch b.o.TLS {
	case TLSImplicit:
		conn := tls.Client(raw, b.o.Config)
		if err = conn.HandshakeContext(ctx); err == nil {
			c = imapclient.New(conn, options)
		}
	case TLSStart:
		c, err = imapclient.NewStartTLS(raw, options)
	default:
		c = imapclient.New(raw, options)
	}
	if err != nil {
		stop()
		_ = raw.Close()
		return nil, nil, b.fault(ctx, "secure the connection", err)
	}
	return c, func() { stop(); _ = c.Close() }, nil
}

// one reads a message and marks it. Only the first bytes of a large one are
// asked for: a report stands before the mail that it returns.
func (b *IMAP) one(ctx context.Context, c *imapclient.Client, uid imap.UID, read ReadFunc) error {
	set := imap.UIDSetNum(uid)
	section := &imap.FetchItemBodySection{Peek: true, Partial: &imap.SectionPartial{Size: maxIncoming}}
	fetch := c.Fetch(set, &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{section}})
	rec, there, err := readFetched(ctx, fetch, read)
	if closeErr := fetch.Close(); err == nil && closeErr != nil {
		return b.fault(ctx, "fetch", closeErr)
	}
	if err != nil || !there { // not there: somebody has removed it since
		return err
	}
	flags := []imap.Flag{imap.FlagSeen}
	if !rec.Ignored.Handled() {
		flags = append(flags, imap.FlagFlagged)
	}
	store := c.Store(set, &imap.StoreFlags{Op: imap.StoreFlagsAdd, Silent: true, Flags: flags}, nil)
	if err := store.Close(); err != nil {
		return b.fault(ctx, "mark as seen", err)
	}
	return nil
}

// readFetched hands on the one body of the answer. Whatever else a server adds
// is passed over.
func readFetched(ctx context.Context, fetch *imapclient.FetchCommand, read ReadFunc) (rec Received, there bool, err error) {
	for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
		for item := msg.Next(); item != nil; item = msg.Next() {
			body, ok := item.(imapclient.FetchItemDataBodySection)
			if !ok || body.Literal == nil || there || err != nil {
				continue
			}
			rec, err = read(ctx, io.LimitReader(body.Literal, maxIncoming))
			there = true
			_, _ = io.Copy(io.Discard, body.Literal) // the connection is of no use otherwise; it says so itself
		}
	}
	return rec, there, err
}

// fault says what failed, and that it was the end of ctx if it was.
func (b *IMAP) fault(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", what, ctx.Err())
	}
	return fmt.Errorf("%s: %w", what, err)
}
