package mail

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gazetted/internal/news"
)

// slow is a relay that takes d for each message.
func slow(name string, d time.Duration) *fakeRelay {
	return &fakeRelay{name: name, onDot: func(context.Context, string) error { <-time.After(d); return nil }}
}

func domains(f *fakeRelay) map[string]int {
	out := map[string]int{}
	for _, m := range f.messages() {
		out[domainOf(m.to)]++
	}
	return out
}

func TestRelaysShareByWeight(t *testing.T) {
	a, b, standby := slow("a", 10*time.Millisecond), slow("b", 15*time.Millisecond), slow("c", time.Millisecond)
	bubble(t, 400, a, func(o *Options) {
		o.Relays = []Relay{{Transport: standby, Connections: 5}, {Transport: a, Weight: 3, Connections: 3}, {Transport: b, Weight: 1, Connections: 3}}
	}, func(t *testing.T, s *memStore, _ *eventLog) {
		after(10 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 400})
		if na, nb := len(a.messages()), len(b.messages()); na != 300 || nb != 100 || len(standby.messages()) != 0 {
			t.Errorf("shares %d and %d, standing by %d", na, nb, len(standby.messages()))
		}
	})
}

// A relay that is down gives its share to the others, and is not flooded when
// it is back.
func TestShareOfARelayThatIsDown(t *testing.T) {
	down := true
	a, b := slow("a", 10*time.Millisecond), slow("b", 10*time.Millisecond)
	a.onOpen = func(int) error {
		if down {
			return &ReplyError{Stage: StageConnect, Err: errors.New("refused")}
		}
		return nil
	}
	bubble(t, 300, b, func(o *Options) {
		o.Relays = []Relay{{Transport: a, Weight: 1, Connections: 3}, {Transport: b, Weight: 1, Connections: 3}}
	}, func(t *testing.T, s *memStore, _ *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 300})
		down = false
		after(time.Hour)
		s.mu.Lock()
		for i := range 400 {
			s.add(fmt.Sprintf("later%d@example.net", i))
		}
		s.mu.Unlock()
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 700})
		if n := len(a.messages()); n < 190 || n > 230 {
			t.Errorf("the relay that came back took %d of 400", n)
		}
	})
}

// TestSlowRelayHoldsNobodyUp is the second half of F21.
func TestSlowRelayHoldsNobodyUp(t *testing.T) {
	fast, tired := slow("fast", 5*time.Millisecond), slow("tired", 20*time.Second)
	bubble(t, 2000, fast, func(o *Options) {
		o.Relays = []Relay{{Transport: fast, Weight: 1, Connections: 2}, {Transport: tired, Weight: 1, Connections: 2}}
	}, func(t *testing.T, s *memStore, _ *eventLog) {
		after(15 * time.Second)
		if n := len(fast.messages()); n < 1900 {
			t.Errorf("the fast relay has sent %d", n)
		}
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 2000})
	})
}

func TestRateOfARelay(t *testing.T) {
	relay := &fakeRelay{}
	bubble(t, 100, relay, func(o *Options) { o.Relays[0].Rate = 5 }, func(t *testing.T, s *memStore, _ *eventLog) {
		after(10 * time.Second)
		if n := len(relay.messages()); n < 45 || n > 52 {
			t.Errorf("%d messages in ten seconds at 5 a second", n)
		}
		after(15 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 100})
		times := relay.messages()
		for i := 5; i < len(times); i++ {
			if d := times[i].at.Sub(times[i-5].at); d < 900*time.Millisecond {
				t.Fatalf("six messages within %s", d)
			}
		}
	})
}

func TestOperatorPausesARelay(t *testing.T) {
	a, b := slow("a", 10*time.Millisecond), slow("b", 10*time.Millisecond)
	bubble(t, 0, a, func(o *Options) { o.Relays = []Relay{{Transport: a}, {Transport: b}} }, func(t *testing.T, s *memStore, _ *eventLog) {
		add := func(n int, paused ...string) {
			s.mu.Lock()
			s.paused = paused
			s.mu.Unlock()
			after(6 * time.Second)
			s.mu.Lock()
			for range n {
				s.add("reader@example.net")
			}
			s.mu.Unlock()
			after(6 * time.Second)
		}
		want := func(inA, inB int) {
			t.Helper()
			if len(a.messages()) != inA || len(b.messages()) != inB {
				t.Errorf("a sent %d, b %d; want %d and %d", len(a.messages()), len(b.messages()), inA, inB)
			}
		}
		add(10)
		want(10, 0)
		add(10, "a")
		want(10, 10)
		add(10, "a", "b")
		want(10, 10)
		if r := s.row(25); r.Attempts != 0 || r.State.Ended() {
			t.Errorf("%+v", r.Delivery)
		}
		add(0)
		want(20, 10)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 30})
	})
}

func TestDomainLimits(t *testing.T) {
	underWay, most := map[string]int{}, map[string]int{}
	relay := &fakeRelay{}
	relay.onDot = func(_ context.Context, to string) error {
		relay.mu.Lock()
		domain := domainOf(to)
		underWay[domain]++
		most[domain] = max(most[domain], underWay[domain])
		relay.mu.Unlock()
		<-time.After(100 * time.Millisecond)
		relay.mu.Lock()
		underWay[domain]--
		relay.mu.Unlock()
		return nil
	}
	bubble(t, 0, relay, func(o *Options) {
		o.Relays[0].Connections, o.Relays[0].DomainConnections, o.Relays[0].DomainRate = 6, 2, 10
	}, func(t *testing.T, s *memStore, _ *eventLog) {
		s.mu.Lock()
		for i := range 2000 { // the big one stands in front of all others
			s.add(fmt.Sprintf("r%d@BIG.example.net", i))
		}
		for i := range 400 {
			s.add(fmt.Sprintf("r@d%d.example.org", i))
		}
		s.mu.Unlock()
		after(30 * time.Second)
		sent := domains(relay)
		if small := len(sent) - 1; small != 400 {
			t.Errorf("%d of 400 small domains were served beside the big one", small)
		}
		if n := sent["big.example.net"]; n < 240 || n > 310 {
			t.Errorf("%d to the big domain in 30 s at 10 a second", n)
		}
		after(30 * time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 2400})
		if most["big.example.net"] != 2 {
			t.Errorf("%d at once to one domain", most["big.example.net"])
		}
		if s.claims > 2500 {
			t.Errorf("%d claims for 2400 messages", s.claims)
		}
		for id := range s.rows {
			if s.row(id).Attempts != 1 {
				t.Fatalf("%+v", s.row(id).Delivery)
			}
		}
	})
}

