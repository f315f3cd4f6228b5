package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"gazetted/digest"
	"gazetted/internal/mail"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/web"
)

func (d *Daemon) buildCourier() error {
	relays, err := d.relays()
	if err != nil {
		return err
	}
	if d.dkim, err = readDKIM(&d.cfg, os.Getenv("CREDENTIALS_DIRECTORY")); err != nil {
		return err
	}
	returnPath, unsubscribe, err := d.signedAddresses()
	if err != nil {
		return err
	}
	d.Courier, err = mail.New(mail.Options{
		ReturnPath: returnPath, Unsubscribe: unsubscribe,
		Store: d.Store, Relays: relays, Links: d.Links, From: d.cfg.Mail.From, Domain: d.cfg.mailDomain(), DKIM: d.dkim, Now: d.o.Now, Events: d.sent,
		Process: processName(), Lease: d.cfg.lease(),
	})
	return err
}

// lease is how long a mail may be in hand: longer than any relay may take to
// answer.
func (c *Config) lease() time.Duration {
	longest := mail.DefaultDotTimeout
	for _, r := range c.Mail.Relays {
		longest = max(longest, time.Duration(r.DotTimeout))
	}
	return longest + 2*time.Minute
}

// processName is how other processes call this one.
func processName() string {
	host, err := os.Hostname()
	if err != nil {
		host = "?"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// sent logs what the courier met. Addresses stay out of logs.
func (d *Daemon) sent(e mail.Event) {
	d.metrics.count(e)
	switch e.Kind {
	case mail.EventAttempt:
		d.attempted(e)
	case mail.EventRelayUp:
		d.log.Info("relay takes mail again", "relay", e.Relay)
	case mail.EventRecovered:
		d.log.Info("deliveries recovered that a crash had left", "delivery", e.Count)
	case mail.EventRelayDown:
		d.log.Warn("relay takes no mail", "relay", e.Relay, "err", mail.Words(e.Err))
	case mail.EventRelayLimit:
		d.log.Info("relay limits connections", "relay", e.Relay, "status", e.Count)
	case mail.EventConfigFault:
		d.log.Error("relay refuses how we are configured", "relay", e.Relay, "err", mail.Words(e.Err))
	case mail.EventHeld:
		d.log.Error("edition is held back", "edition", e.Delivery.EditionID, "err", mail.Words(e.Err))
	case mail.EventStore:
		d.log.Error("database failed while sending", "err", e.Err)
	default:
		d.log.Warn("delivery was not sent", "delivery", e.Delivery.ID, "relay", e.Relay, "status", string(e.Kind), "err", mail.Words(e.Err))
	}
}

// attempted logs one attempt. There may be thousands per second.
func (d *Daemon) attempted(e mail.Event) {
	level := slog.LevelDebug
	if e.Outcome.State == news.DeliveryRefused {
		level = slog.LevelInfo
	}
	if !d.log.Enabled(context.Background(), level) {
		return
	}
	said := e.Outcome.Reply
	if e.Outcome.Code != 0 {
		said = strings.TrimSpace(fmt.Sprint(e.Outcome.Code, " ", e.Outcome.Enhanced))
	}
	d.log.Log(context.Background(), level, "mail attempted", "delivery", e.Delivery.ID, "edition", e.Delivery.EditionID, "relay", e.Relay,
		"status", string(e.Outcome.State), "err", said, "took", e.Took)
}

func (d *Daemon) buildWeb() error {
	o := web.Options{
		Store: d.Store, Templates: d.templates, Links: d.Links, Log: d.log, Now: d.o.Now, Demo: d.o.Demo, Version: d.o.Version,
		Site: web.Site{
			Title: d.cfg.Site.Title, Description: d.cfg.Site.Description, Language: d.cfg.Site.Language, Rights: d.cfg.Site.Rights, Postal: d.cfg.Site.Postal,
		},
		Push:           source.NewPush(d.Store),
		Hint:           d.Watcher.Hint,
		TrustedProxies: networks(d.cfg.Web.TrustedProxies),
		FeedItems:      d.cfg.Feeds.Items, FeedSummaries: !d.cfg.Feeds.FullContent, FeedCacheBytes: int64(d.cfg.Feeds.CacheMB) << 20,
		Ready: d.Store.Ready,
	}
	if d.capture != nil {
		o.Mailbox = d.capture.Mailbox()
	}
	if path := d.cfg.Web.MailboxKeyFile; path != "" {
		b, err := os.ReadFile(d.cfg.path(path))
		if err != nil {
			return fmt.Errorf("read web.mailbox_key_file: %w", err)
		}
		o.MailboxKey = strings.TrimSpace(string(b))
	}
	var err error
	if o.Hooks, err = d.hooks(); err != nil {
		return err
	}
	d.web, err = web.New(o)
	return err
}

// SendDue sends every mail that is due now, as a running courier would, and
// returns what became of them.
func (d *Daemon) SendDue(ctx context.Context) (news.DeliveryTally, error) {
	tally, err := d.Courier.Once(ctx)
	if err != nil {
		return tally, err
	}
	return tally, d.Store.FinishEditions(ctx)
}

// Preview is the next edition as it would go out now.
type Preview struct {
	Note, HTML, Text string
	EML              []byte
}

// Preview renders what the list's next edition, or one subscriber's copy of it,
// would be. Nothing is stored.
func (d *Daemon) Preview(ctx context.Context, list, frequency, address string) (Preview, error) {
	spec := ""
	if address != "" {
		addr, err := news.ParseAddress("subscriber", address)
		if err != nil {
			return Preview{}, err
		}
		spec = addr.Spec
	}
	p, err := d.Editor.Preview(ctx, list, frequency, spec)
	if err != nil {
		return Preview{}, err
	}
	out := Preview{HTML: p.Mail.HTML, Text: p.Mail.Text}
	if !p.New {
		out.Note = "nothing is new for this edition, so nobody would be mailed; it shows the newest articles instead"
	}
	if len(p.Articles) == 0 {
		return Preview{Note: "no article matches this edition so far: look at a source first, or wait for news"}, nil
	}
	out.EML, err = d.message(ctx, list, spec, p)
	return out, err
}

// message builds the bytes that the preview's recipient would get.
func (d *Daemon) message(ctx context.Context, list, address string, p digest.Preview) ([]byte, error) {
	l, err := d.Store.ListByName(ctx, list)
	if err != nil {
		return nil, err
	}
	if address == "" {
		address = "reader@" + d.cfg.mailDomain()
	}
	return d.Courier.Preview(l, p.Variant, address, d.o.Now().UTC().Truncate(time.Second))
}
