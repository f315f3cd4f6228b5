package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// maxReply bounds what is read between two writes: one reply, or a TLS
// server's side of the handshake. A relay that never stops talking is cut off.
const maxReply = 128 << 10

var errTooMuch = errors.New("the relay sent too much")

// guardedConn is a network connection that reads no more than maxReply between
// two writes, and that a context can cut short.
type guardedConn struct {
	net.Conn
	read  atomic.Int64
	until time.Time // the end of what is under way; used by the session's goroutine only
}

func (c *guardedConn) Read(p []byte) (int, error) {
	if c.read.Load() >= maxReply {
		return 0, errTooMuch
	}
	n, err := c.Conn.Read(p)
	c.read.Add(int64(n))
	return n, err
}

func (c *guardedConn) Write(p []byte) (int, error) {
	c.read.Store(0)
	return c.Conn.Write(p)
}

// within gives what follows d, and less if ctx ends. The returned function
// ends the guard; the connection is not to be trusted if ctx has ended.
func (c *guardedConn) within(ctx context.Context, d time.Duration) (release func()) {
	// Deadlines are the operating system's business: the real clock, not an injected one.
	c.until = time.Now().Add(d)
	_ = c.SetDeadline(c.until)
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return func() { stop() }
}

// awaiting shortens the time for the next reply to d.
func (c *guardedConn) awaiting(d time.Duration) {
	deadline := time.Now().Add(d)
	if deadline.After(c.until) {
		deadline = c.until
	}
	_ = c.SetReadDeadline(deadline)
}

// checkWire refuses bytes that a relay could read as something other than one
// message with short lines (RFC 5321 §2.3.8, §4.5.3.1.6): bare CR or LF, NUL,
// long lines, no line end at the end. It stands at the last gate, whoever
// built the message.
func checkWire(msg []byte) error {
	if !bytes.HasSuffix(msg, []byte("\r\n")) {
		return errors.New("the message does not end with a line end")
	}
	if bytes.IndexByte(msg, 0) >= 0 {
		return errors.New("the message contains NUL")
	}
	for line := 1; len(msg) > 0; line++ {
		i := bytes.IndexByte(msg, '\n')
		if i < 1 || bytes.IndexByte(msg[:i], '\r') != i-1 {
			return fmt.Errorf("line %d of the message has a bare CR or LF", line)
		}
		if i-1 > maxWireLine {
			return fmt.Errorf("line %d of the message has %d octets", line, i-1)
		}
		msg = msg[i+1:]
	}
	return nil
}

// stuff doubles the dot at the start of a line (RFC 5321 §4.5.2). Most messages
// have none and are returned as they are.
func stuff(msg []byte) []byte {
	n := bytes.Count(msg, []byte("\r\n."))
	if n == 0 && !bytes.HasPrefix(msg, []byte(".")) {
		return msg
	}
	out := make([]byte, 0, len(msg)+n+1)
	if msg[0] == '.' {
		out = append(out, '.')
	}
	for {
		i := bytes.Index(msg, []byte("\r\n."))
		if i < 0 {
			return append(out, msg...)
		}
		out = append(append(out, msg[:i+3]...), '.')
		msg = msg[i+3:]
	}
}
