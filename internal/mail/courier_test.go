package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a courier until the test's function returns, with time that
// passes only when everybody waits.
func bubble(t *testing.T, people int, relay *fakeRelay, change func(*Options), test func(t *testing.T, s *memStore, log *eventLog)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, people)
		c, log := newCourier(t, s, relay, change)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, 30*time.Second) }()
		test(t, s, log)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if relay.open != 0 {
			t.Errorf("%d sessions left open", relay.open)
		}
	})
}

func after(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func wantStates(t *testing.T, s *memStore, want news.DeliveryTally) {
	t.Helper()
	got := s.states()
	if len(got) != len(want) {
		t.Errorf("states %v, want %v", got, want)
	}
	for k, n := range want {
		if got[k] != n {
			t.Errorf("states %v, want %v", got, want)
		}
	}
}

func TestHappyPath(t *testing.T) {
	relay := &fakeRelay{}
	bubble(t, 300, relay, nil, func(t *testing.T, s *memStore, log *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 300})
		if s.reads != 1 || s.finished == 0 {
			t.Errorf("variant read %d times, editions finished %d times", s.reads, s.finished)
		}
		if relay.most > 3 || relay.open != 0 {
			t.Errorf("%d connections at once, %d idle ones left", relay.most, relay.open)
		}
		ids := map[string]bool{}
		for _, m := range relay.messages() {
			for _, f := range wireFaults([]byte(m.bytes)) {
				t.Error(f)
			}
			parsed, err := mail.ReadMessage(strings.NewReader(m.bytes))
			if err != nil {
				t.Fatal(err)
			}
			if to, err := parsed.Header.AddressList("To"); err != nil || len(to) != 1 || to[0].Address != m.to {
				t.Errorf("To %v of the mail to %s (S35)", to, m.to)
			}
			ids[parsed.Header.Get("Message-Id")] = true
			if parsed.Header.Get("Date") != "Thu, 12 Mar 2026 07:00:00 +0000" {
				t.Errorf("Date %q", parsed.Header.Get("Date"))
			}
		}
		if len(ids) != 300 {
			t.Errorf("%d Message-IDs", len(ids))
		}
		if log.count(EventAttempt) != 300 {
			t.Errorf("%d attempts told", log.count(EventAttempt))
		}
		// The next one goes out without a restart.
		s.mu.Lock()
		s.add("late@example.net")
		s.mu.Unlock()
		after(10 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 301})
	})
}

func TestGreylistingIsNoBounce(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]time.Time{}
	relay := &fakeRelay{onBegin: func(to string) error {
		mu.Lock()
		defer mu.Unlock()
		if _, again := seen[to]; !again {
			seen[to] = time.Now()
			return &ReplyError{Stage: StageRcpt, Code: 450, Enhanced: "4.7.1", Text: "greylisted"}
		}
		return nil
	}}
	bubble(t, 20, relay, nil, func(t *testing.T, s *memStore, _ *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryDeferred: 20})
		after(10 * time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 20})
		for _, m := range relay.messages() {
			if waited := m.at.Sub(seen[m.to]); waited < 5*time.Minute {
				t.Errorf("%s was tried again after %s", m.to, waited)
			}
		}
		if r := s.row(1); r.Attempts != 2 || r.history[0].Bounce != "" || r.history[0].FreeAttempt {
			t.Errorf("%+v", r)
		}
	})
}

