package smtptest_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/wneessen/go-mail"

	"gazetted/internal/smtptest"
)

func TestMessages(t *testing.T) {
	relay := smtptest.Start(t)
	c := dial(t, relay)
	c.say("EHLO client.test", "250-relay.test", "250-PIPELINING", "250-8BITMIME", "250-SMTPUTF8", "250 ENHANCEDSTATUSCODES")
	c.say("MAIL FROM:<list@example.com> BODY=8BITMIME", "250 2.1.0 go on")
	c.say(`RCPT TO:<"a> \"b"@example.org>`, "250 2.1.5 go on")
	c.say("RCPT TO:<ada@example.org", "501 5.5.4 say RCPT TO:<address>")
	c.say("RCPT TO:<ada@example.org> NOTIFY=NEVER", "250 2.1.5 go on")
	c.say("DATA", "354 end with a dot")
	c.say("Subject: x\r\n\r\n..dots\r\n...\r\nend\r\n.", "250 2.0.0 taken")
	c.say("MAIL FROM:<>", "250 2.1.0 go on")
	c.say("RCPT TO:<eve@example.org>", "250 2.1.5 go on")
	c.say("DATA", "354 end with a dot")
	c.say(".", "250 2.0.0 taken")
	c.say("QUIT", "221 2.0.0 bye")
	c.gone()

	want := []smtptest.Message{
		{
			From: "list@example.com", To: []string{`"a> \"b"@example.org`, "ada@example.org"},
			Data: []byte("Subject: x\r\n\r\n.dots\r\n..\r\nend\r\n"), MailParams: "BODY=8BITMIME", Session: 1,
		},
		{From: "", To: []string{"eve@example.org"}, Session: 1},
	}
	if diff := cmp.Diff(want, relay.Messages()); diff != "" {
		t.Errorf("messages (-want +got):\n%s", diff)
	}
	if got := len(relay.Commands()); got != 12 {
		t.Errorf("%d commands, want 12: %q", got, relay.Commands())
	}
	if relay.Sessions() != 1 {
		t.Errorf("%d sessions, want 1", relay.Sessions())
	}
}

func TestOrderIsHeld(t *testing.T) {
	c := dial(t, smtptest.Start(t, smtptest.WithAuth("ada", "secret")))
	c.say("MAIL FROM:<a@example.com>", "503 5.5.1 say EHLO first")
	c.say("HELO client.test", "250 relay.test")
	c.say("MAIL FROM:<a@example.com>", "530 5.7.0 log in first")
	c.say("RCPT TO:<a@example.com>", "503 5.5.1 say MAIL first")
	c.say("DATA", "503 5.5.1 no recipient was accepted")
	c.say("AUTH PLAIN", "334 ")
	c.say("AGFkYQBzZWNyZXQ=", "235 2.7.0 welcome")
	c.say("MAIL FROM:<a@example.com>", "250 2.1.0 go on")
	c.say("MAIL FROM:<a@example.com>", "503 5.5.1 a sender was given already")
	c.say("MAIL TO:<a@example.com>", "501 5.5.4 say MAIL FROM:<address>")
	c.say("RCPT TO:<>", "501 5.5.4 say RCPT TO:<address>")
	c.say("RSET", "250 2.0.0 forgotten")
	c.say("RCPT TO:<a@example.com>", "503 5.5.1 say MAIL first")
	c.say("NOOP", "250 2.0.0 fine")
	c.say("TURN", "500 5.5.1 unknown command")
	c.say("STARTTLS", "503 5.5.1 not offered")
}

func TestMalformedMessages(t *testing.T) {
	const bare, long = "554 5.6.0 a carriage return or line feed stands alone", "554 5.6.0 a line is too long"
	full := strings.Repeat("x", 998)
	for name, test := range map[string]struct{ body, want string }{
		"as long as can be":          {full + "\r\n.\r\n", "250 2.0.0 taken"},
		"so with a dot stuffed":      {"." + full + "\r\n.\r\n", "250 2.0.0 taken"},
		"one longer":                 {full + "x\r\n.\r\n", long},
		"bare line feed":             {"a\nb\r\n.\r\n", bare},
		"bare carriage return":       {"a\rb\r\n.\r\n", bare},
		"a dot between line feeds":   {"a\n.\nb\r\n.\r\n", bare}, // SMTP smuggling
		"a dot before a mere return": {"a\r\n.\r\r\n.\r\n", bare},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t)
			c := dial(t, relay)
			c.envelope("ada@example.org")
			c.say("DATA", "354 end with a dot")
			c.say(strings.TrimSuffix(test.body, "\r\n"), test.want)
			taken := 0
			if strings.HasPrefix(test.want, "250") {
				taken = 1
			}
			if got := len(relay.Messages()); got != taken {
				t.Errorf("%d messages taken, want %d", got, taken)
			}
		})
	}
}

