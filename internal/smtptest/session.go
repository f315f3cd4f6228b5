package smtptest

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"strings"
)

// The limits of RFC 5321, sections 4.5.3.1.4 and 4.5.3.1.6, CRLF included. That of the
// command line is the one to which RFC 4954, section 4, raises it for AUTH.
const (
	maxCommandLine = 12288
	maxTextLine    = 1000
)

// errEnd ends a session that was closed on purpose.
var errEnd = errors.New("session ended")

// session is one connection.
type session struct {
	server *Server
	raw    net.Conn // as accepted
	conn   net.Conn // the same, or TLS over it
	reader *bufio.Reader
	number int

	crowded bool // one connection too many
	taken   int  // messages
	tls     bool
	hello   bool // EHLO or HELO was said
	user    string
	authed  bool
	mail    bool // MAIL was accepted
	message Message
}

// serve runs the session: greeting, then one command after the other, until the client
// quits, a rule hangs up or the connection breaks.
func (c *session) serve() {
	if c.server.implicitTLS {
		if !c.handshake() {
			return
		}
	}
	c.reader = bufio.NewReader(c.conn)
	if c.crowded {
		_ = c.reply("421 4.7.0 too many connections")
		return
	}
	if c.answer(Connect, "220 relay.test ESMTP", nil) != nil {
		return
	}
	for {
		line, err := c.readLine(maxCommandLine)
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(line, " ")
		verb = strings.ToUpper(verb)
		if verb == "AUTH" {
			c.server.note("AUTH")
		} else {
			c.server.note(line)
		}
		if c.command(verb, strings.TrimSpace(rest)) != nil {
			return
		}
	}
}

func (c *session) command(verb, rest string) error {
	switch verb {
	case "EHLO", "HELO":
		return c.sayHello(verb)
	case "STARTTLS":
		return c.startTLS()
	case "AUTH":
		return c.login(rest)
	case "MAIL":
		return c.mailFrom(rest)
	case "RCPT":
		return c.rcptTo(rest)
	case "DATA":
		return c.data()
	case "RSET":
		return c.answer(Reset, "250 2.0.0 forgotten", c.reset)
	case "NOOP":
		return c.answer(Noop, "250 2.0.0 fine", nil)
	case "QUIT":
		if err := c.answer(Quit, "221 2.0.0 bye", nil); err != nil {
			return err
		}
		return errEnd
	}
	return c.reply("500 5.5.1 unknown command")
}

func (c *session) reset() {
	c.mail, c.message = false, Message{}
}

func (c *session) sayHello(verb string) error {
	reply := "250 relay.test"
	if verb == "EHLO" {
		lines := append([]string{reply}, c.server.extensions...)
		if c.server.startTLS && !c.tls {
			lines = append(lines, "STARTTLS")
		}
		if c.authOffered() {
			lines = append(lines, "AUTH "+strings.Join(c.server.mechanisms, " "))
		}
		reply = strings.Join(lines, "\n")
	}
	return c.answer(Hello, reply, func() {
		c.reset() // RFC 5321, section 4.1.4
		c.hello = true
	})
}

// startTLS upgrades the connection. What the client said before no longer counts, nor what
// it sent ahead (RFC 3207, section 4.2).
func (c *session) startTLS() error {
	if !c.server.startTLS || c.tls {
		return c.reply("503 5.5.1 not offered")
	}
	agreed := false
	if err := c.answer(StartTLS, "220 2.0.0 go ahead", func() { agreed = true }); err != nil || !agreed {
		return err
	}
	if !c.handshake() {
		return errEnd
	}
	c.reader = bufio.NewReader(c.conn)
	c.reset()
	c.hello = false
	return nil
}

func (c *session) handshake() bool {
	conn := tls.Server(c.raw, c.server.tls)
	if conn.HandshakeContext(c.server.ctx) != nil {
		return false
	}
	c.conn, c.tls = conn, true
	return true
}

func (c *session) mailFrom(rest string) error {
	from, params, ok := cutPath(rest, "FROM:")
	switch {
	case !ok:
		return c.reply("501 5.5.4 say MAIL FROM:<address>")
	case !c.hello:
		return c.reply("503 5.5.1 say EHLO first")
	case c.server.auth && !c.authed:
		return c.reply("530 5.7.0 log in first")
	case c.mail:
		return c.reply("503 5.5.1 a sender was given already")
	case c.server.maxMessages > 0 && c.taken >= c.server.maxMessages:
		return errors.Join(errEnd, c.reply("421 4.7.0 too many messages, come again"))
	}
	return c.answer(Mail, "250 2.1.0 go on", func() {
		c.mail = true
		c.message = Message{From: from, MailParams: params}
	}, from)
}

