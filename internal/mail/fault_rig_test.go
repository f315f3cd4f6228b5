package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

// rig is a courier between a real outbox and a relay that fails on demand.
type rig struct {
	t       *testing.T
	db      *dbtest.DB
	edition news.Edition
	courier *Courier
	log     *eventLog
	relays  []interface{ Messages() []smtptest.Message }
	readers int
}

func newRig(t *testing.T, readers int, tr Transport, change func(*Options), relays ...interface{ Messages() []smtptest.Message }) *rig {
	t.Helper()
	r := &rig{t: t, db: dbtest.SQLite(t), readers: readers, relays: relays}
	r.edition = closeEdition(t, r.db, readers, nil)
	r.start(tr, change)
	return r
}

// start makes the courier.
func (r *rig) start(tr Transport, change func(*Options)) {
	r.t.Helper()
	r.courier, r.log = storeCourier(r.t, r.db, tr)
	if change != nil {
		o := r.courier.o
		o.Batch = 0
		change(&o)
		c, err := New(o)
		if err != nil {
			r.t.Fatal(err)
		}
		r.courier = c
	}
}

// run sends what is due, again and again, with time passing in between.
func (r *rig) run(times int, pause time.Duration) {
	r.t.Helper()
	for range times {
		if _, err := r.courier.Once(r.t.Context()); err != nil && !errors.Is(err, ErrRelayDown) {
			r.t.Fatal(err)
		}
		r.db.Clock.Advance(pause)
	}
}

func (r *rig) rows() []news.Delivery {
	r.t.Helper()
	rows, err := r.db.Deliveries(context.Background(), news.DeliveryQuery{EditionID: r.edition.ID, Limit: 10_000})
	if err != nil {
		r.t.Fatal(err)
	}
	return rows
}

func (r *rig) row(reader int) news.Delivery {
	r.t.Helper()
	for _, d := range r.rows() {
		if d.Address == address(reader) {
			return d
		}
	}
	r.t.Fatalf("no delivery to %s", address(reader))
	return news.Delivery{}
}

func address(reader int) string { return fmt.Sprintf("reader%d@example.net", reader) }

// uncharged checks that nobody has paid for the relay's faults.
func (r *rig) uncharged() {
	r.t.Helper()
	for _, d := range r.rows() {
		if d.Attempts != 0 || d.State.Ended() {
			r.t.Fatalf("charged: %+v", d)
		}
	}
}

// subscription is the state of a reader's place on the list.
func (r *rig) subscription(reader int) news.SubscriptionState {
	r.t.Helper()
	addr, err := news.ParseAddress("address", address(reader))
	if err != nil {
		r.t.Fatal(err)
	}
	row, err := r.db.SubscriberByAddress(context.Background(), addr)
	if err != nil {
		r.t.Fatal(err)
	}
	return row.Subscriptions[0].State
}

// bounced counts the readers who lost their place.
func (r *rig) bounced() int {
	r.t.Helper()
	rows, err := r.db.Subscribers(context.Background(), news.SubscriberQuery{List: "world", Limit: 10_000})
	if err != nil {
		r.t.Fatal(err)
	}
	n := 0
	for _, row := range rows {
		if row.Subscriptions[0].State != news.SubscriptionActive {
			n++
		}
	}
	return n
}

// ends is the oracle of every fault: the edition's counts balance (O1), what is
// accepted is in the relay's log and the other way round (O2), nobody is missing
// (O3), and there are no more extra copies than events that may make one, all
// with the same bytes (O4). faults > 0 says that the fault happened (O8).
func (r *rig) ends(state news.EditionState, want news.DeliveryTally, extra, faults int) {
	r.t.Helper()
	wantTally(r.t, r.db, r.edition.ID, state, maps.Clone(want))
	if faults <= 0 {
		r.t.Error("the fault did not happen")
	}
	copies := map[string]map[string]int{}
	total := 0
	for _, relay := range r.relays {
		for _, m := range relay.Messages() {
			to := strings.Join(m.To, ",")
			if copies[to] == nil {
				copies[to] = map[string]int{}
			}
			copies[to][string(m.Data)]++
			total++
		}
	}
	accepted := 0
	for _, d := range r.rows() {
		switch {
		case len(copies[d.Address]) > 1:
			r.t.Errorf("the copies for %s differ", d.Address)
		case d.State == news.DeliveryAccepted && len(copies[d.Address]) == 0:
			r.t.Errorf("%s is said to have it and has not", d.Address)
		case d.State == news.DeliveryRefused && len(copies[d.Address]) > 0:
			r.t.Errorf("%s is said to have refused it and has it", d.Address)
		}
		if d.State == news.DeliveryAccepted {
			accepted++
		}
	}
	if len(copies) > r.readers || total-len(copies) > extra {
		r.t.Errorf("%d messages to %d readers: %d extra copies, %d allowed", total, len(copies), total-len(copies), extra)
	}
	if accepted != want[news.DeliveryAccepted] {
		r.t.Errorf("%d accepted", accepted)
	}
}

