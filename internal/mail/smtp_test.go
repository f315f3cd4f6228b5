package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

func newSMTP(t testing.TB, relay *smtptest.Server, change func(*SMTPOptions)) *SMTP {
	t.Helper()
	o := SMTPOptions{Name: "test", Host: "127.0.0.1", Port: relay.Port(), TLS: TLSNone, HELO: "news.example.org", RootCAs: relay.CAs()}
	if change != nil {
		change(&o)
	}
	s, err := NewSMTP(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func open(t testing.TB, tr Transport) Session {
	t.Helper()
	s, err := tr.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Abort)
	return s
}

func envelope(to string) Envelope { return Envelope{From: "bounce@example.org", To: to} }

const shortMessage = "Subject: x\r\n\r\nbody\r\n"

func TestSessionSendsExactBytes(t *testing.T) {
	messages := map[string]string{
		"plain":        shortMessage,
		"leading dots": ".a: b\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\nMAIL FROM:<x@evil.test>\r\n.\r\n",
		"edition":      string(mustBytes(t, testSpec(), testRecipient())),
		"long":         "a: b\r\n\r\n" + strings.Repeat(strings.Repeat("x", 900)+"\r\n.\r\n", 300),
	}
	for _, extensions := range [][]string{{"PIPELINING", "SIZE 10000000"}, {"8BITMIME"}, {}} {
		relay := smtptest.Start(t, smtptest.WithExtensions(extensions...))
		s := open(t, newSMTP(t, relay, nil))
		n := 0
		for name, m := range messages {
			if err := s.Begin(t.Context(), envelope("ana@example.net"), []byte(m)); err != nil {
				t.Fatal(name, err)
			}
			if got := relay.Messages(); len(got) != n {
				t.Fatalf("%s: %d messages before the dot, want %d", name, len(got), n)
			}
			if err := s.Dot(t.Context()); err != nil {
				t.Fatal(name, err)
			}
			n++
			got := relay.Messages()
			if len(got) != n || string(got[n-1].Data) != m || got[n-1].From != "bounce@example.org" || len(got[n-1].To) != 1 || got[n-1].To[0] != "ana@example.net" {
				t.Errorf("%v %s: %d messages, the last from %q to %q:\n%.300q", extensions, name, len(got), got[n-1].From, got[n-1].To, got[n-1].Data)
			}
		}
		if relay.Sessions() != 1 || !s.Usable() {
			t.Errorf("%d connections, usable %v", relay.Sessions(), s.Usable())
		}
		s.Quit()
	}
}

// TestSmuggling is S2: nothing that could be read as the end of a message, or
// as two, leaves.
func TestSmuggling(t *testing.T) {
	relay := smtptest.Start(t)
	s := open(t, newSMTP(t, relay, nil))
	for _, end := range []string{"\n.\n", "\n.\r\n", "\r.\r\n", "\r\n.\n", "\r.\r", "\r\n.\r", "\x00\r\n", ""} {
		err := s.Begin(t.Context(), envelope("ana@example.net"), []byte("a: b\r\n\r\nx"+end))
		if j := Judge(err); err == nil || j.Bounce != BounceContent {
			t.Errorf("%q: %v", end, err)
		}
	}
	if err := s.Begin(t.Context(), envelope("ana@example.net"), []byte("a: "+strings.Repeat("x", 996)+"\r\n")); err == nil {
		t.Error("a line of 999 was taken")
	}
	for _, to := range []string{"a@b.test>\r\nRCPT TO:<c@d.test", "a b@c.test", "", "a@b.test\x00"} {
		if err := s.Begin(t.Context(), envelope(to), []byte(shortMessage)); err == nil {
			t.Errorf("recipient %q was taken", to)
		}
	}
	if len(relay.Messages()) != 0 || !s.Usable() {
		t.Errorf("%d messages, usable %v", len(relay.Messages()), s.Usable())
	}
}

func TestSMTPUTF8OnlyWhereNeededAndOffered(t *testing.T) {
	with := smtptest.Start(t)
	s := open(t, newSMTP(t, with, nil))
	for _, env := range []Envelope{envelope("ana@example.net"), {From: "b@example.org", To: "añá@example.net", UTF8: true}} {
		if err := errors.Join(s.Begin(t.Context(), env, []byte(shortMessage)), s.Dot(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
	got := with.Messages()
	if strings.Contains(got[0].MailParams, "SMTPUTF8") || !strings.Contains(got[1].MailParams, "SMTPUTF8") || got[1].To[0] != "añá@example.net" {
		t.Errorf("parameters %q and %q", got[0].MailParams, got[1].MailParams)
	}
	without := smtptest.Start(t, smtptest.WithExtensions("PIPELINING"))
	s = open(t, newSMTP(t, without, nil))
	err := s.Begin(t.Context(), Envelope{To: "añá@example.net", UTF8: true}, []byte(shortMessage))
	if j := Judge(err); j.Verdict != Refused || j.Bounce == BounceHard || !s.Usable() {
		t.Errorf("%v: %+v", err, j)
	}
}

// TestReceipt: what the relay said when it took a mail is what an operator asks
// the relay's for; what a hostile one says stays one short line.
func TestReceipt(t *testing.T) {
	for reply, want := range map[string]Receipt{
		"250 2.0.0 Ok: queued as 4XyZ":  {250, "2.0.0", "Ok: queued as 4XyZ"},
		"250 OK id=1abc-0000":           {250, "", "OK id=1abc-0000"},
		"250 2.6.0 first\n2.6.0 second": {250, "2.6.0", "first 2.6.0 second"},
		"250 ":                          {250, "", ""},
		"251 2.1.5 \x1b[31m " + strings.Repeat("x", 400): {251, "2.1.5", "[31m " + strings.Repeat("x", 189)},
	} {
		relay := smtptest.Start(t)
		relay.On(smtptest.Rule{Stage: smtptest.Dot, Reply: reply})
		s := open(t, newSMTP(t, relay, nil))
		if err := errors.Join(s.Begin(t.Context(), envelope("ana@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := s.Receipt(); got != want {
			t.Errorf("%q: %+v, want %+v", reply, got, want)
		}
	}
}

// TestSizeIsSaidWhereItIsOffered: RFC 1870 §6. BODY=8BITMIME is never said: see
// wireFaults.
func TestSizeIsSaidWhereItIsOffered(t *testing.T) {
	for extension, want := range map[string]string{"SIZE 10000": fmt.Sprintf("SIZE=%d", len(shortMessage)), "SIZE": fmt.Sprintf("SIZE=%d", len(shortMessage)), "8BITMIME": ""} {
		relay := smtptest.Start(t, smtptest.WithExtensions("PIPELINING", extension))
		s := open(t, newSMTP(t, relay, nil))
		if err := errors.Join(s.Begin(t.Context(), envelope("ana@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
			t.Fatal(err)
		}
		if got := relay.Messages()[0].MailParams; got != want {
			t.Errorf("%s: %q, want %q", extension, got, want)
		}
	}
}

func TestRepliesAtEachStage(t *testing.T) {
	for _, r := range []struct {
		rule   smtptest.Rule
		stage  Stage
		code   int
		usable bool
	}{
		{smtptest.Rule{Stage: smtptest.Mail, Reply: "451 4.3.0 later"}, StageMail, 451, true},
		{smtptest.Rule{Stage: smtptest.Mail, Reply: "421 4.3.0 bye"}, StageMail, 421, false},
		{smtptest.Rule{Stage: smtptest.Mail, Drop: true}, StageMail, 0, false},
		{smtptest.Rule{Stage: smtptest.Rcpt, Reply: "550 5.1.1 no such user"}, StageRcpt, 550, true},
		{smtptest.Rule{Stage: smtptest.Rcpt, Reply: "450 4.7.1 greylisted"}, StageRcpt, 450, true},
		{smtptest.Rule{Stage: smtptest.Rcpt, Reply: "421 4.7.0 bye"}, StageRcpt, 421, false},
		{smtptest.Rule{Stage: smtptest.Rcpt, Drop: true}, StageRcpt, 0, false},
		{smtptest.Rule{Stage: smtptest.Data, Reply: "451 4.3.0 later"}, StageData, 451, true},
		{smtptest.Rule{Stage: smtptest.Data, Drop: true}, StageData, 0, false},
		{smtptest.Rule{Stage: smtptest.Dot, Reply: "451 4.3.0 later"}, StageDot, 451, true},
		{smtptest.Rule{Stage: smtptest.Dot, Reply: "554 5.6.0 no"}, StageDot, 554, true},
		{smtptest.Rule{Stage: smtptest.Dot, Reply: "421 4.3.0 bye"}, StageDot, 421, false},
		{smtptest.Rule{Stage: smtptest.Dot, Drop: true}, StageDot, 0, false},
		{smtptest.Rule{Stage: smtptest.Dot, Drop: true, Take: true}, StageDot, 0, false},
	} {
		for _, extensions := range [][]string{{"PIPELINING"}, {}} {
			relay := smtptest.Start(t, smtptest.WithExtensions(extensions...))
			r.rule.Times = 1
			relay.On(r.rule)
			s := open(t, newSMTP(t, relay, nil))
			err := s.Begin(t.Context(), envelope("ana@example.net"), []byte(shortMessage))
			if err == nil {
				err = s.Dot(t.Context())
			}
			e, ok := errors.AsType[*ReplyError](err)
			if !ok || e.Stage != r.stage || e.Code != r.code || s.Usable() != r.usable {
				t.Errorf("%v %+v: %v, usable %v", extensions, r.rule, err, s.Usable())
			}
			if !r.usable {
				continue
			}
			// The connection is in step: the next message goes through it.
			if err := errors.Join(s.Begin(t.Context(), envelope("ben@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
				t.Errorf("after %+v: %v", r.rule, err)
			}
			if got := relay.Messages(); len(got) != 1 || got[0].To[0] != "ben@example.net" {
				t.Errorf("after %+v: %+v", r.rule, got)
			}
		}
	}
}

func TestConnectFaults(t *testing.T) {
	for _, r := range []struct {
		rule    smtptest.Rule
		stage   Stage
		verdict Verdict
	}{
		{smtptest.Rule{Stage: smtptest.Connect, Reply: "554 5.7.1 go away"}, StageConnect, RelayFault},
		{smtptest.Rule{Stage: smtptest.Connect, Reply: "421 4.7.0 busy"}, StageConnect, RelayFault},
		{smtptest.Rule{Stage: smtptest.Connect, Drop: true}, StageConnect, RelayFault},
		{smtptest.Rule{Stage: smtptest.Hello, Reply: "421 4.7.0 busy"}, StageHello, RelayFault},
		{smtptest.Rule{Stage: smtptest.StartTLS, Reply: "454 4.7.0 no TLS now"}, StageHello, RelayFault},
		{smtptest.Rule{Stage: smtptest.Auth, Reply: "535 5.7.8 no: canary"}, StageAuth, ConfigFault},
		{smtptest.Rule{Stage: smtptest.Auth, Reply: "454 4.7.0 later"}, StageAuth, RelayFault},
	} {
		relay := smtptest.Start(t, smtptest.WithStartTLS(), smtptest.WithAuth("u", "p"))
		relay.On(r.rule)
		_, err := newSMTP(t, relay, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSStart, "u", "p" }).Open(t.Context())
		e, ok := errors.AsType[*ReplyError](err)
		if !ok || e.Stage != r.stage || Judge(err).Verdict != r.verdict || strings.Contains(err.Error(), "canary") {
			t.Errorf("%+v: %v", r.rule, err)
		}
	}
}

func TestTLSAndLogin(t *testing.T) {
	const secret = "canary-7f3a"
	for name, r := range map[string]struct {
		options []smtptest.Option
		change  func(*SMTPOptions)
		fails   Verdict // empty: it works
	}{
		"starttls":     {[]smtptest.Option{smtptest.WithStartTLS()}, func(o *SMTPOptions) { o.TLS = TLSStart }, ""},
		"implicit":     {[]smtptest.Option{smtptest.WithTLS()}, func(o *SMTPOptions) { o.TLS = TLSImplicit }, ""},
		"login auto":   {[]smtptest.Option{smtptest.WithStartTLS(), smtptest.WithAuth("u", secret)}, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSStart, "u", secret }, ""},
		"login LOGIN":  {[]smtptest.Option{smtptest.WithTLS(), smtptest.WithAuth("u", secret)}, func(o *SMTPOptions) { o.TLS, o.Username, o.Password, o.Mechanism = TLSImplicit, "u", secret, AuthLogin }, ""},
		"wrong secret": {[]smtptest.Option{smtptest.WithStartTLS(), smtptest.WithAuth("u", "x")}, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSStart, "u", secret }, ConfigFault},
		"not offered": {[]smtptest.Option{smtptest.WithTLS(), smtptest.WithAuth("u", secret)}, func(o *SMTPOptions) {
			o.TLS, o.Username, o.Password, o.Mechanism = TLSImplicit, "u", secret, AuthCRAMMD5
		}, ConfigFault},
		"no auth there": {[]smtptest.Option{smtptest.WithTLS()}, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSImplicit, "u", secret }, ConfigFault},
		"starttls lost": {nil, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSStart, "u", secret }, RelayFault},
		"unknown CA":    {[]smtptest.Option{smtptest.WithStartTLS()}, func(o *SMTPOptions) { o.TLS, o.RootCAs = TLSStart, nil }, RelayFault},
		"other name":    {[]smtptest.Option{smtptest.WithTLS()}, func(o *SMTPOptions) { o.TLS, o.ServerName = TLSImplicit, "other.test" }, RelayFault},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t, r.options...)
			tr := newSMTP(t, relay, r.change)
			s, err := tr.Open(t.Context())
			if (err != nil) != (r.fails != "") || err != nil && Judge(err).Verdict != r.fails {
				t.Fatalf("%v, want %q", err, r.fails)
			}
			if err != nil {
				if strings.Contains(err.Error(), secret) || len(relay.Messages()) > 0 {
					t.Errorf("the error tells the secret: %v", err)
				}
				return
			}
			if err := errors.Join(s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
				t.Fatal(err)
			}
			s.Quit()
			if m := relay.Messages()[0]; !m.TLS || m.User != tr.o.Username {
				t.Errorf("TLS %v, user %q", m.TLS, m.User)
			}
		})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if out := fmt.Sprintf(verb, SMTPOptions{Password: secret}) + fmt.Sprintf(verb, &SMTPOptions{Password: secret}); strings.Contains(out, secret) {
			t.Errorf("%s tells the secret", verb)
		}
	}
	_, err := NewSMTP(SMTPOptions{Host: "relay.test", TLS: TLSNone, HELO: "a.test", Username: "u", Password: secret})
	if _, ok := errors.AsType[*news.FieldError](err); !ok || strings.Contains(err.Error(), secret) {
		t.Errorf("a login in plain text: %v", err)
	}
}

// TestEveryMechanism logs in for real: right, and with a wrong secret. The
// server checks what RFC 5802 has it check.
func TestEveryMechanism(t *testing.T) {
	const secret = "canary-91e4=,pass"
	for _, m := range AuthMechanisms() {
		for _, wrong := range []bool{false, true} {
			t.Run(fmt.Sprint(m, " wrong ", wrong), func(t *testing.T) {
				relay := smtptest.Start(t, smtptest.WithStartTLS(), smtptest.WithMechanisms("ana@example.org", secret, string(m)))
				tr := newSMTP(t, relay, func(o *SMTPOptions) {
					o.TLS, o.Username, o.Mechanism, o.Password = TLSStart, "ana@example.org", m, secret
					if wrong {
						o.Password = "canary-other"
					}
				})
				s, err := tr.Open(t.Context())
				if wrong {
					if v := Judge(err).Verdict; err == nil || v != ConfigFault || strings.Contains(err.Error(), "canary") {
						t.Fatalf("%v: %s", err, v)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)), s.Dot(t.Context())); err != nil {
					t.Fatal(err)
				}
				s.Quit()
				if relay.Messages()[0].User != "ana@example.org" {
					t.Errorf("%+v", relay.Messages()[0])
				}
			})
		}
	}
}

// TestTokenThatExpires: the secret is asked for before each login, so that a
// renewed token works without a restart; that it is to be had for none is a
// fault of the relay's, which passes.
func TestTokenThatExpires(t *testing.T) {
	relay := smtptest.Start(t, smtptest.WithTLS(), smtptest.WithMechanisms("u", "token-1", "PLAIN", "XOAUTH2"))
	asked, token := 0, "token-1"
	var fault error
	tr := newSMTP(t, relay, func(o *SMTPOptions) {
		o.TLS, o.Username, o.Mechanism = TLSImplicit, "u", AuthXOAuth2
		o.Secret = func(context.Context) (string, error) { asked++; return token, fault }
	})
	open(t, tr).Quit()
	relay.SetPassword("token-2")
	if _, err := tr.Open(t.Context()); Judge(err).Verdict != ConfigFault {
		t.Errorf("an old token: %v", err)
	}
	token = "token-2"
	open(t, tr).Quit()
	fault = errors.New("the command failed")
	if _, err := tr.Open(t.Context()); Judge(err).Verdict != RelayFault || !errors.Is(err, ErrSecret) {
		t.Errorf("no token: %v", err)
	}
	if asked != 4 {
		t.Errorf("the secret was asked for %d times", asked)
	}
}

func TestChooseMechanism(t *testing.T) {
	for _, r := range []struct {
		wanted  AuthMechanism
		offered string
		want    AuthMechanism
		ok      bool
	}{
		{"", "PLAIN LOGIN", AuthPlain, true},
		{"", "LOGIN", AuthLogin, true},
		{"", "LOGIN PLAIN CRAM-MD5 SCRAM-SHA-1 SCRAM-SHA-256", AuthSCRAMSHA256, true},
		{"", "XOAUTH2 NTLM SCRAM-SHA-256-PLUS", "", false},
		{AuthXOAuth2, "PLAIN XOAUTH2", AuthXOAuth2, true},
		{AuthSCRAMSHA1Plus, "SCRAM-SHA-1", "", false},
		{AuthLogin, "PLAIN LOGIN", AuthLogin, true},
		{AuthCRAMMD5, "PLAIN LOGIN", "", false},
		{"", "", "", false},
	} {
		if got, ok := choose(r.wanted, strings.Fields(r.offered)); got != r.want || ok != r.ok {
			t.Errorf("%q of %q: %q %v", r.wanted, r.offered, got, ok)
		}
	}
}

// script is a relay over a pipe that says what it is told to, line for line.
func script(t *testing.T, lines func(say func(string), hear func() string)) *SMTP {
	t.Helper()
	tr, err := NewSMTP(SMTPOptions{Host: "relay.test", TLS: TLSNone, HELO: "a.test", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			defer theirs.Close()
			r := bufio.NewReader(theirs)
			lines(func(s string) { _, _ = io.WriteString(theirs, s) }, func() string {
				line, _ := r.ReadString('\n')
				return strings.TrimRight(line, "\r\n")
			})
		}()
		return ours, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestEndlessReplyIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		junk := strings.Repeat("220-never ends\r\n", 1000)
		oneLine := strings.Repeat("x", 64<<10)
		for _, junk := range []string{junk, oneLine} {
			_, err := script(t, func(say func(string), _ func() string) {
				for range 1000 {
					say(junk)
				}
			}).Open(t.Context())
			synctest.Wait()
			if !errors.Is(err, errTooMuch) {
				t.Error(err)
			}
		}
	})
}

func TestMalformedRepliesAreNoAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, banner := range []string{"hello\r\n", "2\r\n", "\r\n", "\x00\x00\x00\x00\r\n", "99999 x\r\n", "-20 x\r\n", "220"} {
			_, err := script(t, func(say func(string), _ func() string) { say(banner) }).Open(t.Context())
			if err == nil || Judge(err).Verdict != RelayFault {
				t.Errorf("%q: %v", banner, err)
			}
		}
	})
}

// TestSilenceAfterTheDot is F19: nine minutes are waited for, eleven are not.
func TestSilenceAfterTheDot(t *testing.T) {
	for wait, want := range map[time.Duration]Verdict{9 * time.Minute: Accepted, 11 * time.Minute: Uncertain} {
		synctest.Test(t, func(t *testing.T) {
			tr := script(t, func(say func(string), hear func() string) {
				say("220 hi\r\n")
				hear()
				say("250 hi\r\n")
				for _, reply := range []string{"250 ok", "250 ok", "354 go"} {
					hear()
					say(reply + "\r\n")
				}
				for hear() != "." {
				}
				<-time.After(wait) // of the bubble: no real time passes
				say("250 ok\r\n")
				hear()
			})
			s, err := tr.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			defer s.Quit()
			if err := s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)); err != nil {
				t.Fatal(err)
			}
			if err := s.Dot(t.Context()); Judge(err).Verdict != want {
				t.Errorf("after %s: %v", wait, err)
			}
			<-time.After(time.Hour) // the relay comes to its end
		})
	}
}

