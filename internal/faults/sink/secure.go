package sink

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// Authority issues certificates for relays.
type Authority struct {
	key    *ecdsa.PrivateKey
	cert   *x509.Certificate
	serial int64
}

// NewAuthority makes one.
func NewAuthority() (*Authority, error) {
	a := &Authority{serial: 1}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "fault run"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true,
	}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := a.sign(template, template, &a.key.PublicKey)
	if err != nil {
		return nil, err
	}
	a.cert, err = x509.ParseCertificate(der)
	return a, err
}

func (a *Authority) sign(template, parent *x509.Certificate, key *ecdsa.PublicKey) ([]byte, error) {
	a.serial++
	template.SerialNumber = big.NewInt(a.serial)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate: %w", err)
	}
	return der, nil
}

// PEM is what a client trusts that trusts the authority.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
}

// Issue makes a certificate for an IP address, good until then.
func (a *Authority) Issue(ip string, until time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	der, err := a.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "relay"}, NotBefore: until.Add(-24 * time.Hour), NotAfter: until, IPAddresses: []net.IP{net.ParseIP(ip)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.cert, &key.PublicKey)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// security is what a relay asks of its clients.
type security struct {
	cert           *tls.Certificate // STARTTLS is offered with it; nil: not at all
	user, password string           // a login is needed; "": none
	version        uint16           // of TLS, at most; 0: the newest
	size           int              // of a message, as announced; 0: nothing is
}

// Secure offers STARTTLS with a certificate to those who come from now on; nil: no longer.
func (s *Sink) Secure(cert *tls.Certificate) { s.demand(func(d *security) { d.cert = cert }) }

// Version is the newest TLS that it speaks from now on; 0: the newest there is.
func (s *Sink) Version(v uint16) { s.demand(func(d *security) { d.version = v }) }

// Login wants a login (AUTH PLAIN). To see who falls for it, it is offered without TLS, too:
// the counter is "login in plain text".
func (s *Sink) Login(user, password string) {
	s.demand(func(d *security) { d.user, d.password = user, password })
}

// Limit announces the largest message (SIZE); 0: none.
func (s *Sink) Limit(size int) { s.demand(func(d *security) { d.size = size }) }

func (s *Sink) demand(change func(*security)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.security)
}

func (s *Sink) demands() security {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.security
}

// offers are the extensions that depend on security.
func (c *session) offers() (lines []string) {
	d := c.sink.demands()
	if d.cert != nil && !c.tls {
		lines = append(lines, "STARTTLS")
	}
	if d.user != "" {
		lines = append(lines, "AUTH PLAIN")
	}
	if d.size > 0 {
		lines = append(lines, fmt.Sprintf("SIZE %d", d.size))
	}
	return lines
}

// startTLS upgrades the connection (RFC 3207).
func (c *session) startTLS() error {
	d := c.sink.demands()
	if d.cert == nil || c.tls {
		return c.say("503 5.5.1 not offered")
	}
	if err := c.say("220 2.0.0 go ahead"); err != nil {
		return err
	}
	conn := tls.Server(c.conn, &tls.Config{Certificates: []tls.Certificate{*d.cert}, MinVersion: tls.VersionTLS10, MaxVersion: d.version}) //nolint:gosec // to see it refused
	if err := conn.HandshakeContext(c.sink.ctx); err != nil {
		c.sink.count("handshake refused")
		return errEnd
	}
	c.conn, c.tls, c.in = conn, true, bufio.NewReaderSize(conn, 16<<10)
	return nil
}

// login takes AUTH PLAIN with its initial response (RFC 4616).
func (c *session) login(rest string) error {
	if !c.tls {
		c.sink.count("login in plain text")
	}
	d := c.sink.demands()
	mechanism, initial, _ := strings.Cut(rest, " ")
	response, err := base64.StdEncoding.DecodeString(initial)
	if err != nil || !strings.EqualFold(mechanism, "PLAIN") || string(response) != "\x00"+d.user+"\x00"+d.password {
		c.sink.count("login refused")
		return c.say("535 5.7.8 wrong user or password")
	}
	c.known = true
	return c.say("235 2.7.0 welcome")
}