// A domain that says "not so much" gets less, and the others do not notice.
func TestDomainThatDefersGetsLess(t *testing.T) {
	busy := true
	attempts := 0
	relay := &fakeRelay{}
	relay.onBegin = func(to string) error {
		<-time.After(10 * time.Millisecond)
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if strings.HasSuffix(to, "@busy.test") {
			if attempts++; busy {
				return &ReplyError{Stage: StageRcpt, Code: 452, Enhanced: "4.3.1", Text: "later"}
			}
		}
		return nil
	}
	bubble(t, 0, relay, nil, func(t *testing.T, s *memStore, _ *eventLog) {
		s.mu.Lock()
		for i := range 1000 {
			s.add(fmt.Sprintf("r%d@busy.test", i))
			s.add(fmt.Sprintf("r%d@well.test", i))
		}
		s.mu.Unlock()
		after(time.Minute)
		if n := domains(relay)["well.test"]; n != 1000 {
			t.Errorf("%d of 1000 others were sent", n)
		}
		if attempts > 40 {
			t.Errorf("%d attempts in a minute at a domain that takes nothing", attempts)
		}
		relay.mu.Lock()
		busy = false
		relay.mu.Unlock()
		after(time.Hour)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 2000})
	})
}

// Greylisting answers every first attempt with 4.7.1: that is no reason to slow
// down, or a first round would never end.
func TestGreylistingIsNoCongestion(t *testing.T) {
	seen := map[string]bool{}
	relay := &fakeRelay{}
	relay.onBegin = func(to string) error {
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if !seen[to] {
			seen[to] = true
			return &ReplyError{Stage: StageRcpt, Code: 450, Enhanced: "4.7.1", Text: "greylisted"}
		}
		return nil
	}
	bubble(t, 3000, relay, nil, func(t *testing.T, s *memStore, _ *eventLog) {
		after(10 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryDeferred: 3000})
		after(10 * time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 3000})
	})
}

func TestLanesAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLanes(Relay{Connections: 4, DomainRate: 0.01})
	for i := range maxLanes + 500 {
		domain := fmt.Sprintf("d%d.test", i)
		l.begin(domain, now)
		if i%1000 != 0 { // these stay under way
			l.end(domain, wantsLess, now)
		}
		if len(l.byName) > maxLanes {
			t.Fatalf("%d lanes", len(l.byName))
		}
	}
	for i := 0; i < maxLanes; i += 1000 {
		if d := l.byName[fmt.Sprintf("d%d.test", i)]; d == nil || d.underWay != 1 {
			t.Fatalf("a lane with a message under way was forgotten: %+v", d)
		}
	}
	free := newLanes(Relay{Connections: 4})
	for i := range 100 {
		free.begin(fmt.Sprint(i), now)
		free.end(fmt.Sprint(i), takesMail, now)
	}
	if len(free.byName) != 0 {
		t.Errorf("%d lanes remember nothing", len(free.byName))
	}
}

func TestLaneAdapts(t *testing.T) {
	now := time.Unix(0, 0)
	l := newLanes(Relay{Connections: 8})
	room := func() int {
		n := 0
		for ; ; n++ {
			if ok, _ := l.open("x", now); !ok {
				break
			}
			l.begin("x", now)
		}
		for range n {
			l.end("x", saysNothing, now)
		}
		return n
	}
	if n := room(); n != 8 {
		t.Fatalf("room for %d at first", n)
	}
	for range 8 { // all that was under way says the same: that is one sign, not eight
		l.begin("x", now)
	}
	l.end("x", wantsLess, now)
	l.end("x", wantsLess, now)
	for range 6 {
		l.end("x", takesMail, now)
	}
	if n := room(); n < 4 || n > 5 {
		t.Errorf("room for %d after one round of refusals", n)
	}
	for range 20 {
		l.begin("x", now)
		l.end("x", wantsLess, now)
	}
	if ok, wait := l.open("x", now); ok || wait != maxGap {
		t.Errorf("open %v, wait %s after 20 refusals in a row", ok, wait)
	}
	now = now.Add(maxGap)
	if n := room(); n != 1 {
		t.Errorf("room for %d after the gap", n)
	}
	for range 100 {
		l.begin("x", now)
		l.end("x", takesMail, now)
	}
	if len(l.byName) != 0 || room() != 8 {
		t.Errorf("a domain that takes mail again is still slow: %+v", l.byName["x"])
	}
}

func TestOnceSpillsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := slow("a", 10*time.Millisecond)
		s := newMemStore(t, 500)
		c, _ := newCourier(t, s, relay, func(o *Options) { o.Relays[0].DomainConnections, o.Relays[0].DomainRate = 1, 20 })
		tally, err := c.Once(t.Context())
		if err != nil || tally[news.DeliveryAccepted] != 500 || len(tally) != 1 {
			t.Errorf("%v, %v", tally, err)
		}
	})
}
