package daemon

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"gazetted/internal/mail"
	"gazetted/internal/news"
)

// relays are the configured SMTP servers, or the folder that captures.
func (d *Daemon) relays() ([]mail.Relay, error) {
	if d.cfg.Mail.Transport == "capture" {
		var err error
		if d.capture, err = mail.NewCapture(d.cfg.path(d.cfg.Mail.CaptureDir), d.cfg.Mail.CaptureMax, d.o.Now); err != nil {
			return nil, err
		}
		return []mail.Relay{{Transport: d.capture, Connections: 2, MaxMessages: 1 << 30}}, nil
	}
	out := make([]mail.Relay, 0, len(d.cfg.Mail.Relays))
	for _, r := range d.cfg.Mail.Relays {
		t, err := d.cfg.smtp(r, d.o.Now)
		if err != nil {
			return nil, err
		}
		out = append(out, mail.Relay{
			Transport: t, Weight: r.Weight, Rate: r.Rate, Connections: r.Connections, MaxMessages: r.MaxMessages, IdleLimit: time.Duration(r.Idle),
			DomainRate: r.DomainRate, DomainConnections: r.DomainConnections,
		})
	}
	return out, nil
}

// smtp makes the way to one relay.
func (c *Config) smtp(r RelayConfig, now func() time.Time) (*mail.SMTP, error) {
	o := mail.SMTPOptions{
		Name: r.RelayName(), Host: r.Host, Port: r.Port, TLS: mail.TLSMode(r.TLS), Username: r.Username, Mechanism: mail.AuthMechanism(r.Auth),
		HELO: helo(c.mailDomain()), DotTimeout: time.Duration(r.DotTimeout), Now: now,
	}
	switch {
	case len(r.PasswordCommand) > 0:
		o.Secret = func(ctx context.Context) (string, error) { return secretOf(ctx, c.Dir, r.PasswordCommand) }
	case r.PasswordFile != "":
		// Read now, so that a missing file is known at the start, and before each
		// login: a token may have been renewed, a password changed.
		read := func() (string, error) { return firstLine(c.path(r.PasswordFile)) }
		if _, err := read(); err != nil {
			return nil, fmt.Errorf("read password of relay %s: %w", r.RelayName(), err)
		}
		o.Secret = func(context.Context) (string, error) { return read() }
	}
	if r.CAFile != "" {
		pem, err := os.ReadFile(c.path(r.CAFile))
		if err != nil {
			return nil, fmt.Errorf("read ca_file of relay %s: %w", r.RelayName(), err)
		}
		if o.RootCAs = x509.NewCertPool(); !o.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &news.FieldError{Field: "mail.relay ca_file", Value: r.CAFile, Want: "a PEM file with certificates"}
		}
	}
	return mail.NewSMTP(o)
}

// RelayName is what the relay is called in logs and tables.
func (r *RelayConfig) RelayName() string { return cmp.Or(r.Name, r.Host) }

// helo is our name in SMTP: this machine's if it is a full one.
func helo(domain string) string {
	if host, err := os.Hostname(); err == nil && strings.Contains(host, ".") {
		return host
	}
	return domain
}

// firstLine reads a secret.
func firstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimRight(line, "\r"), nil
}

// Bounds of a command that prints a secret.
const (
	secretWithin = 20 * time.Second
	maxSecret    = 64 << 10
)

// secretOf runs a command, without a shell, and takes the first line that it
// prints. What it prints besides is shown to nobody: it may be a secret.
func secretOf(ctx context.Context, dir string, command []string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, secretWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, command[0], command[1:]...) //nolint:gosec // the operator's own configuration
	cmd.Dir, cmd.WaitDelay = dir, time.Second
	out, err := cmd.Output()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %s", secretWithin)
	}
	if err != nil {
		return "", fmt.Errorf("run password_command: %w", err)
	}
	line, _, _ := bytes.Cut(out, []byte("\n"))
	if line = bytes.TrimRight(line, "\r"); len(line) == 0 || len(line) > maxSecret {
		return "", errors.New("run password_command: it printed nothing")
	}
	return string(line), nil
}

// ErrNoRelay says that the configuration has no relay of that name.
var ErrNoRelay = errors.New("no such relay")

// TestRelay has a conversation with one relay of the configuration, and sends a
// mail if to is an address. It needs no database. tell is called after each step.
func TestRelay(ctx context.Context, cfg Config, name, to string, now func() time.Time, tell func(mail.Step)) error {
	if cfg.Mail.Transport != "smtp" {
		return &news.FieldError{Field: "mail.transport", Value: cfg.Mail.Transport, Want: "smtp: captured mails meet no relay"}
	}
	i := slices.IndexFunc(cfg.Mail.Relays, func(r RelayConfig) bool { return r.RelayName() == name })
	if i < 0 {
		return fmt.Errorf("relay %s: %w", name, ErrNoRelay)
	}
	t, err := cfg.smtp(cfg.Mail.Relays[i], now)
	if err != nil {
		return err
	}
	if to == "" {
		return t.Probe(ctx, nil, tell)
	}
	m := &mail.TestMail{From: cfg.Mail.From, To: to, Date: now().UTC().Truncate(time.Second)}
	if m.DKIM, err = readDKIM(&cfg, os.Getenv("CREDENTIALS_DIRECTORY")); err != nil {
		return err
	}
	id := make([]byte, 12)
	_, _ = rand.Read(id) // never fails
	m.ID = hex.EncodeToString(id)
	return t.Probe(ctx, m, tell)
}
