package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"gazetted/internal/news"
)

// TLSMode says how the connection to a relay is secured.
type TLSMode string

// The modes. Where TLS is asked for, the certificate is checked and nothing is
// sent without it: there is no fallback (RFC 8314 §4.1).
const (
	TLSNone     TLSMode = "none"     // plain text; for a relay on the same machine or network
	TLSStart    TLSMode = "starttls" // RFC 3207; usual on port 587
	TLSImplicit TLSMode = "tls"      // from the first byte (RFC 8314 §3.3); usual on port 465
)

// SMTPOptions describes one relay.
type SMTPOptions struct {
	Name string // in rows, logs and metrics; empty: the host
	Host string
	Port int // 0: 25, 587 or 465 by TLS
	TLS  TLSMode
	// RootCAs verifies the relay's certificate; nil: the system's.
	RootCAs *x509.CertPool
	// ServerName is the name in the certificate; empty: Host.
	ServerName string

	// Username empty: no login. Login needs TLS.
	Username string
	Password string
	// Secret is asked for the password, or the token, before each login; nil:
	// Password. Its error should not tell what it knows.
	Secret    func(ctx context.Context) (string, error)
	Mechanism AuthMechanism

	// HELO is our own name (RFC 5321 §4.1.1.1); needed.
	HELO string

	// DialTimeout is for connecting and logging in; 0: 30 s. CommandTimeout is
	// for each reply up to DATA; 0: 1 min (RFC 5321 §4.5.3.2 allows 5).
	// MessageTimeout is for everything before the dot; 0: 4 min. DotTimeout is
	// for the reply to the dot; 0: 10 min (§4.5.3.2.6): giving up earlier makes
	// a copy more likely.
	DialTimeout, CommandTimeout, MessageTimeout, DotTimeout time.Duration

	// Now is the clock that certificates are checked by; nil: time.Now.
	Now func() time.Time
	// Dial replaces the network in tests.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// DefaultDotTimeout is how long a relay may take to say whether it took a
// message (RFC 5321 §4.5.3.2.6).
const DefaultDotTimeout = 10 * time.Minute

// SMTP is a relay that is spoken to over the network.
type SMTP struct{ o SMTPOptions }

// NewSMTP checks o. A fault is a *news.FieldError; it never holds the password.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	if o.Host == "" || strings.ContainsAny(o.Host, " \r\n\t/") {
		return nil, &news.FieldError{Field: "relay host", Value: o.Host, Want: "a host name such as smtp.example.org"}
	}
	if DefaultPort(o.TLS) == 0 {
		return nil, &news.FieldError{Field: "relay tls", Value: string(o.TLS), Want: "none, starttls or tls"}
	}
	if o.Port == 0 {
		o.Port = DefaultPort(o.TLS)
	}
	if o.Port < 1 || o.Port > 65535 {
		return nil, &news.FieldError{Field: "relay port", Value: strconv.Itoa(o.Port), Want: "1 to 65535"}
	}
	if o.HELO == "" || strings.Trim(o.HELO, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.:[]") != "" {
		return nil, &news.FieldError{Field: "relay helo", Value: o.HELO, Want: "this machine's full host name"}
	}
	if o.Username != "" && o.TLS == TLSNone {
		return nil, &news.FieldError{Field: "relay username", Value: o.Username, Want: "tls = \"starttls\" or \"tls\": a password never leaves in plain text"}
	}
	if o.Mechanism != AuthAuto && !slices.Contains(AuthMechanisms(), o.Mechanism) {
		return nil, &news.FieldError{Field: "relay auth", Value: string(o.Mechanism), Want: "one of " + AuthNames() + ", or nothing"}
	}
	if o.Name == "" {
		o.Name = o.Host
	}
	if o.ServerName == "" {
		o.ServerName = o.Host
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{}).DialContext
	}
	setDefault(&o.DialTimeout, 30*time.Second)
	setDefault(&o.CommandTimeout, time.Minute)
	setDefault(&o.MessageTimeout, 4*time.Minute)
	setDefault(&o.DotTimeout, DefaultDotTimeout)
	return &SMTP{o: o}, nil
}

// String names the relay and keeps its password out of whatever prints it.
func (o SMTPOptions) String() string {
	return fmt.Sprintf("%s (%s:%d, tls %s, user %q)", o.Name, o.Host, o.Port, o.TLS, o.Username)
}

