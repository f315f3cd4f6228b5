package sink_test

import (
	"bufio"
	"encoding/base64"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gazetted/internal/faults/sink"
)

const message = "Message-ID: <1@x>\r\nSubject: x\r\n\r\n..hello\r\n"

// conversation says lines and returns the replies, "EOF" at the end of the connection.
func conversation(t *testing.T, s *sink.Sink, lines ...string) []string {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	replies := []string{}
	read := func() bool {
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				replies = append(replies, "EOF")
				return false
			}
			if len(line) < 4 || line[3] != '-' {
				replies = append(replies, strings.TrimSpace(line))
				return true
			}
		}
	}
	if !read() {
		return replies
	}
	for _, line := range lines {
		if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(line, "Message-ID") {
			continue // of the body only the dot is answered
		}
		if !read() {
			break
		}
	}
	return replies
}

func start(t *testing.T, o sink.Options) (*sink.Sink, string) {
	t.Helper()
	o.Log = filepath.Join(t.TempDir(), "log")
	s, err := sink.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s, o.Log
}

func TestRules(t *testing.T) {
	mail := []string{"EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<b@y>", "DATA", message[:len(message)-2], "."}
	for _, test := range []struct {
		name  string
		rule  sink.Rule
		last  string // reply
		taken int
	}{
		{"none", sink.Rule{Stage: sink.Mail, Match: "other@"}, "250 2.0.0 taken", 1},
		{"greeting", sink.Rule{Stage: sink.Connect, Reply: "421 4.3.2 closing"}, "421 4.3.2 closing", 0},
		{"refused after the dot", sink.Rule{Stage: sink.Dot, Reply: "451 4.3.0 later"}, "451 4.3.0 later", 0},
		{"dropped before it is taken", sink.Rule{Stage: sink.Dot, Drop: true}, "EOF", 0},
		{"taken, then dropped", sink.Rule{Stage: sink.Taken, Drop: true}, "EOF", 1},
		{"taken, then reset", sink.Rule{Stage: sink.Taken, Reset: true}, "EOF", 1},
		{"in the body", sink.Rule{Stage: sink.Body, Drop: true}, "EOF", 0},
		{"for this recipient", sink.Rule{Stage: sink.Data, Match: "b@", Reply: "421 4.3.2 closing"}, "421 4.3.2 closing", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, log := start(t, sink.Options{})
			test.rule.Name = "rule"
			s.Set(test.rule)
			lines := mail
			if test.rule.Stage == sink.Connect {
				lines = nil
			} else if test.rule.Stage == sink.Data {
				lines = mail[:4]
			}
			replies := conversation(t, s, lines...)
			if got := replies[len(replies)-1]; got != test.last {
				t.Errorf("%q", replies)
			}
			entries, err := sink.ReadLog(log)
			if err != nil || len(entries) != test.taken || s.Stats().Taken != test.taken {
				t.Fatalf("%+v, %v", entries, err)
			}
			if acted := s.Stats().Faults["rule"]; (acted == 1) != (test.name != "none") {
				t.Errorf("it acted %d times", acted)
			}
			for _, e := range entries {
				// Of the message without the stuffed dot, by sha256sum.
				const sum = "d10595f3b63c16ec6b44bd97115232663d47b90f1ef18002a22706c41a108fb0"
				if e.From != "a@x" || e.To != "b@y" || e.MessageID != "<1@x>" || e.Bytes != len(message)-1 || e.SHA256 != sum || e.Open != 1 {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

func TestLimitsAndOutages(t *testing.T) {
	s, _ := start(t, sink.Options{MaxConns: 1, MaxPerConn: 1, NoPipelining: true})
	first, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(first).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if got := conversation(t, s); !strings.HasPrefix(got[0], "421") {
		t.Errorf("a second connection was told %q", got)
	}
	if n := s.Down(); n < 1 {
		t.Errorf("%d connections were open", n)
	}
	if _, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.Addr()); err == nil {
		t.Error("it listens although it is down")
	}
	if _, err := first.Read(make([]byte, 1)); err == nil {
		t.Error("the connection lives on")
	}
	if err := s.Up(); err != nil {
		t.Fatal(err)
	}
	mail := []string{"EHLO x", "MAIL FROM:<a@x>", "RCPT TO:<b@y>", "DATA", message[:len(message)-2], ".", "MAIL FROM:<a@x>"}
	for range time.Tick(time.Millisecond) {
		if s.Open() == 0 { // the broken connections were noticed
			break
		}
	}
	if got := conversation(t, s, mail...); !strings.HasPrefix(got[len(got)-1], "421") || s.Stats().Taken != 1 {
		t.Errorf("%q", got)
	}
}

// TestDemands: a login is offered to whoever asks, so that one without TLS can be counted;
// without it nothing is taken.
func TestDemands(t *testing.T) {
	s, _ := start(t, sink.Options{})
	s.Login("robot", "secret")
	s.Limit(500)
	right := base64.StdEncoding.EncodeToString([]byte("\x00robot\x00secret"))
	got := conversation(t, s, "EHLO x", "MAIL FROM:<a@x>", "AUTH PLAIN AAAA", "AUTH PLAIN "+right, "MAIL FROM:<a@x>", "RCPT TO:<b@y>", "RCPT TO:<c@y>", "STARTTLS")
	want := []string{"220", "250", "530", "535", "235", "250", "250", "250", "503"}
	for i, reply := range got {
		if !strings.HasPrefix(reply, want[i]) {
			t.Errorf("%d: %q, want %s", i, reply, want[i])
		}
	}
	if f := s.Stats().Faults; f["login in plain text"] != 2 || f["login refused"] != 1 || f["several recipients"] != 1 {
		t.Errorf("%v", f)
	}
	ca, err := sink.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Issue("127.0.0.1", time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.Secure(cert)
	if got := conversation(t, s, "EHLO x", "STARTTLS"); len(got) != 3 || !strings.HasPrefix(got[2], "220") {
		t.Errorf("%q", got)
	}
}