func TestRefusals(t *testing.T) {
	relay := &fakeRelay{onBegin: func(to string) error {
		switch to {
		case "reader1@example.net":
			return &ReplyError{Stage: StageRcpt, Code: 550, Enhanced: "5.1.1", Text: "no such user"}
		case "reader2@example.net":
			return &ReplyError{Stage: StageRcpt, Code: 554, Enhanced: "5.7.1", Text: "policy"}
		}
		return nil
	}}
	bubble(t, 5, relay, nil, func(t *testing.T, s *memStore, _ *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 3, news.DeliveryRefused: 2})
		if r := s.row(1).history[0]; r.Bounce != news.BounceHard || r.Code != 550 || r.Enhanced != "5.1.1" || r.Reply != "no such user" || r.Relay != "fake" {
			t.Errorf("%+v", r)
		}
		if r := s.row(2).history[0]; r.Bounce != news.BounceSoft {
			t.Errorf("a policy refusal is no hard bounce: %+v", r)
		}
		if relay.opened > 3 {
			t.Errorf("%d connections: a refusal does not end one", relay.opened)
		}
	})
}

// TestDeferredUntilItExpires: a recipient's 4xx is a soft bounce once the mail has
// no time left, and not before; what is the relay's fault never is.
func TestDeferredUntilItExpires(t *testing.T) {
	relay := &fakeRelay{onBegin: func(to string) error {
		switch to {
		case "reader1@example.net":
			return &ReplyError{Stage: StageRcpt, Code: 452, Enhanced: "4.2.2", Text: "full"}
		case "reader2@example.net":
			return &ReplyError{Stage: StageData, Code: 451, Enhanced: "4.3.0", Text: "busy"}
		}
		return nil
	}}
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 3)
		for _, r := range s.rows {
			r.ExpiresAt = time.Now().Add(30 * time.Minute)
		}
		c, _ := newCourier(t, s, relay, nil)
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, time.Second) }()
		after(time.Hour)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		h := s.row(1).history
		for i, o := range h[:len(h)-1] {
			if last := o.State != news.DeliveryExpired && !o.NextAt.Before(s.row(1).ExpiresAt); (o.Bounce == news.BounceSoft) != last {
				t.Errorf("attempt %d: %+v", i+1, o)
			}
		}
		if n := len(h); n < 3 || h[n-2].Bounce != news.BounceSoft || h[n-1].State != news.DeliveryExpired {
			t.Errorf("%+v", h)
		}
		for _, o := range s.row(2).history {
			if o.Bounce != "" {
				t.Errorf("the relay's own fault is charged to the reader: %+v", o)
			}
		}
	})
}

// TestRelayFaultsChargeNobody is F11, F16 and F24: whatever the relay does
// before it has answered the dot, in the end everybody has one copy.
func TestRelayFaultsChargeNobody(t *testing.T) {
	var broken = true
	lost := errors.New("connection reset")
	faults := map[string]func(*fakeRelay, func() bool){
		"refuses connections": func(f *fakeRelay, bad func() bool) {
			f.onOpen = func(int) error {
				if bad() {
					return &ReplyError{Stage: StageConnect, Err: lost}
				}
				return nil
			}
		},
		"banner 554": func(f *fakeRelay, bad func() bool) {
			f.onOpen = func(int) error {
				if bad() {
					return &ReplyError{Stage: StageConnect, Code: 554}
				}
				return nil
			}
		},
		"login refused": func(f *fakeRelay, bad func() bool) {
			f.onOpen = func(int) error {
				if bad() {
					return &ReplyError{Stage: StageAuth, Code: 535}
				}
				return nil
			}
		},
		"421 at MAIL": func(f *fakeRelay, bad func() bool) {
			f.onBegin = func(string) error {
				if bad() {
					return &ReplyError{Stage: StageMail, Code: 421}
				}
				return nil
			}
		},
		"lost at RCPT": func(f *fakeRelay, bad func() bool) {
			f.onBegin = func(string) error {
				if bad() {
					return &ReplyError{Stage: StageRcpt, Err: lost}
				}
				return nil
			}
		},
		"sender refused": func(f *fakeRelay, bad func() bool) {
			f.onBegin = func(string) error {
				if bad() {
					return &ReplyError{Stage: StageMail, Code: 550, Enhanced: "5.7.1"}
				}
				return nil
			}
		},
		"421 after the dot": func(f *fakeRelay, bad func() bool) {
			f.onDot = func(context.Context, string) error {
				if bad() {
					return &ReplyError{Stage: StageDot, Code: 421}
				}
				return nil
			}
		},
	}
	for name, install := range faults {
		t.Run(name, func(t *testing.T) {
			relay := &fakeRelay{}
			var mu sync.Mutex
			broken = true
			install(relay, func() bool { mu.Lock(); defer mu.Unlock(); return broken })
			bubble(t, 50, relay, nil, func(t *testing.T, s *memStore, log *eventLog) {
				after(3 * time.Hour)
				if tries := relay.opened + relay.begun; tries > 3000 {
					t.Errorf("%d attempts in 3 hours", tries)
				}
				for _, id := range s.ids() {
					r := s.row(id)
					if r.State == news.DeliveryClaimed {
						r.Attempts-- // in hand at this moment
					}
					if r.Attempts != 0 || r.State.Ended() {
						t.Fatalf("%+v", r.Delivery)
					}
				}
				mu.Lock()
				broken = false
				mu.Unlock()
				after(time.Hour)
				wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 50})
				if len(relay.messages()) != 50 {
					t.Errorf("%d copies", len(relay.messages()))
				}
				if name != "sender refused" && (log.count(EventRelayDown) == 0 || log.count(EventRelayUp) == 0) {
					t.Error("the breaker never opened or never closed")
				}
				if (name == "login refused") != (log.count(EventConfigFault) > 0) {
					t.Errorf("%d configuration faults told", log.count(EventConfigFault))
				}
				if name == "sender refused" && log.count(EventHeld) == 0 {
					t.Error("the edition was never held")
				}
			})
		})
	}
}