func (c *session) rcptTo(rest string) error {
	to, _, ok := cutPath(rest, "TO:")
	switch {
	case !ok || to == "":
		return c.reply("501 5.5.4 say RCPT TO:<address>")
	case !c.mail:
		return c.reply("503 5.5.1 say MAIL first")
	}
	return c.answer(Rcpt, "250 2.1.5 go on", func() { c.message.To = append(c.message.To, to) }, to)
}

// cutPath splits what follows MAIL or RCPT: the path, without its brackets, and parameters.
func cutPath(rest, keyword string) (address, params string, ok bool) {
	if len(rest) < len(keyword) || !strings.EqualFold(rest[:len(keyword)], keyword) {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(rest[len(keyword):], "<")
	if !ok {
		return "", "", false
	}
	quoted := false // a quoted local part may hold a ">" (RFC 5321, section 4.1.2)
	for i := 0; i < len(rest); i++ {
		switch {
		case quoted && rest[i] == '\\':
			i++
		case rest[i] == '"':
			quoted = !quoted
		case rest[i] == '>' && !quoted:
			return rest[:i], strings.TrimSpace(rest[i+1:]), true
		}
	}
	return "", "", false
}

func (c *session) data() error {
	if len(c.message.To) == 0 {
		return c.reply("503 5.5.1 no recipient was accepted")
	}
	agreed := false
	err := c.answer(Data, "354 end with a dot", func() { agreed = true }, c.message.To...)
	if err != nil || !agreed {
		return err
	}
	body, fault, err := c.readBody()
	if err != nil {
		return err
	}
	c.server.note(".")
	m := c.message
	m.Data, m.User, m.TLS, m.Session = body, c.user, c.tls, c.number
	c.reset()

	rule := c.server.apply(Dot, m.To...)
	if fault != "" {
		return c.reply(fault)
	}
	reply := "250 2.0.0 taken"
	if rule != nil && (rule.Reply != "" || rule.Drop) {
		reply = rule.Reply
	}
	if strings.HasPrefix(reply, "2") || rule != nil && rule.Take {
		c.server.take(m)
		c.taken++
	}
	return c.finish(rule, reply)
}

// readBody reads up to the final dot and undoes the dot-stuffing (RFC 5321, section
// 4.5.2). A message that is not well-formed is read to its end too, and the fault is what
// to answer it with.
func (c *session) readBody() (body []byte, fault string, err error) {
	for {
		line, err := c.reader.ReadBytes('\n')
		if err != nil {
			return nil, "", err
		}
		text, crlf := bytes.CutSuffix(line, []byte("\r\n"))
		switch {
		case crlf && string(text) == ".":
			return body, fault, nil
		case !crlf || bytes.IndexByte(text, '\r') >= 0:
			fault = "554 5.6.0 a carriage return or line feed stands alone" // section 2.3.8
		case len(bytes.TrimPrefix(line, []byte("."))) > maxTextLine:
			fault = "554 5.6.0 a line is too long"
		}
		body = append(body, bytes.TrimPrefix(line, []byte("."))...)
	}
}

// answer gives the usual reply to a command, or what a rule has in its place. If the reply
// given is a positive one (2xx, 3xx), accepted is called before it is sent.
func (c *session) answer(stage Stage, usual string, accepted func(), addresses ...string) error {
	rule := c.server.apply(stage, addresses...)
	reply := usual
	if rule != nil && (rule.Reply != "" || rule.Drop) {
		reply = rule.Reply
	}
	if accepted != nil && (strings.HasPrefix(reply, "2") || strings.HasPrefix(reply, "3")) {
		accepted()
	}
	return c.finish(rule, reply)
}

// finish sends a reply, "" being none, and hangs up where that is due.
func (c *session) finish(rule *Rule, reply string) error {
	if reply != "" {
		if err := c.reply(reply); err != nil {
			return err
		}
	}
	if rule != nil && rule.Drop || strings.HasPrefix(reply, "421") {
		return errEnd
	}
	return nil
}

// reply writes a reply of one line or more (RFC 5321, section 4.2.1).
func (c *session) reply(text string) error {
	code, rest, _ := strings.Cut(text, " ")
	lines := strings.Split(rest, "\n")
	var out strings.Builder
	for i, line := range lines {
		separator := "-"
		if i == len(lines)-1 {
			separator = " "
		}
		out.WriteString(code + separator + line + "\r\n")
	}
	_, err := c.conn.Write([]byte(out.String()))
	return err
}

// readLine reads a command line. One without CRLF, or over the limit, ends the session.
func (c *session) readLine(limit int) (string, error) {
	line, err := c.reader.ReadString('\n')
	if err != nil {
		return "", err
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok || len(line) > limit {
		return "", errors.Join(errEnd, c.reply("500 5.5.2 not a command line"))
	}
	return text, nil
}
