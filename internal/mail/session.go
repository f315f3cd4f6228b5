package mail

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/textproto"
	"strconv"
	"time"

	"github.com/wneessen/go-mail/smtp"
)

// smtpSession is one connection. Commands go through the text connection that
// smtp.Client exports for extensions, because pipelining (RFC 2920), the SIZE
// parameter, SMTPUTF8 only where it is needed, and the held-back dot are not
// to be had from its methods.
type smtpSession struct {
	o      *SMTPOptions
	conn   *guardedConn
	client *smtp.Client

	pipelining, utf8, size bool
	maxSize                int // of a message, if the relay has said (RFC 1870 §4); 0: unknown

	usable bool // the connection is in step and may carry another message
	open   bool // a transaction was begun and not ended: RSET before the next
	body   bool // a body was sent and waits for its dot

	taken Receipt // of the last dot, as it came
	auth  AuthMechanism
}

// command is one line and what it should lead to.
type command struct {
	stage Stage
	line  string
	want  int // first digit of the reply
}

// Begin sends MAIL, RCPT, DATA and the body. After an error the session may
// still be usable: see Usable.
func (s *smtpSession) Begin(ctx context.Context, env Envelope, msg []byte) error {
	if !s.usable || s.body {
		return &ReplyError{Stage: StageMail, Err: errors.New("the connection is not usable")}
	}
	dots, err := checkWire(msg)
	if err != nil {
		return &ReplyError{Stage: StageBody, Code: 554, Enhanced: "5.6.0", Text: err.Error()}
	}
	if badPath(env.From) || badPath(env.To) || env.To == "" {
		return &ReplyError{Stage: StageRcpt, Code: 553, Enhanced: "5.1.3", Text: "the address cannot be written in a command"}
	}
	// What the relay would refuse is not sent. It is the message's fault, not the
	// recipient's: the next relay may take it.
	if s.maxSize > 0 && len(msg) > s.maxSize {
		return &ReplyError{Stage: StageMail, Code: 552, Enhanced: "5.3.4", Text: fmt.Sprintf("the message has %d bytes, the relay takes %d", len(msg), s.maxSize)}
	}
	if env.UTF8 && !s.utf8 { // RFC 6531 §3.5
		return &ReplyError{Stage: StageRcpt, Code: 553, Enhanced: "5.6.7", Text: "the relay does not offer SMTPUTF8, which this address needs"}
	}
	s.conn.within(ctx, s.o.MessageTimeout)
	if err := s.envelope(env, len(msg)); err != nil {
		return err
	}
	if dots > 0 {
		msg = stuff(msg, dots)
	}
	w := s.client.Text.W
	if _, err = w.Write(msg); err == nil {
		err = w.Flush()
	}
	if err != nil {
		return s.lastWord(err)
	}
	s.body = true
	return nil
}

