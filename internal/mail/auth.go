package mail

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"slices"
	"strings"

	"github.com/wneessen/go-mail/smtp"
)

// AuthMechanism is how to log in (RFC 4954).
type AuthMechanism string

// The mechanisms that go-mail speaks and that need a name and a secret only.
const (
	AuthAuto        AuthMechanism = ""              // the first of automatic that the relay offers
	AuthSCRAMSHA256 AuthMechanism = "SCRAM-SHA-256" // RFC 7677
	AuthSCRAMSHA1   AuthMechanism = "SCRAM-SHA-1"   // RFC 5802
	AuthCRAMMD5     AuthMechanism = "CRAM-MD5"      // RFC 2195
	AuthPlain       AuthMechanism = "PLAIN"         // RFC 4616
	AuthLogin       AuthMechanism = "LOGIN"         // never standardised
	// AuthXOAuth2 takes a token that expires in the password's place. Google and
	// Microsoft document it.
	AuthXOAuth2 AuthMechanism = "XOAUTH2"
	// The PLUS variants bind the login to the TLS connection (RFC 5802 §6, RFC
	// 9266), which fails through whatever ends TLS before the relay does.
	AuthSCRAMSHA256Plus AuthMechanism = "SCRAM-SHA-256-PLUS"
	AuthSCRAMSHA1Plus   AuthMechanism = "SCRAM-SHA-1-PLUS"
)

// AuthMechanisms lists them, AuthAuto not.
func AuthMechanisms() []AuthMechanism {
	return append(automatic(), AuthSCRAMSHA256Plus, AuthSCRAMSHA1Plus, AuthXOAuth2)
}

// AuthNames lists them for people.
func AuthNames() string {
	names := []string{}
	for _, m := range AuthMechanisms() {
		names = append(names, string(m))
	}
	return strings.Join(names, ", ")
}

// automatic are those that need not be asked for, the best first. XOAUTH2 is
// not among them: a relay that offers it beside PLAIN wants a token there, and
// a password is none. Nor are the PLUS variants: see above.
func automatic() []AuthMechanism {
	return []AuthMechanism{AuthSCRAMSHA256, AuthSCRAMSHA1, AuthCRAMMD5, AuthPlain, AuthLogin}
}

// choose takes what was wanted, if the relay offers it.
func choose(wanted AuthMechanism, offered []string) (AuthMechanism, bool) {
	candidates := automatic()
	if wanted != AuthAuto {
		candidates = []AuthMechanism{wanted}
	}
	for _, m := range candidates {
		if slices.Contains(offered, string(m)) {
			return m, true
		}
	}
	return "", false
}

// Faults before the first message that a person can mend. They come within a
// *ReplyError without a code.
var (
	ErrNoStartTLS = errors.New("the relay does not offer STARTTLS")
	ErrSecret     = errors.New("the password cannot be had")
)

// login authenticates and returns how. What the relay says about a failed login
// is not passed on: some repeat what they were sent.
func (s *smtpSession) login(ctx context.Context) (AuthMechanism, error) {
	if s.o.Username == "" {
		return "", nil
	}
	if _, ok := s.client.TLSConnectionState(); !ok {
		return "", &ReplyError{Stage: StageAuth, Code: 538, Text: "login needs TLS"} // RFC 4954 §6
	}
	_, offered := s.client.Extension("AUTH")
	mechanism, ok := choose(s.o.Mechanism, strings.Fields(strings.ToUpper(offered)))
	if !ok {
		return "", &ReplyError{Stage: StageAuth, Code: 504, Text: fmt.Sprintf("the relay offers no login that we can do, only: %s", cleanLine(offered, 100))}
	}
	secret := s.o.Password
	if s.o.Secret != nil {
		var err error
		if secret, err = s.o.Secret(ctx); err != nil {
			return "", &ReplyError{Stage: StageAuth, Err: fmt.Errorf("%w: %w", ErrSecret, err)}
		}
	}
	err := s.client.Auth(s.authenticator(mechanism, secret))
	if err == nil {
		return mechanism, nil
	}
	if e, ok := errors.AsType[*textproto.Error](err); ok {
		enhanced, _ := cutEnhanced(e.Code, e.Msg)
		return "", &ReplyError{Stage: StageAuth, Code: e.Code, Enhanced: enhanced, Text: "login refused"}
	}
	if e, ok := errors.AsType[net.Error](err); ok {
		return "", &ReplyError{Stage: StageAuth, Err: e}
	}
	return "", &ReplyError{Stage: StageAuth, Err: errors.New("login failed")}
}

// authenticator is go-mail's part of the login.
func (s *smtpSession) authenticator(mechanism AuthMechanism, secret string) smtp.Auth {
	state, _ := s.client.TLSConnectionState()
	switch mechanism {
	case AuthSCRAMSHA256Plus:
		return smtp.ScramSHA256PlusAuth(s.o.Username, secret, &state)
	case AuthSCRAMSHA1Plus:
		return smtp.ScramSHA1PlusAuth(s.o.Username, secret, &state)
	case AuthSCRAMSHA256:
		return smtp.ScramSHA256Auth(s.o.Username, secret)
	case AuthSCRAMSHA1:
		return smtp.ScramSHA1Auth(s.o.Username, secret)
	case AuthCRAMMD5:
		return smtp.CRAMMD5Auth(s.o.Username, secret)
	case AuthXOAuth2:
		return smtp.XOAuth2Auth(s.o.Username, secret)
	case AuthLogin:
		return smtp.LoginAuth(s.o.Username, secret, s.o.Host, false)
	default:
		return smtp.PlainAuth("", s.o.Username, secret, s.o.Host, false)
	}
}
