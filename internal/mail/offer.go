package mail

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"gazetted/internal/news"
)

// Step is one step of a conversation with a relay, for people who look on.
type Step struct {
	Name   string
	Detail string
	Took   time.Duration
}

// The steps, in their order.
const (
	StepResolve  = "resolve"
	StepConnect  = "connect"
	StepTLS      = "tls"
	StepGreeting = "greeting"
	StepHello    = "ehlo"
	StepAuth     = "auth"
	StepMail     = "mail"
	StepDot      = "taken"
)

// extensions are those that are looked for in a reply to EHLO: smtp.Client
// keeps the list to itself.
func extensions() []string {
	return []string{"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "STARTTLS", "AUTH", "ENHANCEDSTATUSCODES", "DSN", "CHUNKING", "LIMITS", "REQUIRETLS"}
}

// offers lists what the relay offered last, as "NAME parameters".
func offers(c *smtp.Client) []string {
	out := []string{}
	for _, name := range extensions() {
		if ok, params := c.Extension(name); ok {
			out = append(out, cleanLine(name+" "+params, 100))
		}
	}
	return out
}

// describeOffer is the reply to EHLO for people.
func describeOffer(c *smtp.Client) string {
	return cleanLine(c.HelloResponse(), 100) + " offers " + strings.Join(offers(c), ", ")
}

// Offer is what the relay said of itself when this session began.
func (s *smtpSession) Offer() news.RelayOffer {
	o := news.RelayOffer{Name: cleanLine(s.client.HelloResponse(), 100), Extensions: offers(s.client), Auth: string(s.auth)}
	if s.o.TLS == TLSStart { // it is not offered within TLS (RFC 3207 §4.2)
		o.Extensions = append(o.Extensions, "STARTTLS")
	}
	if state, ok := s.client.TLSConnectionState(); ok {
		o.TLS = tls.VersionName(state.Version) + " " + tls.CipherSuiteName(state.CipherSuite)
	}
	return o
}

// describeTLS tells version, cipher and certificate.
func describeTLS(state tls.ConnectionState) string {
	text := tls.VersionName(state.Version) + ", " + tls.CipherSuiteName(state.CipherSuite)
	if len(state.PeerCertificates) > 0 {
		text += ", " + describeCertificate(state.PeerCertificates[0])
	}
	return text
}

func describeCertificate(c *x509.Certificate) string {
	names := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	return cleanLine(fmt.Sprintf("certificate for %s by %s, until %s", strings.Join(names, " "), c.Issuer.CommonName, c.NotAfter.UTC().Format("2006-01-02")), 300)
}
