package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
)

// TestMail is one mail by which an operator sees whether a relay takes and
// delivers. It belongs to no list and goes past the outbox, which is for what
// readers get: it is sent once, by hand, to somebody who waits for it.
type TestMail struct {
	From string // as in Options
	To   string
	DKIM *DKIM // nil: not signed here
	ID   string
	Date time.Time
}

// compose makes the message.
func (m *TestMail) compose(relay string) (composed, error) {
	to, err := news.ParseAddress("to", m.To)
	if err != nil {
		return composed{}, err
	}
	_, from, err := news.ParseSender("from", m.From)
	if err != nil {
		return composed{}, err
	}
	compiled, err := Compile(Spec{From: m.From, Variant: news.Variant{
		Kind: news.VariantConfirm, Nonce: m.ID, Language: "en", Subject: "Test of the relay " + relay,
		Text: "This mail was sent by hand with `gazetted relay test`, to see whether the relay\n" + relay + " delivers. It belongs to no list.\n",
	}})
	if err != nil {
		return composed{}, err
	}
	raw, err := compiled.Bytes(Recipient{Address: to.Spec, MessageID: "<test." + m.ID + "@" + from.Domain() + ">", Date: m.Date})
	if err == nil && m.DKIM != nil {
		var signatures []byte
		signatures, err = m.DKIM.Sign(raw, from.Domain(), m.Date)
		raw = slices.Insert(raw, 0, signatures...)
	}
	return composed{envelope: Envelope{From: from.Spec, To: to.Spec, UTF8: to.NeedsUTF8()}, bytes: raw}, err
}

// Probe has a conversation with the relay, as the courier would, and tells each
// step as it is done. With m it sends that, else it leaves after the login. The
// error is what Open, Begin or Dot would say.
func (t *SMTP) Probe(ctx context.Context, m *TestMail, tell func(Step)) error {
	var mail composed
	if m != nil {
		var err error
		if mail, err = m.compose(t.o.Name); err != nil {
			return err
		}
	}
	if err := t.resolve(ctx, tell); err != nil {
		return err
	}
	banner := &bannerConn{}
	s, err := t.open(ctx, func(s Step) {
		if s.Name == StepGreeting {
			s.Detail = banner.text(t.o.TLS)
		}
		tell(s)
	}, banner)
	if err != nil {
		return err
	}
	defer s.Quit()
	if m == nil {
		return nil
	}
	began := time.Now()
	if err := s.Begin(ctx, mail.envelope, mail.bytes); err != nil {
		return err
	}
	tell(Step{Name: StepMail, Detail: fmt.Sprintf("from <%s> to <%s>, %d bytes", mail.envelope.From, mail.envelope.To, len(mail.bytes)), Took: time.Since(began)})
	began = time.Now()
	if err := s.Dot(ctx); err != nil {
		return err
	}
	r := s.Receipt()
	tell(Step{Name: StepDot, Detail: strings.TrimSpace(fmt.Sprintf("%d %s", r.Code, strings.TrimSpace(r.Enhanced+" "+r.Text))), Took: time.Since(began)})
	return nil
}

// resolve looks the host up for its own sake: dialing would say only that it
// failed. The answer is that of this machine's resolver, which dialing asks, too.
func (t *SMTP) resolve(ctx context.Context, tell func(Step)) error {
	if _, err := netip.ParseAddr(t.o.Host); err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, t.o.DialTimeout)
	defer cancel()
	began := time.Now()
	found, err := net.DefaultResolver.LookupHost(ctx, t.o.Host)
	if err == nil && len(found) == 0 {
		err = errors.New("no address")
	}
	if err != nil {
		return &ReplyError{Stage: StageConnect, Err: err}
	}
	tell(Step{Name: StepResolve, Detail: t.o.Host + " is " + strings.Join(found, ", "), Took: time.Since(began)})
	return nil
}

// bannerConn keeps the first line that comes, because smtp.Client does not.
type bannerConn struct {
	net.Conn
	heard []byte
}

func (c *bannerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if len(c.heard) < maxReceipt {
		c.heard = append(c.heard, p[:min(n, maxReceipt)]...)
	}
	return n, err
}

// text is the greeting, which is not to be heard from without where TLS comes first.
func (c *bannerConn) text(mode TLSMode) string {
	if mode == TLSImplicit {
		return "220"
	}
	line, _, _ := strings.Cut(string(c.heard), "\r\n")
	return cleanLine(line, maxReceipt)
}
