package mail

import (
	"context"
)

// Envelope is what a relay is told about a message (RFC 5321 §2.3.1).
type Envelope struct {
	From string // reverse path; empty: the null sender
	To   string // the one recipient
	UTF8 bool   // To is not ASCII: the relay must offer SMTPUTF8 (RFC 6531)
}

// Transport opens sessions with one relay. Implementations are safe for
// concurrent use; each Session belongs to one goroutine.
type Transport interface {
	// Name says which relay this is, in rows, logs and metrics.
	Name() string
	// Open connects, secures and logs in. Errors are *ReplyError or, for
	// faults that never met the relay, judged like a lost connection.
	Open(ctx context.Context) (Session, error)
}

// Receipt is the reply of a relay that took a message. Its text often names the
// relay's queue, by which its operator finds the mail again.
type Receipt struct {
	Code     int
	Enhanced string // RFC 3463, e.g. 2.0.0
	Text     string // one line, shortened
}

// Session is one connection to a relay, for one message after the other.
type Session interface {
	// Begin sends everything but the final dot. Until Dot is called the relay
	// cannot have taken the message, whatever error comes back.
	Begin(ctx context.Context, env Envelope, msg []byte) error
	// Dot ends the message begun and waits for the relay's word. Nil means it
	// took the responsibility. An error without a reply means nobody knows.
	Dot(ctx context.Context) error
	// Receipt is what the relay said to the last dot, if it took the message.
	Receipt() Receipt
	// Usable tells whether the session can take another message.
	Usable() bool
	// Quit parts politely where that is quick; Abort hangs up, so that a
	// message begun is never ended. One of them must be called.
	Quit()
	Abort()
}
