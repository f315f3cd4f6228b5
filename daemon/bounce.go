package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"gazetted/internal/mail"
	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/web"
)

// bouncePolicy is when soft bounces are enough.
func (c *Config) bouncePolicy() news.BouncePolicy {
	return news.BouncePolicy{SoftLimit: c.Bounce.SoftLimit, SoftOver: time.Duration(c.Bounce.SoftDays) * 24 * time.Hour}
}

// signedAddresses makes the envelope senders and the addresses to unsubscribe
// by; nil where none is configured.
func (d *Daemon) signedAddresses() (returnPath, unsubscribe func(news.Delivery) string, err error) {
	if base := d.cfg.Mail.BounceAddress; base != "" {
		a, err := mail.NewSignedAddress("mail.bounce_address", base, news.PurposeBounce, d.Links.Signer())
		if err != nil {
			return nil, nil, err
		}
		returnPath = func(x news.Delivery) string { return a.For(x.ID) }
	}
	if base := d.cfg.Mail.UnsubscribeAddress; base != "" {
		a, err := mail.NewSignedAddress("mail.unsubscribe_address", base, news.PurposeMailUnsubscribe, d.Links.Signer())
		if err != nil {
			return nil, nil, err
		}
		unsubscribe = func(x news.Delivery) string { return a.For(x.SubscriptionID) }
	}
	return returnPath, unsubscribe, nil
}

// buildBounces makes what reads mail that comes back. Its boxes are opened when
// it runs: commands have no use for them.
func (d *Daemon) buildBounces() (err error) {
	d.Bounces, err = mail.NewBounces(mail.BounceOptions{
		Store: d.Store, Signer: d.Links.Signer(), Domain: d.cfg.mailDomain(), Now: d.o.Now, Events: d.cameBack,
	})
	return err
}

// collectBounces looks into the configured boxes until ctx ends.
func (d *Daemon) collectBounces(ctx context.Context) (err error) {
	var boxes []mail.Box
	if dir := d.cfg.Bounce.Maildir; dir != "" {
		box, err := mail.OpenMaildir(d.cfg.path(dir))
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, box.Close()) }()
		boxes = append(boxes, box)
	}
	if b := d.cfg.Bounce; b.IMAPHost != "" {
		password, err := d.secretFile("bounce.imap_password_file", b.IMAPPassword)
		if err != nil {
			return err
		}
		box, err := mail.NewIMAP(mail.IMAPOptions{
			Host: b.IMAPHost, Port: b.IMAPPort, TLS: mail.TLSMode(b.IMAPTLS), Username: b.IMAPUsername, Password: password, Folder: b.IMAPFolder,
		})
		if err != nil {
			return err
		}
		boxes = append(boxes, box)
	}
	if len(boxes) == 0 {
		return nil
	}
	return d.Bounces.Run(ctx, boxes, time.Duration(d.cfg.Bounce.Poll))
}

// cameBack logs what was collected. A stranger's words stay out of the log.
func (d *Daemon) cameBack(e mail.BounceEvent) {
	b := e.Received.Bounce
	switch {
	case e.Err != nil:
		d.log.Warn("bounces could not be collected", "path", e.Box, "err", e.Err)
	case e.Received.Ignored != mail.IgnoredNot:
		d.log.Debug("bounce ignored", "path", e.Box, "status", string(e.Received.Ignored))
	case e.Received.Acted:
		d.log.Info("bounce acted upon", "path", e.Box, "delivery", b.DeliveryID, "status", string(b.Kind))
	default:
		d.log.Debug("bounce recorded", "path", e.Box, "delivery", b.DeliveryID, "status", string(b.Kind))
	}
}

// hooks is what the web server needs of mail providers.
func (d *Daemon) hooks() (web.Hooks, error) {
	c := d.cfg.Hooks
	h := web.Hooks{SESTopics: c.SESTopics, Delivery: d.providersMail}
	for _, s := range []struct {
		key, path string
		into      *string
	}{
		{"hooks.postmark_password_file", c.PostmarkFile, &h.Postmark}, {"hooks.sendgrid_key_file", c.SendGridKeyFile, &h.SendGrid},
		{"hooks.mailgun_key_file", c.MailgunKeyFile, &h.Mailgun},
	} {
		if s.path == "" {
			continue
		}
		var err error
		if *s.into, err = d.secretFile(s.key, s.path); err != nil {
			return h, err
		}
		// An empty secret would be one that everybody knows.
		if *s.into == "" {
			return h, &news.FieldError{Field: s.key, Value: s.path, Want: "a file with the secret in its first line"}
		}
	}
	if len(c.SESTopics) == 0 {
		return h, nil
	}
	// A client of its own: what an operator allows for sources is not meant for this.
	client, err := source.NewClient(source.ClientOptions{Version: d.o.Version, URL: d.siteURL(), Timeout: 15 * time.Second, MaxBody: 64 << 10, Now: d.o.Now})
	if err != nil {
		return h, err
	}
	h.Fetch = func(ctx context.Context, url string) ([]byte, error) {
		a, err := client.Get(ctx, url, "")
		if err != nil {
			return nil, err
		}
		if a.URL != url { // what was checked is the URL that was asked for
			return nil, errors.New("the answer came from another place")
		}
		return a.Body, nil
	}
	return h, nil
}

// providersMail finds the mail that a provider reports by what only our mails carry.
func (d *Daemon) providersMail(ctx context.Context, envelopeSender, messageID, address string) (int64, error) {
	if id := d.Bounces.DeliveryOf(envelopeSender); id != 0 {
		return id, nil
	}
	return d.Bounces.Find(ctx, messageID, address)
}

// secretFile reads the first line of a file; key names it in errors.
func (d *Daemon) secretFile(key, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(d.cfg.path(path))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", key, err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line), nil
}