func TestRules(t *testing.T) {
	relay := smtptest.Start(t)
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "gone@example.org", Reply: "550 5.1.1 no such user"})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "grey@example.org", Reply: "450 4.7.1 greylisted\ntry later", Times: 1})
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: "full@example.org", Reply: "452 4.2.2 mailbox full", Times: 2})

	c := dial(t, relay)
	c.envelope()
	c.say("RCPT TO:<Gone@example.org>", "550 5.1.1 no such user")
	c.say("RCPT TO:<grey@example.org>", "450-4.7.1 greylisted", "450 try later")
	c.say("RCPT TO:<grey@example.org>", "250 2.1.5 go on")
	c.say("DATA", "354 end with a dot")
	c.say(".", "250 2.0.0 taken")
	for _, want := range []string{"452 4.2.2 mailbox full", "452 4.2.2 mailbox full", "250 2.0.0 taken"} {
		c.envelope("full@example.org")
		c.say("DATA", "354 end with a dot")
		c.say(".", want)
	}
	relay.Forget()
	c.envelope("gone@example.org")

	messages := relay.Messages()
	if len(messages) != 2 || !slices.Equal(messages[0].To, []string{"grey@example.org"}) {
		t.Errorf("got %+v, want two messages, the first to grey alone", messages)
	}
}

func TestHangingUp(t *testing.T) {
	for name, test := range map[string]struct {
		rule  smtptest.Rule
		talk  func(c *client)
		taken int
	}{
		"421 at MAIL": {
			rule: smtptest.Rule{Stage: smtptest.Mail, Reply: "421 4.3.2 going down"},
			talk: func(c *client) {
				c.say("EHLO client.test")
				c.say("MAIL FROM:<a@example.com>", "421 4.3.2 going down")
			},
		},
		"after the dot, without taking it": {
			rule: smtptest.Rule{Stage: smtptest.Dot, Drop: true},
			talk: func(c *client) { c.sendTo("ada@example.org") },
		},
		"after the dot, having taken it": {
			rule:  smtptest.Rule{Stage: smtptest.Dot, Drop: true, Take: true},
			talk:  func(c *client) { c.sendTo("ada@example.org") },
			taken: 1,
		},
		"after having said no": {
			rule: smtptest.Rule{Stage: smtptest.Rcpt, Reply: "554 5.7.1 spam", Drop: true},
			talk: func(c *client) {
				c.envelope()
				c.say("RCPT TO:<a@example.com>", "554 5.7.1 spam")
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t)
			relay.On(test.rule)
			c := dial(t, relay)
			test.talk(c)
			c.gone()
			if got := len(relay.Messages()); got != test.taken {
				t.Errorf("%d messages taken, want %d", got, test.taken)
			}
		})
	}

	t.Run("before the greeting", func(t *testing.T) {
		relay := smtptest.Start(t)
		relay.On(smtptest.Rule{Stage: smtptest.Connect, Drop: true, Times: 1})
		connect(t, relay).gone()
		dial(t, relay).say("NOOP", "250 2.0.0 fine")
	})
	t.Run("all at once", func(t *testing.T) {
		relay := smtptest.Start(t)
		a, b := dial(t, relay), dial(t, relay)
		relay.Hangup()
		a.gone()
		b.gone()
		dial(t, relay).say("NOOP", "250 2.0.0 fine")
	})
	t.Run("for good", func(t *testing.T) {
		relay := smtptest.Start(t)
		c := dial(t, relay)
		relay.Close()
		c.gone()
		var dialer net.Dialer
		if conn, err := dialer.DialContext(t.Context(), "tcp", relay.Addr()); err == nil {
			_ = conn.Close()
			t.Error("it still listens")
		}
	})
}

func TestHold(t *testing.T) {
	relay := smtptest.Start(t)
	hold := make(chan struct{})
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Hold: hold})

	waited := make(chan []smtptest.Message, 1)
	go func() {
		messages, _ := relay.WaitFor(t.Context(), 1)
		waited <- messages
	}()
	c := dial(t, relay)
	c.sendTo("ada@example.org")
	select {
	case <-waited:
		t.Fatal("the message was taken while it was held")
	default:
	}
	close(hold)
	c.hear("250 2.0.0 taken")
	if messages := <-waited; len(messages) != 1 {
		t.Errorf("waited for one message, got %d", len(messages))
	}
}

