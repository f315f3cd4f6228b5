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

// AuthMechanism is how to log in.
type AuthMechanism string

// The mechanisms that go-mail speaks and that need a name and a password only.
// AuthAuto takes the first of this order that the relay offers.
const (
	AuthAuto        AuthMechanism = ""
	AuthSCRAMSHA256 AuthMechanism = "SCRAM-SHA-256" // RFC 7677
	AuthSCRAMSHA1   AuthMechanism = "SCRAM-SHA-1"   // RFC 5802
	AuthCRAMMD5     AuthMechanism = "CRAM-MD5"      // RFC 2195
	AuthPlain       AuthMechanism = "PLAIN"         // RFC 4616
	AuthLogin       AuthMechanism = "LOGIN"         // never standardised
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
	Username  string
	Password  string
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

// SMTP is a relay that is spoken to over the network.
type SMTP struct{ o SMTPOptions }

// NewSMTP checks o. A fault is a *news.FieldError; it never holds the password.
func NewSMTP(o SMTPOptions) (*SMTP, error) {
	if o.Host == "" || strings.ContainsAny(o.Host, " \r\n\t/") {
		return nil, &news.FieldError{Field: "relay host", Value: o.Host, Want: "a host name such as smtp.example.org"}
	}
	ports := map[TLSMode]int{TLSNone: 25, TLSStart: 587, TLSImplicit: 465}
	if ports[o.TLS] == 0 {
		return nil, &news.FieldError{Field: "relay tls", Value: string(o.TLS), Want: "none, starttls or tls"}
	}
	if o.Port == 0 {
		o.Port = ports[o.TLS]
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
	if o.Mechanism != AuthAuto && !slices.Contains(mechanisms(), o.Mechanism) {
		return nil, &news.FieldError{Field: "relay auth", Value: string(o.Mechanism), Want: "PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1, SCRAM-SHA-256, or nothing"}
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
	setDefault(&o.DotTimeout, 10*time.Minute)
	return &SMTP{o: o}, nil
}

// String names the relay and keeps its password out of whatever prints it.
func (o SMTPOptions) String() string {
	return fmt.Sprintf("%s (%s:%d, tls %s, user %q)", o.Name, o.Host, o.Port, o.TLS, o.Username)
}

// GoString is String.
func (o SMTPOptions) GoString() string { return o.String() }

func mechanisms() []AuthMechanism {
	return []AuthMechanism{AuthSCRAMSHA256, AuthSCRAMSHA1, AuthCRAMMD5, AuthPlain, AuthLogin}
}

// Name returns the relay's name.
func (t *SMTP) Name() string { return t.o.Name }

// Open connects, reads the greeting, says EHLO, secures the connection and
// logs in. It uses go-mail's smtp.Client without its Client around it, whose
// dialing hides at which step a relay refused and leaks the connection then.
func (t *SMTP) Open(ctx context.Context) (Session, error) {
	dialing, cancel := context.WithTimeout(ctx, t.o.DialTimeout)
	defer cancel()
	plain, err := t.o.Dial(dialing, "tcp", net.JoinHostPort(t.o.Host, strconv.Itoa(t.o.Port)))
	if err != nil {
		return nil, &ReplyError{Stage: StageConnect, Err: err}
	}
	conn := &guardedConn{Conn: plain}
	release := conn.within(dialing, t.o.DialTimeout)
	defer release()
	client, err := t.greet(dialing, conn)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	s := &smtpSession{o: &t.o, conn: conn, client: client, usable: true}
	s.pipelining, _ = client.Extension("PIPELINING")
	s.utf8, _ = client.Extension("SMTPUTF8")
	var limit string
	if s.size, limit = client.Extension("SIZE"); s.size {
		if n, err := strconv.Atoi(limit); err == nil && n > 0 {
			s.maxSize = n
		}
	}
	return s, nil
}

// greet runs the steps before the first message.
func (t *SMTP) greet(ctx context.Context, conn *guardedConn) (*smtp.Client, error) {
	config := &tls.Config{ServerName: t.o.ServerName, RootCAs: t.o.RootCAs, MinVersion: tls.VersionTLS12, Time: t.o.Now}
	var wire net.Conn = conn
	if t.o.TLS == TLSImplicit {
		secure := tls.Client(conn, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			return nil, &ReplyError{Stage: StageConnect, Err: err}
		}
		wire = secure
	}
	client, err := smtp.NewClient(wire, t.o.Host)
	if err != nil {
		return nil, replyError(StageConnect, err)
	}
	if err := client.Hello(t.o.HELO); err != nil {
		return nil, replyError(StageHello, err)
	}
	if t.o.TLS == TLSStart {
		if ok, _ := client.Extension("STARTTLS"); !ok {
			return nil, &ReplyError{Stage: StageHello, Err: errors.New("the relay does not offer STARTTLS")}
		}
		if err := client.StartTLS(config); err != nil {
			return nil, replyError(StageHello, err)
		}
	}
	return client, t.login(client)
}

// login authenticates. What the relay says about a failed login is not passed
// on: some repeat what they were sent.
func (t *SMTP) login(client *smtp.Client) error {
	if t.o.Username == "" {
		return nil
	}
	if _, ok := client.TLSConnectionState(); !ok {
		return &ReplyError{Stage: StageAuth, Code: 538, Text: "login needs TLS"} // RFC 4954 §6
	}
	_, offered := client.Extension("AUTH")
	mechanism, ok := choose(t.o.Mechanism, strings.Fields(strings.ToUpper(offered)))
	if !ok {
		return &ReplyError{Stage: StageAuth, Code: 504, Text: fmt.Sprintf("the relay offers no login that we can do: %s", cleanLine(offered, 100))}
	}
	var auth smtp.Auth
	switch mechanism {
	case AuthSCRAMSHA256:
		auth = smtp.ScramSHA256Auth(t.o.Username, t.o.Password)
	case AuthSCRAMSHA1:
		auth = smtp.ScramSHA1Auth(t.o.Username, t.o.Password)
	case AuthCRAMMD5:
		auth = smtp.CRAMMD5Auth(t.o.Username, t.o.Password)
	case AuthLogin:
		auth = smtp.LoginAuth(t.o.Username, t.o.Password, t.o.Host, false)
	default:
		auth = smtp.PlainAuth("", t.o.Username, t.o.Password, t.o.Host, false)
	}
	err := client.Auth(auth)
	if err == nil {
		return nil
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		enhanced, _ := cutEnhanced(e.Code, e.Msg)
		return &ReplyError{Stage: StageAuth, Code: e.Code, Enhanced: enhanced, Text: "login refused"}
	}
	if e, ok := errors.AsType[net.Error](err); ok {
		return &ReplyError{Stage: StageAuth, Err: e}
	}
	return &ReplyError{Stage: StageAuth, Err: errors.New("login failed")}
}

func choose(wanted AuthMechanism, offered []string) (AuthMechanism, bool) {
	for _, m := range mechanisms() {
		if (wanted == AuthAuto || wanted == m) && slices.Contains(offered, string(m)) {
			return m, true
		}
	}
	return "", false
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
