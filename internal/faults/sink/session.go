package sink

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"strings"
	"time"
)

// maxLine bounds a line, CRLF included (RFC 5321 §4.5.3.1.6, and more than
// §4.5.3.1.4 asks for commands).
const maxLine = 1000

// maxEndless is how much of an endless reply is sent if the client takes it all.
const maxEndless = 1 << 30

var errEnd = errors.New("session ended")

// session is one connection.
type session struct {
	sink    *Sink
	conn    net.Conn
	in      *bufio.Reader
	number  int
	crowded bool

	tls   bool
	known bool // logged in
	mail  bool
	from  string
	to    string
	first bool // the recipient's first attempt
	count int  // messages
}

func (c *session) serve() {
	if c.crowded {
		_ = c.say("421 4.7.0 too many connections")
		c.sink.count("too many connections")
		return
	}
	if c.answer(Connect, "220 sink.test ESMTP") != nil {
		return
	}
	for {
		line, err := c.line()
		if err != nil {
			return
		}
		if c.command(string(line)) != nil {
			return
		}
	}
}

func (s *Sink) count(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[name]++
}

// line reads one line without its end. Bare line feeds end the session: what passes here
// passes elsewhere.
func (c *session) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if len(line) > maxLine || len(line) < 2 || line[len(line)-2] != '\r' {
		_ = c.say("500 5.5.2 bad line")
		return nil, errEnd
	}
	return line[:len(line)-2], nil
}

func (c *session) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO":
		lines := append([]string{"sink.test", "8BITMIME", "SMTPUTF8"}, c.offers()...)
		if !c.sink.o.NoPipelining {
			lines = append(lines, "PIPELINING")
		}
		return c.answer(Hello, "250-"+strings.Join(lines, "\r\n250-")+"\r\n250 ENHANCEDSTATUSCODES")
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.login(rest)
	case "MAIL":
		if c.sink.demands().user != "" && !c.known {
			return c.say("530 5.7.0 log in first")
		}
		if c.sink.o.MaxPerConn > 0 && c.count >= c.sink.o.MaxPerConn {
			c.sink.count("too many messages")
			_ = c.say("421 4.7.0 enough for this connection")
			return errEnd
		}
		c.mail, c.to, c.from = true, "", path(rest)
		return c.usually(Mail, "250 2.1.0 fine", func() { c.mail = false })
	case "RCPT":
		if !c.mail {
			return c.say("503 5.5.1 MAIL first")
		}
		if c.to != "" {
			c.sink.count("several recipients")
		}
		c.to = path(rest)
		c.first = c.sink.note(c.to)
		return c.usually(Rcpt, "250 2.1.5 fine", func() { c.to = "" })
	case "DATA":
		return c.data()
	case "RSET":
		c.mail, c.to = false, ""
		return c.say("250 2.0.0 forgotten")
	case "NOOP":
		return c.say("250 2.0.0 fine")
	case "QUIT":
		_ = c.say("221 2.0.0 bye")
		return errEnd
	}
	return c.say("500 5.5.1 unknown command")
}

// path is the address within angle brackets.
func path(rest string) string {
	_, rest, _ = strings.Cut(rest, "<")
	address, _, _ := strings.Cut(rest, ">")
	return address
}

// data takes one message.
func (c *session) data() error {
	if c.to == "" {
		return c.say("554 5.5.1 no valid recipients")
	}
	began := time.Now().UTC()
	going := true
	if err := c.usually(Data, "354 go ahead", func() { going = false }); err != nil || !going {
		return err
	}
	message, err := c.body()
	if err != nil {
		return err
	}
	dotAt := time.Now().UTC()
	taken := true
	if err := c.act(c.sink.apply(Dot, c.to, c.first), "", func() { taken = false }); err != nil || !taken {
		return err
	}
	sum := sha256.Sum256(message)
	entry := Entry{
		Began: began, DotAt: dotAt, From: c.from, To: c.to, MessageID: messageID(message), SHA256: hex.EncodeToString(sum[:]),
		Bytes: len(message), Conn: c.number,
	}
	if err := c.sink.take(entry); err != nil {
		return err
	}
	c.count++
	c.mail = false
	if err := c.answer(Taken, "250 2.0.0 taken"); err != nil {
		return err
	}
	if r := c.sink.apply(Idle, "", false); r != nil {
		return c.act(r, "", nil)
	}
	return nil
}

// body reads up to the final dot.
func (c *session) body() ([]byte, error) {
	var message bytes.Buffer
	for first := true; ; first = false {
		line, err := c.line()
		if err != nil {
			if !errors.Is(err, errEnd) {
				c.sink.mu.Lock()
				c.sink.half++
				c.sink.mu.Unlock()
			}
			return nil, err
		}
		if first {
			line = bytes.Clone(line) // a rule may wait while the buffer is read on
			if r := c.sink.apply(Body, c.to, c.first); r != nil && (r.Reply != "" || r.Drop || r.Reset) {
				return nil, errors.Join(errEnd, c.act(r, "", nil))
			}
		}
		if len(line) == 1 && line[0] == '.' {
			return message.Bytes(), nil
		}
		message.Write(bytes.TrimPrefix(line, []byte(".")))
		message.WriteString("\r\n")
	}
}

// messageID finds the field in the header.
func messageID(message []byte) string {
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	for line := range bytes.Lines(header) {
		name, value, ok := bytes.Cut(line, []byte(":"))
		if ok && strings.EqualFold(string(name), "Message-ID") {
			return strings.TrimSpace(string(value))
		}
	}
	return ""
}

// answer says the usual, or what a rule says.
func (c *session) answer(stage Stage, usual string) error { return c.usually(stage, usual, nil) }

// usually is answer; refused is called if a rule's reply is no 2xx or 3xx.
func (c *session) usually(stage Stage, usual string, refused func()) error {
	return c.act(c.sink.apply(stage, c.to, c.first), usual, refused)
}

// act does what a rule says. An error ends the session.
func (c *session) act(r *rule, usual string, refused func()) error {
	reply := usual
	if r != nil && r.Endless {
		_, _ = io.CopyN(c.conn, endless{}, maxEndless) // until the client has enough
		return errEnd
	}
	if r != nil && r.Reply != "" {
		reply = r.Reply
		if refused != nil && reply[0] != '2' && reply[0] != '3' {
			refused()
		}
	}
	if r != nil && (r.Drop || r.Reset) {
		if r.Reply != "" {
			_ = c.say(reply) // it is the last word in any case
		}
		if r.Reset {
			reset(c.conn)
		}
		return errEnd
	}
	if reply == "" {
		return nil
	}
	if err := c.say(reply); err != nil {
		return err
	}
	if strings.HasPrefix(reply, "421") {
		return errEnd
	}
	return nil
}

func (c *session) say(reply string) error {
	_, err := io.WriteString(c.conn, reply+"\r\n")
	return err
}

// endless is a line without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