// uncertain counts the recorded attempts whose last reply was lost.
func (r *rig) uncertain() int {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	n := 0
	for _, e := range r.log.all {
		if e.Kind == EventAttempt && e.Outcome.State == news.DeliveryUncertain {
			n++
		}
	}
	return n
}

// wire is the network to a relay; it can be cut.
type wire struct {
	mu    sync.Mutex
	fault error // of dialing
	dials int
}

func (w *wire) set(fault error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fault = fault
}

func (w *wire) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dials
}

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	w.dials++
	fault := w.fault
	w.mu.Unlock()
	if fault != nil {
		return nil, fault
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// pipeRelay is a relay over pipes, for bubbles in which time passes only when
// everybody waits. on says what to answer in place of the usual: a reply, "" for
// the usual one, or hangUp, or silence.
type pipeRelay struct {
	on        func(verb, to string) string
	think     time.Duration // before each reply
	perSecond int           // bytes of a body; 0: as fast as it comes

	mu       sync.Mutex
	got      []smtptest.Message
	sessions int
}

const (
	hangUp  = "hang up"
	silence = "silence"
	takeIt  = "take it and " // before hangUp or silence at the dot
)

func (p *pipeRelay) Messages() []smtptest.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.got
}

// transport speaks to it.
func (p *pipeRelay) transport(t *testing.T, name string) *SMTP {
	t.Helper()
	tr, err := NewSMTP(SMTPOptions{Name: name, Host: "relay.test", TLS: TLSNone, HELO: "a.test", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		p.mu.Lock()
		p.sessions++
		p.mu.Unlock()
		go func() {
			defer theirs.Close()
			p.serve(theirs)
		}()
		return ours, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// reply is what is answered to verb.
func (p *pipeRelay) reply(verb, to, usual string) string {
	if p.on != nil {
		if special := p.on(verb, to); special != "" {
			return special
		}
	}
	return usual
}

// say answers; false ends the session.
func (p *pipeRelay) say(conn net.Conn, reply string) bool {
	if p.think > 0 {
		<-time.After(p.think)
	}
	switch reply {
	case hangUp:
		return false
	case silence:
		_, _ = io.Copy(io.Discard, conn) // until the other side has had enough
		return false
	}
	_, err := io.WriteString(conn, reply+"\r\n")
	return err == nil && !strings.HasPrefix(reply, "421")
}

func (p *pipeRelay) serve(conn net.Conn) {
	r := bufio.NewReader(conn)
	if !p.say(conn, p.reply("", "", "220 relay.test")) {
		return
	}
	var m smtptest.Message
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		verb, rest, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		usual := "250 ok"
		switch verb {
		case "MAIL":
			m = smtptest.Message{}
		case "RCPT":
			_, to, _ := strings.Cut(rest, "<")
			m.To = []string{strings.TrimSuffix(to, ">")}
		case "DATA":
			usual = "354 go on"
		}
		to := strings.Join(m.To, "")
		reply := p.reply(verb, to, usual)
		if !p.say(conn, reply) || verb == "DATA" && reply[0] == '3' && !p.body(conn, r, &m) {
			return
		}
	}
}

func (p *pipeRelay) body(conn net.Conn, r *bufio.Reader, m *smtptest.Message) bool {
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		if p.perSecond > 0 {
			<-time.After(time.Duration(len(line)) * time.Second / time.Duration(p.perSecond))
		}
		if line == ".\r\n" {
			break
		}
		m.Data = append(m.Data, strings.TrimPrefix(line, ".")...)
	}
	reply, taken := strings.CutPrefix(p.reply(".", m.To[0], "250 taken"), takeIt)
	if taken || reply[0] == '2' {
		p.mu.Lock()
		p.got = append(p.got, *m)
		p.mu.Unlock()
	}
	return p.say(conn, reply)
}