func TestLostReplyIsUncertain(t *testing.T) {
	relay := &fakeRelay{}
	var once sync.Once
	relay.onDot = func(_ context.Context, to string) (err error) {
		once.Do(func() { err = &ReplyError{Stage: StageDot, Err: errTaken} })
		return err
	}
	bubble(t, 10, relay, nil, func(t *testing.T, s *memStore, _ *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 9, news.DeliveryUncertain: 1})
		after(10 * time.Minute) // this store sends uncertain ones again
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 10})
		copies := map[string][]string{}
		for _, m := range relay.messages() {
			copies[m.to] = append(copies[m.to], m.bytes)
		}
		extra := 0
		for to, all := range copies {
			if extra += len(all) - 1; len(slices.Compact(all)) != 1 {
				t.Errorf("the copies for %s differ", to)
			}
		}
		if extra != 1 {
			t.Errorf("%d extra copies", extra)
		}
	})
}

func TestContentRefusedHoldsTheEdition(t *testing.T) {
	relay := &fakeRelay{onDot: func(context.Context, string) error { return &ReplyError{Stage: StageDot, Code: 554, Enhanced: "5.6.0"} }}
	bubble(t, 100, relay, nil, func(t *testing.T, s *memStore, log *eventLog) {
		after(10 * time.Minute)
		states := s.states()
		if n := states[news.DeliveryRefused]; n < 10 || n > 13 || log.count(EventHeld) != 1 {
			t.Errorf("%v, held %d times", states, log.count(EventHeld))
		}
		for _, id := range s.ids() {
			if r := s.row(id); r.State == news.DeliveryDeferred && r.Attempts != 0 {
				t.Errorf("%+v", r.Delivery)
			}
		}
	})
}

func TestTokenLostSendsNoDot(t *testing.T) {
	relay := &fakeRelay{}
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 10)
		s.onMark = func(id int64) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			switch id {
			case 4: // another replica took it over
				s.rows[4].Token = "other"
			case 5: // the reader left between claim and send
				s.rows[5].gone = true
			}
			return nil
		}
		c, log := newCourier(t, s, relay, nil)
		tally, err := c.Once(t.Context())
		if err != nil || tally[news.DeliveryAccepted] != 8 || len(tally) != 1 {
			t.Errorf("%v, %v", tally, err)
		}
		if log.count(EventTokenLost) != 2 || relay.dots != 8 || relay.open != 0 {
			t.Errorf("%d lost, %d dots, %d open", log.count(EventTokenLost), relay.dots, relay.open)
		}
		for _, m := range relay.messages() {
			if m.to == "reader4@example.net" || m.to == "reader5@example.net" {
				t.Errorf("%s was sent", m.to)
			}
		}
	})
}

