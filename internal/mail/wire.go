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
// two writes, and that a context can cut short. All but its Read, Write and Close
// is for the session's goroutine only.
type guardedConn struct {
	net.Conn
	read  atomic.Int64
	until time.Time       // the end of what is under way
	cutBy context.Context // that closes the connection when it ends
	spare func() bool     // ends that
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

// within gives what follows d, and less if ctx ends: then the connection is
// closed. ctx counts until within or release is called again.
func (c *guardedConn) within(ctx context.Context, d time.Duration) {
	// Deadlines are the operating system's business: the real clock, not an injected one.
	c.until = time.Now().Add(d)
	_ = c.SetDeadline(c.until)
	if ctx != c.cutBy { // one and the same for nearly all messages
		c.release()
		c.cutBy, c.spare = ctx, context.AfterFunc(ctx, func() { _ = c.Close() })
	}
}

// release lets the connection be, whatever becomes of the context.
func (c *guardedConn) release() {
	if c.spare != nil {
		c.spare()
	}
	c.cutBy, c.spare = nil, nil
}

// awaiting shortens the time for the next reply to d.
func (c *guardedConn) awaiting(d time.Duration) {
	if deadline := time.Now().Add(d); deadline.Before(c.until) {
		_ = c.SetReadDeadline(deadline)
	}
}

// checkWire refuses bytes that a relay could read as something other than one
// message with short lines (RFC 5321 §2.3.8, §4.5.3.1.6): bare CR or LF, NUL,
// long lines, no line end at the end. It stands at the last gate, whoever
// built the message. dots is how many lines begin with one.
func checkWire(msg []byte) (dots int, err error) {
	if !bytes.HasSuffix(msg, []byte("\r\n")) {
		return 0, errors.New("the message does not end with a line end")
	}
	if bytes.IndexByte(msg, 0) >= 0 {
		return 0, errors.New("the message contains NUL")
	}
	returns := bytes.Count(msg, []byte("\r"))
	line := 0
	for rest := msg; len(rest) > 0; {
		line++
		i := bytes.IndexByte(rest, '\n')
		if i < 1 || rest[i-1] != '\r' {
			return 0, fmt.Errorf("line %d of the message has a bare LF", line)
		}
		if i-1 > maxWireLine {
			return 0, fmt.Errorf("line %d of the message has %d octets", line, i-1)
		}
		if rest[0] == '.' {
			dots++
		}
		rest = rest[i+1:]
	}
	if line != returns {
		return 0, errors.New("the message has a bare CR")
	}
	return dots, nil
}

// stuff doubles the dots at the start of lines (RFC 5321 §4.5.2); there are so
// many.
func stuff(msg []byte, dots int) []byte {
	out := make([]byte, 0, len(msg)+dots)
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