func TestWaitForGivesUp(t *testing.T) {
	relay := smtptest.Start(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := relay.WaitFor(ctx, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want the context's error", err)
	}
	relay.Close()
	if _, err := relay.WaitFor(t.Context(), 1); err == nil {
		t.Error("waited on a stopped server and got no error")
	}
}

// TestOtherClients sends with clients that were not written for this server.
func TestOtherClients(t *testing.T) {
	body := "Subject: hello\r\n\r\nHello\r\n"
	check := func(t *testing.T, relay *smtptest.Server, wantTLS bool, wantUser string) {
		t.Helper()
		messages, err := relay.WaitFor(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		m := messages[0]
		if m.TLS != wantTLS || m.User != wantUser || !bytes.Contains(m.Data, []byte("Subject: hello\r\n")) {
			t.Errorf("got TLS %v, user %q, data %q", m.TLS, m.User, m.Data)
		}
	}
	t.Run("net/smtp, plain", func(t *testing.T) {
		relay := smtptest.Start(t)
		if err := smtp.SendMail(relay.Addr(), nil, "a@example.com", []string{"b@example.org"}, []byte(body)); err != nil {
			t.Fatal(err)
		}
		check(t, relay, false, "")
	})
	for _, mechanism := range []mail.SMTPAuthType{mail.SMTPAuthPlain, mail.SMTPAuthLogin} {
		t.Run("go-mail, STARTTLS and "+string(mechanism), func(t *testing.T) {
			relay := smtptest.Start(t, smtptest.WithStartTLS(), smtptest.WithAuth("ada", "secret"))
			send(t, relay, mail.WithTLSPolicy(mail.TLSMandatory), mail.WithSMTPAuth(mechanism),
				mail.WithUsername("ada"), mail.WithPassword("secret"))
			check(t, relay, true, "ada")
		})
	}
	t.Run("go-mail, TLS from the start", func(t *testing.T) {
		relay := smtptest.Start(t, smtptest.WithTLS())
		send(t, relay, mail.WithSSL())
		check(t, relay, true, "")
	})
	t.Run("a wrong password", func(t *testing.T) {
		relay := smtptest.Start(t, smtptest.WithAuth("ada", "secret"))
		auth := smtp.PlainAuth("", "ada", "guess", "127.0.0.1")
		err := smtp.SendMail(relay.Addr(), auth, "a@example.com", []string{"b@example.org"}, []byte(body))
		var reply *textproto.Error
		if !errors.As(err, &reply) || reply.Code != 535 {
			t.Errorf("got %v, want a 535", err)
		}
		if slices.ContainsFunc(relay.Commands(), func(line string) bool { return strings.HasPrefix(line, "AUTH ") }) {
			t.Errorf("a password was kept: %q", relay.Commands())
		}
	})
}

func send(t *testing.T, relay *smtptest.Server, options ...mail.Option) {
	t.Helper()
	m := mail.NewMsg()
	if err := errors.Join(m.From("a@example.com"), m.To("b@example.org")); err != nil {
		t.Fatal(err)
	}
	m.Subject("hello")
	m.SetBodyString(mail.TypeTextPlain, "Hello")
	trust := &tls.Config{RootCAs: relay.CAs(), ServerName: "relay.test", MinVersion: tls.VersionTLS12}
	options = append(options, mail.WithTLSConfig(trust), mail.WithPort(relay.Port()))
	c, err := mail.NewClient("127.0.0.1", options...)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.DialAndSendWithContext(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

// client speaks to the server line by line.
type client struct {
	t    *testing.T
	conn net.Conn
	text *textproto.Reader
}

func connect(t *testing.T, relay *smtptest.Server) *client {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", relay.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &client{t: t, conn: conn, text: textproto.NewReader(bufio.NewReader(conn))}
}

func dial(t *testing.T, relay *smtptest.Server) *client {
	t.Helper()
	c := connect(t, relay)
	c.hear("220 relay.test ESMTP")
	return c
}

// say sends a line and wants the given lines back; none given, it reads any one reply.
func (c *client) say(line string, want ...string) {
	c.t.Helper()
	c.write(line)
	c.hear(want...)
}

func (c *client) write(line string) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.conn, "%s\r\n", line); err != nil {
		c.t.Fatalf("write %q: %v", line, err)
	}
}

func (c *client) hear(want ...string) {
	c.t.Helper()
	var got []string
	for {
		line, err := c.text.ReadLine()
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		got = append(got, line)
		if len(line) < 4 || line[3] != '-' {
			break
		}
	}
	if want != nil && !slices.Equal(got, want) {
		c.t.Fatalf("heard %q, want %q", got, want)
	}
}

// envelope goes as far as to have every recipient accepted.
func (c *client) envelope(to ...string) {
	c.t.Helper()
	c.say("EHLO client.test")
	c.say("MAIL FROM:<list@example.com>", "250 2.1.0 go on")
	for _, address := range to {
		c.say("RCPT TO:<"+address+">", "250 2.1.5 go on")
	}
}

// sendTo sends a message up to its final dot and does not wait for the reply.
func (c *client) sendTo(to string) {
	c.t.Helper()
	c.envelope(to)
	c.say("DATA", "354 end with a dot")
	c.write("Subject: x\r\n\r\nx\r\n.")
}

// gone wants the server to have hung up.
func (c *client) gone() {
	c.t.Helper()
	if line, err := c.text.ReadLine(); err == nil {
		c.t.Errorf("heard %q, want the connection closed", line)
	}
}
