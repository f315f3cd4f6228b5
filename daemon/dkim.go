package daemon

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"gazetted/internal/mail"
	"gazetted/internal/news"
)

// readDKIM reads the keys that sign mail and tries them; nil if there are none.
// credentials is the folder of systemd's LoadCredential, if it set one.
func readDKIM(cfg *Config, credentials string) (*mail.DKIM, error) {
	if len(cfg.Mail.DKIM) == 0 {
		return nil, nil
	}
	keys := make([]mail.DKIMKey, 0, len(cfg.Mail.DKIM))
	for i, c := range cfg.Mail.DKIM {
		key, err := mail.ReadDKIMKey(cfg.path(c.KeyFile), credentials)
		if err != nil {
			return nil, dkimFault(i, err)
		}
		k := mail.DKIMKey{Domain: c.Domain, Selector: c.Selector, Key: key}
		if _, err := mail.NewDKIM([]mail.DKIMKey{k}); err != nil {
			return nil, dkimFault(i, err)
		}
		keys = append(keys, k)
	}
	return mail.NewDKIM(keys)
}

// dkimFault names the key of the configuration.
func dkimFault(i int, err error) error {
	section := numbered("mail.dkim", i)
	if e, ok := errors.AsType[*news.FieldError](err); ok {
		return &news.FieldError{Field: section + "." + e.Field, Value: e.Value, Want: e.Want}
	}
	return fmt.Errorf("%s: %w", section, err)
}

// checkDKIM warns of signatures that no receiver can verify. It is only a
// warning: this machine may see other names than the world does, or none yet.
func (d *Daemon) checkDKIM(ctx context.Context) {
	if d.dkim == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for _, err := range d.dkim.CheckDNS(ctx, net.DefaultResolver.LookupTXT) {
		if ctx.Err() == nil {
			d.log.Warn("published DKIM key does not fit", "err", err)
		}
	}
}
