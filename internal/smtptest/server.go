// Package smtptest is a relay for tests: an SMTP server in this process, on a free port of
// 127.0.0.1, that keeps what it was sent and fails where it was told to.
//
//	relay := smtptest.Start(t)
//	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "gone@example.org", Reply: "550 5.1.1 no such user"})
//	… send to relay.Addr() …
//	messages, err := relay.WaitFor(ctx, 2)
//
// It speaks the protocol itself rather than through a library, because its use is to
// speak it badly on demand: to hang up after the final dot, to take a message and not say
// so, to answer 421 to anything. Where it was not told to fail it is strict, so that what
// passes here passes elsewhere: bare line feeds and lines over the limit are refused.
package smtptest

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
)

// Message is one message the server took.
type Message struct {
	From string   // the reverse path, "" for the null sender
	To   []string // the recipients that were accepted, in order
	Data []byte   // header and body as they came: CRLF, dots unstuffed

	MailParams string // what followed MAIL FROM:<…>, such as "BODY=8BITMIME SMTPUTF8"
	User       string // who logged in, "" if nobody did
	TLS        bool   // whether it came over TLS
	Session    int    // which connection it came over, counted from 1
}

// Option changes how the server starts.
type Option func(*Server)

// WithStartTLS offers STARTTLS (RFC 3207). Clients verify it with CAs.
func WithStartTLS() Option {
	return func(s *Server) { s.startTLS = true }
}

// WithTLS speaks TLS from the first byte (RFC 8314, section 3.3). Clients verify it with
// CAs.
func WithTLS() Option {
	return func(s *Server) { s.implicitTLS = true }
}

// WithAuth offers AUTH PLAIN and LOGIN (RFC 4954) and takes no mail without it. If
// STARTTLS is offered too, AUTH is offered only after it.
func WithAuth(user, password string) Option {
	return WithMechanisms(user, password, "PLAIN", "LOGIN")
}

// WithMechanisms is WithAuth for other mechanisms: PLAIN, LOGIN, CRAM-MD5, SCRAM-SHA-1,
// SCRAM-SHA-256, both with -PLUS, and XOAUTH2, whose token stands in the password's place.
func WithMechanisms(user, password string, names ...string) Option {
	return func(s *Server) { s.auth, s.user, s.password, s.mechanisms = true, user, password, names }
}

// WithExtensions replaces the extensions named in the reply to EHLO, which are PIPELINING,
// 8BITMIME, SMTPUTF8 and ENHANCEDSTATUSCODES. STARTTLS and AUTH are not among them: they
// have options of their own.
func WithExtensions(lines ...string) Option {
	return func(s *Server) { s.extensions = lines }
}

// WithLimits turns away, with a 421 in place of the greeting, who comes while so many
// connections are open, and answers MAIL with 421 once so many messages were taken over
// one connection. 0 is no limit.
func WithLimits(connections, messages int) Option {
	return func(s *Server) { s.maxConnections, s.maxMessages = connections, messages }
}

// Server is a running relay. Its methods may be called at any time, from any goroutine.
type Server struct {
	startTLS, implicitTLS, auth bool
	user, password              string // password under mu
	mechanisms                  []string
	extensions                  []string
	maxConnections, maxMessages int

	listener net.Listener
	tls      *tls.Config
	cas      *x509.CertPool
	pem      []byte
	sessions sync.WaitGroup
	ctx      context.Context // done when the server stops
	stop     context.CancelFunc

	mu       sync.Mutex
	changed  chan struct{} // closed, and replaced, when messages grows
	messages []Message
	commands []string
	rules    []*Rule
	conns    map[net.Conn]bool
	count    int // of sessions
}

// Start starts a server, which stops when the test ends.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{
		extensions: []string{"PIPELINING", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES"},
		changed:    make(chan struct{}),
		conns:      map[net.Conn]bool{},
	}
	for _, option := range options {
		option(s)
	}
	if s.startTLS || s.implicitTLS {
		certificate, pool, pem, err := selfSigned()
		if err != nil {
			t.Fatalf("smtptest: make a certificate: %v", err)
		}
		s.tls = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
		s.cas, s.pem = pool, pem
	}
	// Not t.Context(): it ends before the cleanups, and a test's own may still send.
	s.ctx, s.stop = context.WithCancel(context.Background())
	var config net.ListenConfig
	listener, err := config.Listen(s.ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("smtptest: listen: %v", err)
	}
	s.listener = listener
	s.sessions.Go(s.accept)
	t.Cleanup(s.Close)
	return s
}

// Addr returns host and port, such as "127.0.0.1:40123".
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Port returns the port alone; the host is 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// CAs returns what verifies the server's certificate, which is good for 127.0.0.1, ::1,
// localhost and relay.test. Nil without TLS.
func (s *Server) CAs() *x509.CertPool { return s.cas }

// PEM is what CAs holds, as a file would have it; nil without TLS.
func (s *Server) PEM() []byte { return s.pem }

// On adds a rule. Of those that match, the first one that is not used up applies.
func (s *Server) On(r Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = append(s.rules, &r)
}

// Forget drops all rules: the relay is well again.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rules = nil
}

// Messages returns what was taken so far, in the order of the final dots.
func (s *Server) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// WaitFor returns as soon as at least n messages were taken, and returns them all. If ctx
// ends or the server stops before, it returns what there is and an error.
func (s *Server) WaitFor(ctx context.Context, n int) ([]Message, error) {
	for {
		s.mu.Lock()
		messages, changed := slices.Clone(s.messages), s.changed
		s.mu.Unlock()
		if len(messages) >= n {
			return messages, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return messages, fmt.Errorf("wait for %d messages, got %d: %w", n, len(messages), ctx.Err())
		case <-s.ctx.Done():
			return messages, fmt.Errorf("wait for %d messages, got %d: the server has stopped", n, len(messages))
		}
	}
}

// Commands returns every command line that was received, over all sessions, without what
// followed AUTH. The final dot stands among them as ".".
func (s *Server) Commands() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.commands)
}

// Sessions returns how many connections were made.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Hangup closes every open connection without a word and goes on listening, as a relay
// that restarts does.
func (s *Server) Hangup() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.Close()
	}
}

// Close stops the server before the test ends: the relay is down. What it took stays.
func (s *Server) Close() {
	s.stop()
	_ = s.listener.Close()
	s.Hangup()
	s.sessions.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed; on loopback nothing else happens
		}
		s.mu.Lock()
		if s.ctx.Err() != nil { // Close has been through the connections already
			s.mu.Unlock()
			_ = conn.Close()
			return
		}
		s.count++
		s.conns[conn] = true
		session := &session{server: s, raw: conn, conn: conn, number: s.count, crowded: s.maxConnections > 0 && len(s.conns) > s.maxConnections}
		s.mu.Unlock()
		s.sessions.Go(func() {
			session.serve()
			_ = conn.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, conn)
		})
	}
}

func (s *Server) take(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m.To, m.Data = slices.Clone(m.To), bytes.Clone(m.Data)
	s.messages = append(s.messages, m)
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) note(command string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commands = append(s.commands, command)
}
