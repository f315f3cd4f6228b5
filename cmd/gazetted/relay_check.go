package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/mail"
)

// Exit codes of relay test (sysexits.h).
const (
	exitNoUser      = 67 // the recipient was refused
	exitNoHost      = 68 // the name does not resolve
	exitUnavailable = 69 // no connection, or the relay is busy
	exitProtocol    = 76 // TLS, or a relay that does not speak SMTP
	exitNoPerm      = 77 // the login, or the sender, was refused
)

func (a *app) relayTest() *cobra.Command {
	to := ""
	c := &cobra.Command{
		Use: "test [NAME] [--to ADDR]", Short: "Talk to a relay and show each step; with --to send one mail", Args: cobra.MaximumNArgs(1),
		Long: `Connects to a relay as the daemon does, and shows each step: address, TLS version
and certificate, what it offers, login. With --to it sends one mail, signed as all
others are, and shows the relay's answer. NAME may be left out if there is one
relay. Neither a database nor a daemon is needed; pauses do not count.

It ends with 0 if all went well, 67 if the recipient was refused, 68 if the name
does not resolve, 69 if there is no connection or the relay is busy, 76 if TLS
fails or the other side speaks no SMTP, 77 if the login or the sender is refused,
and 1 otherwise.`,
		Example: `  gazetted relay test main
  gazetted relay test main --to me@example.org`,
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := a.loadConfig()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				if args = relayNames(cfg); len(args) != 1 {
					return &usageError{fmt.Errorf("give one of %s", strings.Join(args, ", ")), c.CommandPath()}
				}
			}
			return a.testRelay(c.Context(), cfg, args[0], to)
		},
	}
	c.Flags().StringVar(&to, "to", "", "send one mail to `ADDR`")
	return c
}

// testStep is a step for scripts.
type testStep struct {
	Step         string  `json:"step"`
	Detail       string  `json:"detail"`
	Milliseconds float64 `json:"ms"`
}

// testResult is the whole of it.
type testResult struct {
	Relay string     `json:"relay"`
	OK    bool       `json:"ok"`
	Steps []testStep `json:"steps"`
	Error string     `json:"error,omitempty"`
	Hint  string     `json:"hint,omitempty"`
	Exit  int        `json:"exit"`
}

func (a *app) testRelay(ctx context.Context, cfg daemon.Config, name, to string) error {
	result := testResult{Relay: name, Steps: []testStep{}}
	err := daemon.TestRelay(ctx, cfg, name, to, a.now, func(s mail.Step) {
		result.Steps = append(result.Steps, testStep{Step: s.Name, Detail: s.Detail, Milliseconds: float64(s.Took.Microseconds()) / 1000})
		if !a.json {
			fmt.Fprintf(a.stdout, "%-9s %7s  %s\n", s.Name, s.Took.Round(100*time.Microsecond), oneLine(s.Detail))
		}
	})
	if fault, ok := errors.AsType[*mail.ReplyError](err); ok {
		err = newRelayFault(cfg, name, fault)
	}
	if a.json {
		if err != nil {
			result.Error, result.Hint, result.Exit = err.Error(), hint(err), 1
			if coded, ok := errors.AsType[*relayFault](err); ok {
				result.Exit = coded.code
			}
		}
		result.OK = err == nil
		return errors.Join(a.printJSON(result), err)
	}
	if err != nil {
		return err
	}
	if to == "" {
		a.say("relay %s is well; --to ADDR would send one mail", name)
	} else {
		a.say("relay %s has taken a mail to %s: see whether it arrives", name, to)
	}
	return nil
}

// relayFault is what a test has come to, with what a person can do.
type relayFault struct {
	err  error
	code int
	hint string
}

func (f *relayFault) Error() string { return f.err.Error() }
func (f *relayFault) Unwrap() error { return f.err }

// ExitCode is what the process ends with.
func (f *relayFault) ExitCode() int { return f.code }

// Hint says what may help.
func (f *relayFault) Hint() string { return f.hint }

func newRelayFault(cfg daemon.Config, name string, err *mail.ReplyError) *relayFault {
	f := &relayFault{err: fmt.Errorf("relay %s: %w", name, err), code: 1}
	var r daemon.RelayConfig
	for _, x := range cfg.Mail.Relays {
		if x.RelayName() == name {
			r = x
		}
	}
	if err.Code == 0 {
		f.code, f.hint = unanswered(err, &r)
	} else {
		f.code, f.hint = answered(err, &r)
	}
	return f
}