// GoString is String.
func (o SMTPOptions) GoString() string { return o.String() }

// Name returns the relay's name.
func (t *SMTP) Name() string { return t.o.Name }

// Open connects, reads the greeting, says EHLO, secures the connection and
// logs in. It uses go-mail's smtp.Client without its Client around it, whose
// dialing hides at which step a relay refused and leaks the connection then.
func (t *SMTP) Open(ctx context.Context) (Session, error) {
	s, err := t.open(ctx, func(Step) {}, nil)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// open tells its steps; banner, if it is not nil, hears the greeting.
func (t *SMTP) open(ctx context.Context, tell func(Step), banner *bannerConn) (*smtpSession, error) {
	dialing, cancel := context.WithTimeout(ctx, t.o.DialTimeout)
	defer cancel()
	address := net.JoinHostPort(t.o.Host, strconv.Itoa(t.o.Port))
	began := time.Now()
	plain, err := t.o.Dial(dialing, "tcp", address)
	if err != nil {
		return nil, &ReplyError{Stage: StageConnect, Err: err}
	}
	tell(Step{Name: StepConnect, Detail: plain.RemoteAddr().String(), Took: time.Since(began)})
	conn := &guardedConn{Conn: plain}
	if banner != nil {
		banner.Conn, conn.Conn = plain, banner
	}
	conn.within(dialing, t.o.DialTimeout)
	defer conn.release()
	s := &smtpSession{o: &t.o, conn: conn, usable: true}
	if err := s.greet(dialing, t.tlsConfig(), tell); err != nil {
		_ = conn.Close()
		return nil, err
	}
	s.pipelining, _ = s.client.Extension("PIPELINING")
	s.utf8, _ = s.client.Extension("SMTPUTF8")
	var limit string
	if s.size, limit = s.client.Extension("SIZE"); s.size {
		if n, err := strconv.Atoi(limit); err == nil && n > 0 {
			s.maxSize = n
		}
	}
	return s, nil
}

func (t *SMTP) tlsConfig() *tls.Config {
	return &tls.Config{ServerName: t.o.ServerName, RootCAs: t.o.RootCAs, MinVersion: tls.VersionTLS12, Time: t.o.Now}
}

// greet runs the steps before the first message.
func (s *smtpSession) greet(ctx context.Context, config *tls.Config, tell func(Step)) error {
	began := time.Now()
	done := func(name, detail string) {
		tell(Step{Name: name, Detail: detail, Took: time.Since(began)})
		began = time.Now()
	}
	var wire net.Conn = s.conn
	if s.o.TLS == TLSImplicit {
		secure := tls.Client(s.conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return &ReplyError{Stage: StageConnect, Err: err}
		}
		wire = secure
		done(StepTLS, describeTLS(secure.ConnectionState()))
	}
	client, err := smtp.NewClient(wire, s.o.Host)
	if err != nil {
		return replyError(StageConnect, err)
	}
	s.client = client
	done(StepGreeting, "")
	if err := client.Hello(s.o.HELO); err != nil {
		return replyError(StageHello, err)
	}
	done(StepHello, describeOffer(client))
	if s.o.TLS == TLSStart {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return &ReplyError{Stage: StageHello, Err: ErrNoStartTLS}
		}
		if err := client.StartTLS(config); err != nil {
			return replyError(StageHello, err)
		}
		if state, ok := client.TLSConnectionState(); ok {
			done(StepTLS, describeTLS(state))
		}
		done(StepHello, describeOffer(client))
	}
	s.auth, err = s.login(ctx)
	if err == nil && s.auth != "" {
		done(StepAuth, fmt.Sprintf("%s as %s", s.auth, s.o.Username))
	}
	return err
}

// replyError turns what textproto says into ours.
func replyError(stage Stage, err error) *ReplyError {
	e, ok := errors.AsType[*textproto.Error](err)
	if !ok {
		return &ReplyError{Stage: stage, Err: err}
	}
	enhanced, text := cutEnhanced(e.Code, cleanLine(e.Msg, 300))
	return &ReplyError{Stage: stage, Code: e.Code, Enhanced: enhanced, Text: text}
}

// DefaultPort is the usual port of a mode.
func DefaultPort(mode TLSMode) int {
	return map[TLSMode]int{TLSNone: 25, TLSStart: 587, TLSImplicit: 465}[mode]
}