func TestDotAfterAReplyOutOfTurnIsNotSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dots := 0
		tr := script(t, func(say func(string), hear func() string) {
			say("220 hi\r\n")
			hear()
			say("250 hi\r\n")
			hear()
			say("250 ok\r\n")
			hear()
			say("250 ok\r\n")
			hear()
			say("354 go\r\n250 taken already\r\n")
			for line := hear(); line != ""; line = hear() {
				if line == "." {
					dots++
				}
			}
			for line := hear(); line != ""; line = hear() {
				if line == "." {
					dots++
				}
			}
		})
		s, err := tr.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)); err != nil {
			t.Fatal(err)
		}
		if err := s.Dot(t.Context()); Judge(err).Verdict != RelayFault || s.Usable() {
			t.Errorf("%v", err)
		}
		s.Abort()
		synctest.Wait()
		if dots > 0 {
			t.Error("the dot was sent")
		}
	})
}

func TestCancelledContextHangsUp(t *testing.T) {
	hold := make(chan struct{})
	relay := smtptest.Start(t)
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Hold: hold})
	defer close(hold)
	s := open(t, newSMTP(t, relay, nil))
	if err := s.Begin(t.Context(), envelope("a@example.net"), []byte(shortMessage)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- s.Dot(ctx) }()
	cancel()
	if err := <-result; Judge(err).Verdict != Uncertain || s.Usable() {
		t.Errorf("%v", err)
	}
}

func FuzzStuff(f *testing.F) {
	f.Add([]byte(".\r\n.a\r\n\r\n..\r\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		dots, err := checkWire(msg)
		if err != nil {
			return
		}
		out := stuff(msg, dots)
		if len(out) != len(msg)+dots {
			t.Fatalf("%q has %d lines with a dot? %q", msg, dots, out)
		}
		if bytes.Contains(out, []byte("\r\n.\r\n")) || bytes.HasPrefix(out, []byte(".\r\n")) {
			t.Fatalf("%q ends early: %q", msg, out)
		}
		back := bytes.ReplaceAll(append([]byte("\r\n"), out...), []byte("\r\n."), []byte("\r\n"))[2:]
		if !bytes.Equal(back, msg) {
			t.Fatalf("%q came back as %q", msg, back)
		}
	})
}