func TestNoDotBeforeTheLastOutcomeIsStored(t *testing.T) {
	relay := &fakeRelay{}
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 6)
		full := true
		s.onRecord = func([]news.Outcome) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if full {
				return errors.New("disk full")
			}
			return nil
		}
		c, log := newCourier(t, s, relay, func(o *Options) { o.Relays[0].Connections = 1 })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, time.Minute) }()
		after(2 * time.Minute)
		if relay.dots != 1 || relay.begun != 2 { // the next message is begun, its dot waits
			t.Errorf("%d dots, %d begun while nothing could be recorded", relay.dots, relay.begun)
		}
		if log.count(EventStore) == 0 {
			t.Error("nobody was told")
		}
		s.mu.Lock()
		full = false
		s.mu.Unlock()
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 6})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A store that has failed for good is not waited for: nothing more is sent, and
// what cannot be recorded is left to who reads the database anew.
func TestNothingWaitsForAStoreThatHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 40)
		fault := false
		s.onRecord = func([]news.Outcome) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if fault {
				return fmt.Errorf("settle: %w", news.ErrFault)
			}
			return nil
		}
		relay := &fakeRelay{onDot: func(context.Context, string) error { <-time.After(time.Second); return nil }}
		c, _ := newCourier(t, s, relay, nil)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, 30*time.Second) }()
		after(2500 * time.Millisecond)
		s.mu.Lock()
		fault = true
		s.mu.Unlock()
		cancel() // as the daemon does when it sees the fault
		began := time.Now()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("waited for %s", took)
		}
		if n := len(relay.messages()); n != 9 { // three each: two and the one under way
			t.Errorf("%d were sent", n)
		}
	})
}

func TestMarkDotFails(t *testing.T) {
	relay := &fakeRelay{}
	var broken = true
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 5)
		s.onMark = func(int64) error {
			s.mu.Lock()
			defer s.mu.Unlock()
			if broken {
				return errors.New("database is locked")
			}
			return nil
		}
		c, _ := newCourier(t, s, relay, nil)
		if _, err := c.Once(t.Context()); err != nil || relay.dots != 0 {
			t.Errorf("%v, %d dots", err, relay.dots)
		}
		broken = false
		after(2 * time.Minute)
		if _, err := c.Once(t.Context()); err != nil {
			t.Error(err)
		}
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 5})
	})
}

func TestShutdownDrains(t *testing.T) {
	for name, r := range map[string]struct {
		reply time.Duration // how long the relay thinks about a dot
		want  news.DeliveryState
	}{
		"in time":  {20 * time.Second, news.DeliveryAccepted},
		"too slow": {time.Hour, news.DeliveryUncertain},
	} {
		t.Run(name, func(t *testing.T) {
			relay := &fakeRelay{onDot: func(ctx context.Context, _ string) error {
				select {
				case <-time.After(r.reply):
					return nil
				case <-ctx.Done():
					return &ReplyError{Stage: StageDot, Err: ctx.Err()}
				}
			}}
			synctest.Test(t, func(t *testing.T) {
				s := newMemStore(t, 40)
				c, log := newCourier(t, s, relay, nil)
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error)
				go func() { done <- c.Run(ctx, 30*time.Second) }()
				after(time.Second)
				claims := s.claims
				cancel()
				began := time.Now()
				// What nobody has begun is given back first: a second signal may cut the rest short.
				after(time.Second)
				wantStates(t, s, news.DeliveryTally{news.DeliveryDotPending: 3, news.DeliveryDeferred: 37})
				if err := <-done; err != nil {
					t.Error(err)
				}
				if took := time.Since(began); took > 31*time.Second {
					t.Errorf("took %s", took)
				}
				if s.claims != claims {
					t.Error("claimed after the end")
				}
				wantStates(t, s, news.DeliveryTally{r.want: 3, news.DeliveryDeferred: 37})
				for _, id := range s.ids() {
					if row := s.row(id); row.State == news.DeliveryDeferred && (row.Attempts != 0 || row.NextAt.After(time.Now())) {
						t.Errorf("%+v", row.Delivery)
					}
				}
				if log.count(EventRelayFault) != 0 {
					t.Error("our own end was taken for the relay's fault")
				}
			})
		})
	}
}

