// Package sink is a relay for fault runs: a fast SMTP server that keeps one line for each
// message it took, and fails by rules.
//
// What it took is what was delivered: a line is appended to the log before the relay
// answers 250, and never changed. The oracle of a run compares these lines with the
// ledger. internal/smtptest is its sibling for unit tests: it keeps whole messages in
// memory and needs a *testing.T; this one counts, breaks connections in more ways, and
// runs for minutes in a program of its own.
//
// The order of a session is that of RFC 5321: greeting, EHLO, then for each message MAIL,
// RCPT, DATA, the body, the final dot. A Rule may act at each of these Stages.
package sink

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

// Entry is one line of the log: a message that the relay took.
type Entry struct {
	At        time.Time `json:"at"`      // when it was taken
	Began     time.Time `json:"began"`   // when DATA came
	DotAt     time.Time `json:"dot_at"`  // when the final dot came
	From      string    `json:"from"`    // envelope
	To        string    `json:"to"`      // envelope
	MessageID string    `json:"message"` // with its angle brackets; "" if there was none
	SHA256    string    `json:"sha256"`  // of header and body, dots unstuffed
	Bytes     int       `json:"bytes"`
	Conn      int       `json:"conn"` // number of the connection
	Open      int       `json:"open"` // open connections at that moment
}

// Options are what a relay is started with.
type Options struct {
	Log  string // the file; appended to
	Seed uint64 // of the shares of rules

	// MaxConns answers 421 to further connections; 0: no limit.
	MaxConns int
	// MaxPerConn answers 421 to MAIL after so many messages; 0: no limit.
	MaxPerConn int
	// BytesPerSecond is how fast each connection is read; 0: as fast as it goes.
	BytesPerSecond int
	// NoPipelining leaves PIPELINING out of the reply to EHLO.
	NoPipelining bool
}

// Sink is a running relay. Its methods may be called from any goroutine.
type Sink struct {
	o    Options
	addr string
	file *os.File

	ctx      context.Context // ends with Close
	stop     context.CancelFunc
	sessions sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener // nil while it is down
	conns    map[net.Conn]bool
	number   int // of connections so far
	rules    []*rule
	random   *rand.Rand
	counts   map[string]int // of rules that acted, by name
	seen     map[string]int // RCPTs of each address
	taken    int            // messages
	half     int            // connections that ended within DATA
	most     int            // open connections at once
	fault    error          // of the log
	security security
}

// Start listens on a free port of 127.0.0.1.
func Start(o Options) (*Sink, error) {
	file, err := os.OpenFile(o.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the relay's log: %w", err)
	}
	s := &Sink{
		o: o, file: file, addr: "127.0.0.1:0", conns: map[net.Conn]bool{}, counts: map[string]int{}, seen: map[string]int{},
		random: rand.New(rand.NewPCG(o.Seed, 1)),
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	if err := s.Up(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return s, nil
}

// Up listens, again on the same port after Down.
func (s *Sink) Up() error {
	var config net.ListenConfig
	l, err := config.Listen(s.ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("start the relay: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listener, s.addr = l, l.Addr().String()
	s.sessions.Go(func() { s.accept(l) })
	return nil
}

// Down stops listening and breaks all connections: the relay's machine is gone. It
// returns how many connections were open.
func (s *Sink) Down() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close() // nobody can be told
		s.listener = nil
	}
	n := len(s.conns)
	for c := range s.conns {
		reset(c)
	}
	return n
}

// Close ends the relay. The error is of the log, which a run must not do without.
func (s *Sink) Close() error {
	s.stop()
	s.Down()
	s.sessions.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(s.fault, s.file.Close())
}

// Addr is host and port.
func (s *Sink) Addr() string { return s.addr }

// Open is how many connections there are now.
func (s *Sink) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Stats are the counters of a relay.
type Stats struct {
	Taken       int            // messages
	Connections int            // so far, refused ones included
	Most        int            // open at once
	Half        int            // ended by the client within DATA
	Faults      map[string]int // how often each rule acted, by name
}

// Stats returns the counters.
func (s *Sink) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Stats{Taken: s.taken, Connections: s.number, Most: s.most, Half: s.half, Faults: maps.Clone(s.counts)}
}

func (s *Sink) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed; on loopback nothing else happens
		}
		s.mu.Lock()
		if s.listener != l { // it went down meanwhile
			s.mu.Unlock()
			_ = conn.Close()
			continue
		}
		s.number++
		s.conns[conn] = true
		s.most = max(s.most, len(s.conns))
		c := &session{sink: s, conn: conn, number: s.number, crowded: s.o.MaxConns > 0 && len(s.conns) > s.o.MaxConns}
		s.mu.Unlock()
		var in io.Reader = conn
		if s.o.BytesPerSecond > 0 {
			in = &slowReader{ctx: s.ctx, in: conn, rate: s.o.BytesPerSecond}
		}
		c.in = bufio.NewReaderSize(in, 16<<10)
		s.sessions.Go(func() {
			c.serve()
			_ = conn.Close()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.conns, conn)
		})
	}
}

// take appends a message to the log, in one write: whatever then happens, the relay has it.
func (s *Sink) take(e Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e.At, e.Open = time.Now().UTC(), len(s.conns)
	line, err := json.Marshal(e)
	if err == nil {
		_, err = s.file.Write(append(line, '\n'))
	}
	if err != nil {
		s.fault = fmt.Errorf("write the relay's log: %w", err)
		return s.fault
	}
	s.taken++
	return nil
}

// ReadLog returns the messages that were taken, in their order.
func ReadLog(path string) ([]Entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the relay's log: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read
	var all []Entry
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var e Entry
		err := d.Decode(&e)
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the relay's log: %w", err)
		}
		all = append(all, e)
	}
}

// slowReader reads no faster than rate bytes per second.
type slowReader struct {
	ctx  context.Context
	in   io.Reader
	rate int
}

func (r *slowReader) Read(p []byte) (int, error) {
	n, err := r.in.Read(p[:min(len(p), max(1, r.rate/20))])
	wait(r.ctx, time.Duration(n)*time.Second/time.Duration(r.rate), nil)
	return n, err
}

// wait returns after d, when c is closed, or when ctx ends. d 0 with a channel waits for
// the channel alone.
func wait(ctx context.Context, d time.Duration, c <-chan struct{}) {
	var after <-chan time.Time
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	} else if c == nil {
		return
	}
	select {
	case <-after:
	case <-c:
	case <-ctx.Done():
	}
}

// reset ends a connection with RST, so that what was sent and not read is lost.
func reset(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // only a hint
	}
	_ = c.Close()
}
