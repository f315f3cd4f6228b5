// Package pooler is the part of PgBouncer's transaction mode that a client can
// notice, at its worst: between two transactions of a client, everything that a
// session keeps (settings, locks, prepared statements, LISTEN) is gone.
//
// It speaks the messages of PostgreSQL's protocol 3.0 (chapter "Frontend/Backend
// Protocol" of its manual) as far as lib/pq does.
package pooler

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Pooler stands between clients and a server. Each client brings one connection
// to the server, and then gets whichever is free.
type Pooler struct {
	listener net.Listener
	target   string
	all      sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool

	free map[string]chan *wire // by what the client said at its start: user, database, search_path
}

// maxServers bounds the connections of one kind.
const maxServers = 1000

// New starts a pooler before the server at target. The caller closes it.
func New(ctx context.Context, target string) (*Pooler, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Pooler{listener: l, target: target, conns: map[net.Conn]bool{}, free: map[string]chan *wire{}}
	p.all.Go(p.accept)
	return p, nil
}

// Addr is where clients connect.
func (p *Pooler) Addr() string { return p.listener.Addr().String() }

// Close ends all connections.
func (p *Pooler) Close() error {
	p.mu.Lock()
	p.closed = true
	for c := range p.conns {
		_ = c.Close()
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.all.Wait()
	return err
}

func (p *Pooler) accept() {
	for {
		c, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil && p.keep(c) {
			p.all.Go(func() {
				defer func() { _ = c.Close() }()
				_ = p.serve(newWire(c)) // a client that is not understood is cut off
			})
		}
	}
}

// keep notes a connection for Close; false: it is too late.
func (p *Pooler) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		_ = c.Close()
		return false
	}
	p.conns[c] = true
	return true
}

func (p *Pooler) queue(kind string) chan *wire {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.free[kind] == nil {
		p.free[kind] = make(chan *wire, maxServers)
	}
	return p.free[kind]
}

// The first messages of a connection, which have no type.
const (
	sslRequest    = 80877103
	cancelRequest = 80877102
)

func (p *Pooler) serve(client *wire) error {
	start, err := client.start()
	if err != nil {
		return err
	}
	c, err := (&net.Dialer{}).Dial("tcp", p.target)
	if err != nil {
		return err
	}
	if !p.keep(c) {
		return net.ErrClosed
	}
	server := newWire(c)
	if err := login(client, server, start); err != nil {
		return errors.Join(err, c.Close())
	}
	free := p.queue(string(start))
	if err := giveBack(server, free); err != nil {
		return err
	}
	for {
		if err := transaction(client, free); err != nil {
			return err
		}
	}
}

// login lets client and server talk until the server is ready.
func login(client, server *wire, start []byte) error {
	if _, err := server.Write(start); err != nil {
		return err
	}
	for {
		m, err := server.message()
		if err != nil {
			return err
		}
		if _, err := client.Write(m); err != nil {
			return err
		}
		switch {
		case m[0] == 'Z':
			return nil
		case m[0] == 'E':
			return errors.New("the server refused")
		case m[0] == 'R' && asksBack(binary.BigEndian.Uint32(m[5:9])):
			answer, err := client.message()
			if err != nil {
				return err
			}
			if _, err := server.Write(answer); err != nil {
				return err
			}
		}
	}
}

// asksBack tells which authentication requests want an answer: not "ok" (0) and
// the last word of SASL (12).
func asksBack(request uint32) bool { return request != 0 && request != 12 }

// transaction carries one transaction, on whichever connection is free.
func transaction(client *wire, free chan *wire) error {
	first, err := client.message()
	if err != nil || first[0] == 'X' {
		return errors.Join(err, io.EOF)
	}
	server := <-free
	for m := first; ; {
		if _, err := server.Write(m); err != nil {
			return errors.Join(err, server.Close())
		}
		if m[0] == 'Q' || m[0] == 'S' { // the server answers up to ReadyForQuery
			state, err := relay(client, server)
			if err != nil {
				return errors.Join(err, server.Close())
			}
			if state == 'I' {
				return giveBack(server, free)
			}
		}
		if m, err = client.message(); err != nil || m[0] == 'X' {
			return errors.Join(err, io.EOF, server.Close())
		}
	}
}

// relay carries the answers up to ReadyForQuery, and returns the state that it tells.
func relay(client io.Writer, server *wire) (state byte, err error) {
	for {
		m, err := server.message()
		if err != nil {
			return 0, err
		}
		if client != nil {
			if _, err := client.Write(m); err != nil {
				return 0, err
			}
		}
		if m[0] == 'Z' {
			return m[5], nil
		}
	}
}

// giveBack makes the server forget the client.
func giveBack(server *wire, free chan *wire) error {
	if _, err := server.Write(append([]byte{'Q', 0, 0, 0, 16}, "DISCARD ALL\x00"...)); err != nil {
		return errors.Join(err, server.Close())
	}
	if _, err := relay(nil, server); err != nil {
		return errors.Join(err, server.Close())
	}
	free <- server
	return nil
}

// wire reads messages.
type wire struct {
	net.Conn
	in *bufio.Reader
}

func newWire(c net.Conn) *wire { return &wire{c, bufio.NewReader(c)} }

// message reads a message with its type and length.
func (w *wire) message() ([]byte, error) {
	head := make([]byte, 5)
	if _, err := io.ReadFull(w.in, head); err != nil {
		return nil, err
	}
	return w.rest(head, binary.BigEndian.Uint32(head[1:]))
}

// start reads the first message, without TLS.
func (w *wire) start() ([]byte, error) {
	for {
		head := make([]byte, 4)
		if _, err := io.ReadFull(w.in, head); err != nil {
			return nil, err
		}
		m, err := w.rest(head, binary.BigEndian.Uint32(head))
		if err != nil {
			return nil, err
		}
		switch binary.BigEndian.Uint32(m[4:8]) {
		case sslRequest:
			if _, err := w.Write([]byte("N")); err != nil {
				return nil, err
			}
		case cancelRequest:
			return nil, errors.New("nobody is cancelled here")
		default:
			return m, nil
		}
	}
}

// rest completes a message: size counts all but its type.
func (w *wire) rest(head []byte, size uint32) ([]byte, error) {
	n := int(size) - 4
	if n < 0 || n > 64<<20 || len(head) == 4 && n < 4 {
		return nil, fmt.Errorf("a message of %d bytes", size)
	}
	m := append(head, make([]byte, n)...)
	_, err := io.ReadFull(w.in, m[len(head):])
	return m, err
}