func TestCrashIsRecovered(t *testing.T) {
	relay := &fakeRelay{}
	bubble(t, 0, relay, nil, func(t *testing.T, s *memStore, log *eventLog) {
		s.mu.Lock()
		for i, state := range []news.DeliveryState{news.DeliveryClaimed, news.DeliveryDotPending} {
			r := s.rows[s.add(fmt.Sprintf("left%d@example.net", i))]
			r.State, r.Token, r.Attempts, r.lease = state, "dead", 1, time.Now().Add(time.Minute)
		}
		s.mu.Unlock()
		after(30 * time.Second)
		if len(relay.messages()) != 0 {
			t.Error("sent before the lease ended")
		}
		after(3 * time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 2})
		if log.count(EventRecovered) == 0 {
			t.Error("nobody was told")
		}
	})
}

func TestConnectionLimitOfTheRelay(t *testing.T) {
	relay := &fakeRelay{}
	relay.onOpen = func(int) error {
		relay.mu.Lock()
		defer relay.mu.Unlock()
		if relay.open >= 5 {
			return &ReplyError{Stage: StageConnect, Code: 421, Text: "too many connections"}
		}
		return nil
	}
	relay.onDot = func(context.Context, string) error { <-time.After(time.Second); return nil }
	bubble(t, 500, relay, func(o *Options) { o.Relays[0].Connections, o.Relays[0].MaxMessages = 10, 1000 }, func(t *testing.T, s *memStore, log *eventLog) {
		after(5 * time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 500})
		if relay.opened > 30 || relay.most != 5 || log.count(EventRelayDown) != 0 {
			t.Errorf("%d connections made, %d at once, breaker opened %d times", relay.opened, relay.most, log.count(EventRelayDown))
		}
	})
}

func TestSecondRelayTakesOver(t *testing.T) {
	first, second := &fakeRelay{name: "first", onOpen: func(int) error { return &ReplyError{Stage: StageConnect, Err: errors.New("refused")} }}, &fakeRelay{name: "second"}
	bubble(t, 30, first, func(o *Options) { o.Relays = append(o.Relays, Relay{Transport: second, Connections: 3}) }, func(t *testing.T, s *memStore, _ *eventLog) {
		after(time.Minute)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 30})
		if len(second.messages()) != 30 || s.row(9).Relay != "second" {
			t.Errorf("%d by the second", len(second.messages()))
		}
	})
}

func TestBadDataHarmsNobodyElse(t *testing.T) {
	relay := &fakeRelay{}
	bubble(t, 3, relay, nil, func(t *testing.T, s *memStore, log *eventLog) {
		s.mu.Lock()
		s.add("a@localhost")
		broken := s.rows[s.add("b@example.net")]
		broken.VariantID, broken.EditionID = 8, 4
		s.variants[8] = news.Variant{ID: 8, EditionID: 4, Kind: news.VariantEdition, Nonce: testNonce, Subject: "x"} // no text
		expired := s.rows[s.add("c@example.net")]
		expired.ExpiresAt = time.Now().Add(-time.Second)
		missing := s.rows[s.add("d@example.net")]
		missing.VariantID = 99
		s.mu.Unlock()
		after(30 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 3, news.DeliveryRefused: 1, news.DeliveryExpired: 1, news.DeliveryDeferred: 2})
		if r := s.row(4); r.State != news.DeliveryRefused || r.history[0].Bounce == news.BounceHard {
			t.Errorf("%+v", r.Delivery)
		}
		if log.count(EventHeld) != 1 {
			t.Errorf("held %d times", log.count(EventHeld))
		}
	})
}

