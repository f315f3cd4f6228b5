package smtptest

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
)

// ServerTLS is what a test's own server needs to speak TLS, and what verifies
// it: good for 127.0.0.1, ::1, localhost and relay.test.
func ServerTLS(t testing.TB) (*tls.Config, *x509.CertPool) {
	t.Helper()
	certificate, pool, _, err := selfSigned()
	if err != nil {
		t.Fatalf("smtptest: make a certificate: %v", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}, pool
}
