// Package link is a network cable that can be pulled: a TCP proxy between a
// daemon and its database, or its relay.
package link

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// State is what the cable does.
type State int

// The states.
const (
	Pass   State = iota
	Cut          // connections are reset, and new ones refused a word
	Silent       // bytes are taken and kept until the next state: nobody learns why
)

// Link is a cable. It is safe for concurrent use.
type Link struct {
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	target  string
	state   State
	delay   time.Duration
	changed chan struct{} // closed at the next change
	closed  bool
	conns   map[net.Conn]bool
	cut     int
}

// New lays a cable to target. The caller closes it.
func New(ctx context.Context, target string) (*Link, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	k := &Link{listener: l, target: target, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	k.all.Go(k.accept)
	return k, nil
}

// Addr is where clients connect.
func (k *Link) Addr() string { return k.listener.Addr().String() }

// Set changes the state. Cut resets what is connected.
func (k *Link) Set(s State) {
	k.change(func() {
		if k.state = s; s == Cut {
			k.reset()
		}
	})
}

// Delay makes what clients send arrive so much later.
func (k *Link) Delay(d time.Duration) { k.change(func() { k.delay = d }) }

// Lead moves the other end of the cable. What is connected is reset.
func (k *Link) Lead(target string) {
	k.change(func() {
		k.target = target
		k.reset()
	})
}

// Broken is how many connections were reset so far.
func (k *Link) Broken() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.cut
}

// Close ends it all.
func (k *Link) Close() error {
	k.change(func() {
		k.closed = true
		k.reset()
	})
	err := k.listener.Close()
	k.all.Wait()
	return err
}

func (k *Link) change(f func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	f()
	close(k.changed)
	k.changed = make(chan struct{})
}

// reset drops all connections with a RST. The lock is held.
func (k *Link) reset() {
	for c := range k.conns {
		if t, ok := c.(*net.TCPConn); ok {
			_ = t.SetLinger(0) // a RST instead of a FIN
		}
		_ = c.Close()
		k.cut++
	}
	clear(k.conns)
}

func (k *Link) accept() {
	for {
		c, err := k.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			k.all.Go(func() { k.carry(c) })
		}
	}
}

// keep notes a connection for reset; false: it must not be.
func (k *Link) keep(c net.Conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.state == Cut {
		_ = c.Close()
		return false
	}
	k.conns[c] = true
	return true
}

func (k *Link) drop(c net.Conn) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.conns, c)
	_ = c.Close() // a second time does nothing
}

func (k *Link) carry(client net.Conn) {
	if !k.keep(client) {
		return
	}
	defer k.drop(client)
	k.mu.Lock()
	target := k.target
	k.mu.Unlock()
	server, err := (&net.Dialer{Timeout: 5 * time.Second}).Dial("tcp", target)
	if err != nil || !k.keep(server) {
		return
	}
	defer k.drop(server)
	back := make(chan struct{})
	go func() {
		defer close(back)
		k.pump(client, server, false)
	}()
	k.pump(server, client, true)
	<-back
}

// chunk is what was read in one go.
type chunk struct {
	bytes []byte
	at    time.Time
}

// pump carries bytes one way, later if delayed, and at the end closes both ends.
func (k *Link) pump(to, from net.Conn, delayed bool) {
	queue := make(chan chunk, 1000)
	go func() {
		defer close(queue)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if n > 0 {
				queue <- chunk{b[:n], time.Now()}
			}
			if err != nil {
				return
			}
		}
	}()
	defer func() {
		_ = from.Close()
		_ = to.Close()
		for range queue { // until the reader has noticed
		}
	}()
	for c := range queue {
		if !k.let(c.at, delayed) {
			return
		}
		if _, err := to.Write(c.bytes); err != nil {
			return
		}
	}
}

// let waits until a chunk may pass; false: never.
func (k *Link) let(at time.Time, delayed bool) bool {
	for {
		k.mu.Lock()
		state, closed, changed, delay := k.state, k.closed, k.changed, k.delay
		k.mu.Unlock()
		rest := time.Until(at.Add(delay))
		switch {
		case closed || state == Cut:
			return false
		case state == Pass && (!delayed || rest <= 0):
			return true
		case state == Silent:
			<-changed
		default:
			timer := time.NewTimer(rest)
			select {
			case <-timer.C:
			case <-changed:
			}
			timer.Stop()
		}
	}
}