// TestOnceOverSMTP sends through a real relay and reads what it received.
func TestOnceOverSMTP(t *testing.T) {
	relay := smtptest.Start(t)
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader2@example.net", Reply: "550 5.1.1 no such user"})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader3@example.net", Reply: "451 4.7.1 greylisted"})
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: "reader4@example.net", Take: true, Drop: true, Times: 1})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: "reader5@example.net", Reply: "421 4.3.0 restarting", Times: 1})
	s := newMemStore(t, 60)
	confirm := testSpec().Variant
	confirm.ID, confirm.EditionID, confirm.Kind, confirm.HTML = 8, 0, news.VariantConfirm, ""
	confirm.Text = "Confirm for " + mark(news.PlaceAddress) + ":\n" + mark(news.PlaceConfirm) + "\n"
	s.variants[8] = confirm
	row := s.rows[s.add("Neu@example.net")]
	row.VariantID, row.EditionID, row.Kind = 8, 0, news.VariantConfirm

	c, _ := newCourier(t, s, newSMTP(t, relay, nil), nil)
	tally, err := c.Once(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if tally[news.DeliveryAccepted] != 57 || tally[news.DeliveryRefused] != 1 || tally[news.DeliveryUncertain] != 1 || tally[news.DeliveryDeferred] != 2 {
		t.Errorf("%v", tally)
	}
	seen := map[string]bool{}
	for _, m := range relay.Messages() {
		for _, f := range wireFaults(m.Data) {
			t.Errorf("%v: %s", m.To, f)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(m.Data))
		if err != nil {
			t.Fatal(err)
		}
		to, err := parsed.Header.AddressList("To")
		if err != nil || len(to) != 1 || len(m.To) != 1 || to[0].Address != m.To[0] || m.From != "news@example.org" {
			t.Errorf("to %v, envelope %v from %q", to, m.To, m.From)
		}
		id := parsed.Header.Get("Message-Id")
		if seen[id] || !strings.HasSuffix(id, "@news.example.org>") {
			t.Errorf("Message-ID %q", id)
		}
		seen[id] = true
		_, text, page := decoded(t, m.Data)
		d := s.byAddress(m.To[0])
		links := c.o.Links
		if d.Kind == news.VariantConfirm {
			if !strings.Contains(text, links.Confirm(d.SubscriptionID, d.CreatedAt.Add(7*24*time.Hour))) || page != "" || parsed.Header.Get("Precedence") != "" {
				t.Errorf("confirmation: %q", text)
			}
			continue
		}
		if parsed.Header.Get("List-Unsubscribe") != "<"+links.Unsubscribe(d.SubscriptionID)+">" || !strings.Contains(text, links.Preferences(d.SubscriptionID)) ||
			!strings.Contains(page, `href="`+links.WebView(d.ID)+`"`) || !strings.Contains(text, m.To[0]) {
			t.Errorf("the mail to %s holds another's links", m.To[0])
		}
	}
	if relay.Sessions() > 10 {
		t.Errorf("%d connections for %d messages", relay.Sessions(), len(relay.Messages()))
	}
}

func (s *memStore) byAddress(address string) news.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.rows {
		if r.Address == address {
			return r.Delivery
		}
	}
	return news.Delivery{}
}

func TestOnceWithTheRelayDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		relay := &fakeRelay{onOpen: func(int) error { return &ReplyError{Stage: StageConnect, Err: errors.New("refused")} }}
		s := newMemStore(t, 100)
		c, _ := newCourier(t, s, relay, nil)
		tally, err := c.Once(t.Context())
		if !errors.Is(err, ErrRelayDown) || relay.opened > 10 {
			t.Errorf("%v, %v, %d connections", tally, err, relay.opened)
		}
		wantStates(t, s, news.DeliveryTally{news.DeliveryDeferred: 100 - s.states()[news.DeliveryPending], news.DeliveryPending: s.states()[news.DeliveryPending]})
		for _, id := range s.ids() {
			if r := s.row(id); r.Attempts != 0 {
				t.Errorf("%+v", r.Delivery)
			}
		}
	})
}

func TestConnectionsAreReusedAndBounded(t *testing.T) {
	relay := smtptest.Start(t)
	s := newMemStore(t, 25)
	c, _ := newCourier(t, s, newSMTP(t, relay, nil), func(o *Options) { o.Relays[0].Connections, o.Relays[0].MaxMessages = 1, 10 })
	if _, err := c.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	perSession := map[int]int{}
	for _, m := range relay.Messages() {
		perSession[m.Session]++
	}
	if len(perSession) != 3 || perSession[1] != 10 || perSession[2] != 10 || perSession[3] != 5 {
		t.Errorf("messages per connection: %v", perSession)
	}
}

// TestIdleConnectionClosedByTheRelay: a 421 between two messages (RFC 5321
// §3.8) costs a reconnection and nothing else.
func TestIdleConnectionClosedByTheRelay(t *testing.T) {
	relay := &fakeRelay{}
	var dead bool
	relay.onBegin = func(string) error {
		if dead {
			dead = false
			return &ReplyError{Stage: StageMail, Code: 421, Text: "timeout, closing"}
		}
		return nil
	}
	bubble(t, 1, relay, func(o *Options) { o.Relays[0].Connections, o.Relays[0].IdleLimit = 1, time.Hour }, func(t *testing.T, s *memStore, log *eventLog) {
		after(10 * time.Second)
		dead = true
		s.mu.Lock()
		s.add("next@example.net")
		s.mu.Unlock()
		after(6 * time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 2})
		if relay.opened != 2 || log.count(EventRelayFault) != 0 {
			t.Errorf("%d connections, %d faults", relay.opened, log.count(EventRelayFault))
		}
	})
}

func TestPreviewIsTheSameMessage(t *testing.T) {
	c, _ := newCourier(t, newMemStore(t, 0), &fakeRelay{}, nil)
	raw, err := c.Preview(news.List{Name: "world", Title: "World"}, testSpec().Variant, "ana@example.net", testRecipient().Date)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range wireFaults(raw) {
		t.Error(f)
	}
}

func TestWakeSparesTheWait(t *testing.T) {
	relay := &fakeRelay{}
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(t, 0)
		c, _ := newCourier(t, s, relay, func(o *Options) { o.Poll = time.Hour })
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx, time.Second) }()
		after(time.Minute)
		s.mu.Lock()
		s.add("new@example.net")
		s.mu.Unlock()
		c.Wake()
		c.Wake()
		after(time.Second)
		wantStates(t, s, news.DeliveryTally{news.DeliveryAccepted: 1})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestNewRefuses(t *testing.T) {
	links := testLinks(t)
	relays := []Relay{{Transport: &fakeRelay{}}}
	s := newMemStore(t, 0)
	for name, o := range map[string]Options{
		"no store":   {Relays: relays, Links: links, From: "a@example.org", Domain: "example.org"},
		"no relay":   {Store: s, Links: links, From: "a@example.org", Domain: "example.org"},
		"no links":   {Store: s, Relays: relays, From: "a@example.org", Domain: "example.org"},
		"bad sender": {Store: s, Relays: relays, Links: links, From: "a", Domain: "example.org"},
		"bad domain": {Store: s, Relays: relays, Links: links, From: "a@example.org", Domain: "x> y"},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