// envelope runs the commands before the body.
func (s *smtpSession) envelope(env Envelope, size int) error {
	mail := "MAIL FROM:<" + env.From + ">"
	if s.size {
		mail += " SIZE=" + strconv.Itoa(size) // RFC 1870 §6
	}
	if env.UTF8 {
		mail += " SMTPUTF8"
	}
	commands := make([]command, 0, 4)
	if s.open {
		commands = append(commands, command{StageMail, "RSET", 2})
	}
	commands = append(commands, command{StageMail, mail, 2}, command{StageRcpt, "RCPT TO:<" + env.To + ">", 2}, command{StageData, "DATA", 3})
	s.open = true
	if !s.pipelining {
		for i := range commands {
			if err := s.exchange(commands[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	return s.exchange(commands)
}

// exchange sends commands at once and reads all their replies: a refusal of
// DATA follows from that of RCPT, so the first one rules (RFC 2920 §3.1).
func (s *smtpSession) exchange(commands []command) error {
	w := s.client.Text.W
	for _, c := range commands {
		_, _ = w.WriteString(c.line) // Flush tells the error
		_, _ = w.WriteString("\r\n")
	}
	if err := w.Flush(); err != nil {
		return s.lost(commands[0].stage, err)
	}
	var first *ReplyError
	for _, c := range commands {
		err := s.reply(c.stage, c.want, s.o.CommandTimeout)
		switch {
		case err == nil && c.stage == StageData && first != nil:
			// The relay waits for a body although it refused the recipient. Only
			// hanging up surely delivers nothing.
			s.usable = false
		case err == nil:
		case err.Code == 0 || err.Code == 421:
			if first == nil {
				first = err
			}
			return first
		case c.line == "RSET":
			// Not answered with 2xx by a relay out of step: not this message's fault.
			s.usable = false
			return &ReplyError{Stage: StageMail, Err: fmt.Errorf("RSET was answered %d", err.Code)}
		case first == nil:
			first = err
		}
	}
	if first != nil {
		return first
	}
	return nil
}

// reply reads one reply; nil if its first digit is want. The connection is
// unusable after a fault of the wire, a 421 and a reply of no meaning here.
func (s *smtpSession) reply(stage Stage, want int, timeout time.Duration) *ReplyError {
	r := s.client.Text.R
	if r.Buffered() == 0 {
		s.conn.awaiting(timeout)
	}
	if _, err := r.Peek(1); err != nil { // waits for it
		return s.lost(stage, err)
	}
	if code, text, ok := plainReply(r); ok && code/100 == want {
		if stage == StageDot {
			s.taken = Receipt{Code: code, Text: string(text)}
		}
		_, _ = r.Discard(len("250 ") + len(text) + len("\r\n"))
		return nil
	}
	code, text, err := s.client.Text.ReadResponse(want)
	if err == nil {
		s.taken = Receipt{Code: code, Text: text}
		return nil
	}
	e := replyError(stage, err)
	if e.Code < 400 || e.Code > 599 || e.Code == 421 {
		s.usable = false
	}
	if _, ok := errors.AsType[*textproto.Error](err); !ok {
		s.usable = false
	}
	return e
}

// plainReply returns the reply that r holds next if it is one line such as "250
// text" CR LF, and leaves it there: most are, and go-mail's reader makes four
// strings of each. What is not plain is left to that.
func plainReply(r *bufio.Reader) (code int, text []byte, ok bool) {
	line, _ := r.Peek(r.Buffered())
	end := bytes.IndexByte(line, '\n')
	if end < len("250 \r") || line[end-1] != '\r' || line[3] != ' ' {
		return 0, nil, false
	}
	for _, c := range line[:3] {
		if c < '0' || c > '9' {
			return 0, nil, false
		}
		code = 10*code + int(c-'0')
	}
	return code, line[4 : end-1], true
}

// lastWord is for a body that could not be written: the relay may have said
// why before it hung up (RFC 5321 §4.2.5).
func (s *smtpSession) lastWord(cause error) error {
	s.usable = false
	if err := s.reply(StageBody, 2, time.Second); err != nil && err.Code != 0 {
		return err
	}
	return &ReplyError{Stage: StageBody, Err: cause}
}

func (s *smtpSession) lost(stage Stage, err error) *ReplyError {
	s.usable = false
	return &ReplyError{Stage: stage, Err: err}
}

// Dot ends the message.
func (s *smtpSession) Dot(ctx context.Context) error {
	if !s.usable || !s.body {
		return &ReplyError{Stage: StageBody, Err: errors.New("no message was begun")}
	}
	s.body = false
	// A reply before the dot is not one to the dot. Taking it for one would
	// count a message as delivered that never was.
	if s.client.Text.R.Buffered() > 0 {
		s.usable = false
		return &ReplyError{Stage: StageBody, Err: errors.New("the relay spoke out of turn")}
	}
	s.conn.within(ctx, s.o.DotTimeout)
	w := s.client.Text.W
	_, err := w.WriteString(".\r\n")
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		return s.lost(StageDot, err)
	}
	if err := s.reply(StageDot, 2, s.o.DotTimeout); err != nil {
		s.open = false // ended, though refused (RFC 5321 §4.1.1.4)
		return err
	}
	s.open = false
	return nil
}

// Receipt is the reply to the last dot.
func (s *smtpSession) Receipt() Receipt {
	enhanced, text := cutEnhanced(s.taken.Code, cleanLine(s.taken.Text, maxReceipt))
	return Receipt{Code: s.taken.Code, Enhanced: enhanced, Text: text}
}

// maxReceipt bounds what is kept of each mail that was taken, in characters.
// Servers that say where it is queued need 20 to 80.
const maxReceipt = 200

// Usable tells whether the session can take another message.
func (s *smtpSession) Usable() bool { return s.usable && !s.body }

// Quit says goodbye without waiting long for the answer.
func (s *smtpSession) Quit() {
	if s.Usable() {
		s.conn.within(context.Background(), time.Second)
		_ = s.client.Quit()
	}
	s.Abort()
}

// Abort hangs up.
func (s *smtpSession) Abort() {
	s.usable = false
	s.conn.release()
	_ = s.conn.Close()
}

// badPath refuses what could end a path in a command.
func badPath(address string) bool {
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c == '<' || c == '>' || c == 0x7f {
			return true
		}
	}
	return len(address) > 320
}