// unanswered reads a fault that is no reply.
func unanswered(err *mail.ReplyError, r *daemon.RelayConfig) (code int, hint string) {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	var record tls.RecordHeaderError
	if code, hint = certificateFault(err); code != 0 {
		return code, hint
	}
	switch {
	case errors.As(err, &dns):
		return exitNoHost, "check mail.relay host, and whether this machine resolves other names"
	case errors.Is(err, syscall.ECONNREFUSED):
		return exitUnavailable, "nothing listens at that port: 587 is usual with tls = \"starttls\", 465 with \"tls\", 25 with \"none\""
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return exitUnavailable, "this machine has no way there: check its network and firewall"
	case errors.As(err, &record):
		return exitProtocol, "that port begins in plain text: set tls = \"starttls\""
	case errors.Is(err, mail.ErrNoStartTLS):
		return exitProtocol, "try tls = \"tls\" with port 465; \"none\" only on a network that you trust"
	case errors.Is(err, mail.ErrSecret):
		return 1, "check password_file or run password_command by hand"
	case err.Stage == mail.StageAuth:
		return exitNoPerm, "try another mechanism: mail.relay auth"
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		if r.TLS != string(mail.TLSImplicit) && r.Port == 465 {
			return exitProtocol, "port 465 waits for TLS from the first byte: set tls = \"tls\""
		}
		return exitUnavailable, "no answer in time: a firewall may drop it; many networks block port 25 (use 587 or 465)"
	default:
		return exitUnavailable, "the connection broke: is it an SMTP server, and does it want TLS (mail.relay tls)?"
	}
}

// certificateFault reads what is wrong with a certificate; 0: nothing.
func certificateFault(err error) (code int, hint string) {
	var unknown x509.UnknownAuthorityError
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var handshake *tls.CertificateVerificationError
	switch {
	case errors.As(err, &name):
		return exitProtocol, "the certificate is for another name: use that as mail.relay host"
	case errors.As(err, &unknown):
		return exitProtocol, "if the relay has an authority of its own, name its certificate in mail.relay ca_file"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return exitProtocol, "the relay's operator has to renew it; if not, check this machine's clock"
	case errors.As(err, &invalid), errors.As(err, &handshake):
		return exitProtocol, "the relay's operator has to mend its certificate"
	default:
		return 0, ""
	}
}

// answered reads a reply.
func answered(err *mail.ReplyError, r *daemon.RelayConfig) (code int, hint string) {
	switch {
	case err.Code == 504 && err.Stage == mail.StageAuth:
		return exitNoPerm, "set mail.relay auth to one that the relay offers, or leave username empty"
	case err.Code == 535 && r.Auth == string(mail.AuthXOAuth2):
		return exitNoPerm, "the token may have expired: see password_command"
	case err.Code == 534, err.Code == 535, err.Stage == mail.StageAuth:
		return exitNoPerm, "check username and password_file; some providers want a password made for applications"
	case err.Code == 530 && r.Username == "":
		return exitNoPerm, "the relay wants a login: set username and password_file"
	case err.Code == 530:
		return exitNoPerm, "the relay wants a login or TLS that this configuration does not bring"
	case err.Code == 421, err.Stage == mail.StageConnect, err.Stage == mail.StageHello:
		return exitUnavailable, "the relay is busy, has enough connections, or does not want this machine: its words say which"
	case err.Code < 500:
		return exitUnavailable, "the relay asks to try later, which the daemon does"
	case err.Stage == mail.StageMail:
		return exitNoPerm, "the relay does not take mail.from as a sender: use an address that it knows, or ask its operator"
	case err.Stage == mail.StageRcpt && strings.HasPrefix(err.Enhanced, "5.7"):
		return exitNoUser, "the relay does not pass mail on for this machine: it may want a login, or our address in its list"
	case err.Stage == mail.StageRcpt:
		return exitNoUser, "the relay does not take that recipient: try another --to"
	default:
		return 1, "the relay refused the mail itself: its words say why"
	}
}
