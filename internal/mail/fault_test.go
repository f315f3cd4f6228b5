package mail

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

// The faults of a relay (their numbers are those of the list of faults that
// delivery has to survive): each through a real outbox and a relay that
// misbehaves, each ending with the same oracle.

var errRefused = errors.New("connection refused")

func TestFault_F11_RelayDown(t *testing.T) {
	relay := smtptest.Start(t)
	net := &wire{fault: errRefused}
	r := newRig(t, 60, newSMTP(t, relay, func(o *SMTPOptions) { o.Dial = net.dial }), nil, relay)

	r.run(180, time.Minute) // three hours, from the start
	if n := net.count(); n < 3 || n > 60 {
		t.Errorf("%d connections were tried in three hours", n)
	}
	if r.log.count(EventRelayDown) == 0 {
		t.Error("nobody was told")
	}
	r.uncharged()

	// It comes back, and goes down in the middle of it.
	net.set(nil)
	seen := 0
	events := r.courier.o.Events
	r.courier.o.Events = func(e Event) {
		events(e)
		if e.Kind == EventAttempt && e.Outcome.State == news.DeliveryAccepted {
			if seen++; seen == 20 {
				net.set(errRefused)
				relay.Hangup()
			}
		}
	}
	r.run(10, time.Minute)
	if n := len(relay.Messages()); n < 20 || n > 30 {
		t.Errorf("%d messages, though the relay went down after 20", n)
	}
	net.set(nil)
	r.run(10, 5*time.Minute)
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 60}, r.uncertain(), seen)
	if r.uncertain() > 3 || r.log.count(EventRelayUp) == 0 {
		t.Errorf("%d uncertain over 3 connections, told %d times that it is up", r.uncertain(), r.log.count(EventRelayUp))
	}
}

func TestFault_F12_GreylistedOnFirstAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		codes := []string{"450 4.7.1 greylisted", "451 4.7.1 greylisted", "450 come again in five minutes", "451 4.3.0 not now"}
		seen := map[string]bool{}
		relay := &pipeRelay{}
		relay.on = func(verb, to string) string {
			relay.mu.Lock()
			defer relay.mu.Unlock()
			if verb != "RCPT" || seen[to] {
				return ""
			}
			seen[to] = true
			return codes[len(seen)%4]
		}
		r := newRig(t, 80, relay.transport(t, "grey"), nil, relay)
		r.run(1, 0)
		wantTally(t, r.db, r.edition.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryDeferred: 80})
		for _, d := range r.rows() {
			if wait := d.NextAt.Sub(r.db.Clock.Now()); wait < 5*time.Minute || wait > 8*time.Minute {
				t.Fatalf("tried again after %s", wait)
			}
		}
		r.db.Clock.Advance(4 * time.Minute)
		r.run(1, 4*time.Minute)
		if n := len(relay.Messages()); n != 0 {
			t.Errorf("%d went out before the wait was over", n)
		}
		r.run(1, 0)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 80}, 0, len(seen))
		if r.bounced() != 0 {
			t.Errorf("%d bounces were recorded", r.bounced())
		}
	})
}

func TestFault_F13_SomeRecipientsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := map[string]int{} // 5 %, twice each
		for i := 20; i <= 200; i += 20 {
			left[address(i)] = 2
		}
		codes := []string{"450 4.2.1 busy", "452 4.2.2 full", "451 4.4.1 no answer"}
		deferred := 0
		relay := &pipeRelay{}
		relay.on = func(verb, to string) string {
			relay.mu.Lock()
			defer relay.mu.Unlock()
			if verb != "RCPT" || left[to] == 0 {
				return ""
			}
			left[to]--
			deferred++
			return codes[deferred%3]
		}
		r := newRig(t, 200, relay.transport(t, "some"), nil, relay)
		r.run(1, 10*time.Minute)
		wantTally(t, r.db, r.edition.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 190, news.DeliveryDeferred: 10})
		r.run(3, 15*time.Minute)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 200}, 0, deferred)
		if d := r.row(40); d.Attempts != 3 || r.bounced() != 0 {
			t.Errorf("%+v, %d bounced", d, r.bounced())
		}
	})
}

func TestFault_F14_RefusedRecipients(t *testing.T) {
	relay := smtptest.Start(t)
	replies := map[int]struct {
		reply string
		want  news.SubscriptionState
	}{
		3:  {"550 5.1.1 no such user", news.SubscriptionBounced},
		7:  {"550 5.1.10 null MX", news.SubscriptionBounced},
		11: {"550 5.2.1 mailbox disabled", news.SubscriptionBounced},
		13: {"556 5.1.10 no mail here", news.SubscriptionBounced},
		17: {"554 5.7.1 policy", news.SubscriptionActive},
		19: {"550 5.7.26 not authenticated", news.SubscriptionActive},
		23: {"552 5.2.2 mailbox full", news.SubscriptionActive},
		29: {"550 user unknown, said in words only", news.SubscriptionActive},
		31: {"550 4.1.1 classes that disagree", news.SubscriptionActive},
	}
	for i, r := range replies {
		relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(i), Reply: r.reply})
	}
	r := newRig(t, 50, newSMTP(t, relay, nil), nil, relay)
	r.run(2, time.Hour)
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 41, news.DeliveryRefused: 9}, 0, len(replies))
	for i, want := range replies {
		d := r.row(i)
		if d.State != news.DeliveryRefused || d.Attempts != 1 || r.subscription(i) != want.want || !strings.Contains(want.reply, d.Reply) || d.Reply == "" {
			t.Errorf("%s: %s after %d attempts, subscription %s, want %s", want.reply, d.State, d.Attempts, r.subscription(i), want.want)
		}
	}
	if r.bounced() != 4 {
		t.Errorf("%d lost their place", r.bounced())
	}
}

func TestFault_F15_RefusedAsSuch(t *testing.T) {
	for name, c := range map[string]struct {
		rule  smtptest.Rule
		alert EventKind
	}{
		"MAIL":   {smtptest.Rule{Stage: smtptest.Mail, Reply: "550 5.7.1 sender refused"}, EventHeld},
		"sender": {smtptest.Rule{Stage: smtptest.Rcpt, Reply: "550 5.1.8 your domain does not exist"}, EventHeld},
		"AUTH":   {smtptest.Rule{Stage: smtptest.Auth, Reply: "535 5.7.8 account closed"}, EventConfigFault},
		"login":  {smtptest.Rule{Stage: smtptest.Mail, Reply: "530 5.7.0 log in"}, EventConfigFault},
		"banner": {smtptest.Rule{Stage: smtptest.Connect, Reply: "554 5.7.1 go away"}, EventRelayDown},
		"hello":  {smtptest.Rule{Stage: smtptest.Hello, Reply: "550 5.7.1 go away"}, EventRelayDown},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t, smtptest.WithTLS(), smtptest.WithAuth("u", "p"))
			relay.On(c.rule)
			r := newRig(t, 40, newSMTP(t, relay, func(o *SMTPOptions) { o.TLS, o.Username, o.Password = TLSImplicit, "u", "p" }), nil, relay)
			r.run(20, time.Minute)
			if r.log.count(c.alert) == 0 {
				t.Errorf("nobody was told: no %s", c.alert)
			}
			if n := relay.Sessions(); n > 60 {
				t.Errorf("%d connections in twenty minutes", n)
			}
			if n := len(relay.Commands()); n > 600 {
				t.Errorf("%d commands in twenty minutes", n)
			}
			r.uncharged()
			relay.Forget()
			r.run(6, 10*time.Minute)
			r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 40}, 0, relay.Sessions())
			if r.bounced() != 0 {
				t.Errorf("%d subscribers bounced", r.bounced())
			}
		})
	}
}

func TestFault_F16_GoodbyeAtEveryStage(t *testing.T) {
	for _, extensions := range [][]string{{"PIPELINING"}, {}} {
		t.Run(fmt.Sprint(extensions), func(t *testing.T) {
			relay := smtptest.Start(t, smtptest.WithExtensions(extensions...))
			stages := []smtptest.Stage{smtptest.Connect, smtptest.Hello, smtptest.Mail, smtptest.Rcpt, smtptest.Data, smtptest.Dot, smtptest.Reset}
			for _, stage := range stages {
				relay.On(smtptest.Rule{Stage: stage, Reply: "421 4.3.2 shutting down", Times: 2})
			}
			for i := range 5 { // RSET is said after a refusal only
				relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(i + 1), Reply: "550 5.7.1 not you"})
			}
			r := newRig(t, 40, newSMTP(t, relay, nil), nil, relay)
			r.run(20, 2*time.Minute)
			r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 35, news.DeliveryRefused: 5}, 0, relay.Sessions()-3)
			for _, d := range r.rows() {
				if d.Attempts != 1 {
					t.Errorf("charged with %d attempts: %+v", d.Attempts, d)
				}
			}
			if n := relay.Sessions(); n < 2*len(stages) {
				t.Errorf("%d connections: not every goodbye was said", n)
			}
		})
	}
	t.Run("between commands", func(t *testing.T) {
		relay := smtptest.Start(t)
		relay.On(smtptest.Rule{Stage: smtptest.Dot, Reply: "250 2.0.0 taken, and goodbye", Drop: true, Times: 10})
		r := newRig(t, 40, newSMTP(t, relay, nil), nil, relay)
		r.run(1, 0)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 40}, 0, relay.Sessions()-3)
		if n := r.log.count(EventRelayFault); n != 0 {
			t.Errorf("%d faults of the relay, though it only closed what was idle", n)
		}
	})
}

func TestFault_F17_LaterAfterTheDot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := map[string]bool{}
		relay := &pipeRelay{}
		relay.on = func(verb, to string) string {
			relay.mu.Lock()
			defer relay.mu.Unlock()
			if verb != "." || seen[to] || len(seen) == 30 {
				return ""
			}
			seen[to] = true
			return "451 4.3.0 later"
		}
		r := newRig(t, 60, relay.transport(t, "later"), nil, relay)
		r.run(1, 10*time.Minute)
		wantTally(t, r.db, r.edition.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 30, news.DeliveryDeferred: 30})
		r.run(1, 0)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 60}, 0, len(seen))
	})
}

func TestFault_F17_ContentRefusedForAll(t *testing.T) {
	relay := smtptest.Start(t)
	relay.On(smtptest.Rule{Stage: smtptest.Dot, Reply: "554 5.6.0 looks like spam"})
	r := newRig(t, 100, newSMTP(t, relay, nil), nil, relay)
	r.run(10, time.Minute)
	e, err := r.db.Edition(t.Context(), r.edition.ID)
	if err != nil {
		t.Fatal(err)
	}
	refused := e.Counts[news.DeliveryRefused]
	if refused < 10 || refused > 13 || r.log.count(EventHeld) == 0 {
		t.Errorf("%d refused before the edition was held; told %d times", refused, r.log.count(EventHeld))
	}
	for _, d := range r.rows() {
		if d.State != news.DeliveryRefused && d.Attempts != 0 {
			t.Errorf("charged while held: %+v", d)
		}
	}
	relay.Forget()
	r.run(3, 20*time.Minute)
	e, err = r.db.Edition(t.Context(), r.edition.ID)
	if err != nil {
		t.Fatal(err)
	}
	refused = e.Counts[news.DeliveryRefused]
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 100 - refused, news.DeliveryRefused: refused}, 0, refused)
	if r.bounced() != 0 {
		t.Errorf("%d lost their place because of our content", r.bounced())
	}
}

func TestFault_F18_ConnectionLostAfterTheDot(t *testing.T) {
	for _, policy := range []news.OnUncertain{news.UncertainResend, news.UncertainHold} {
		t.Run(string(policy), func(t *testing.T) {
			relay := smtptest.Start(t)
			for i := 50; i <= 200; i += 50 { // 2 %
				relay.On(smtptest.Rule{Stage: smtptest.Dot, Match: address(i), Take: true, Drop: true, Times: 1})
			}
			r := &rig{t: t, db: dbtest.SQLite(t), readers: 200, relays: []interface{ Messages() []smtptest.Message }{relay}}
			r.edition = closeEdition(t, r.db, 200, func(l *news.List) { l.OnUncertain = policy })
			r.start(newSMTP(t, relay, nil), nil)
			r.run(3, 10*time.Minute)
			if r.uncertain() != 4 {
				t.Errorf("%d counted as uncertain", r.uncertain())
			}
			if policy == news.UncertainResend {
				r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 200}, 4, 4)
				return
			}
			r.run(3, 10*time.Hour)
			r.ends(news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 196, news.DeliveryUncertain: 4}, 0, 4)
			if d := r.row(100); d.State != news.DeliveryUncertain || d.Reply == "" {
				t.Errorf("an admin cannot see why: %+v", d)
			}
		})
	}
}

func TestFault_F19_SlowReplyToTheDot(t *testing.T) {
	for wait, uncertain := range map[time.Duration]int{9 * time.Minute: 0, 11 * time.Minute: 1} {
		t.Run(wait.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				slow := 0
				relay := &pipeRelay{}
				relay.on = func(verb, to string) string {
					relay.mu.Lock()
					first := verb == "." && to == address(2) && slow == 0
					if first {
						slow++
					}
					relay.mu.Unlock()
					if first {
						<-time.After(wait)
					}
					return ""
				}
				r := newRig(t, 5, relay.transport(t, "slow"), nil, relay)
				r.run(1, 10*time.Minute)
				if r.uncertain() != uncertain {
					t.Errorf("%d uncertain, want %d", r.uncertain(), uncertain)
				}
				r.run(2, 10*time.Minute)
				r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 5}, uncertain, slow)
				<-time.After(time.Hour) // the relay comes to its end
			})
		})
	}
}

func TestFault_F20_TooManyRecipients(t *testing.T) {
	relay := smtptest.Start(t)
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(2), Reply: "452 4.5.3 too many recipients", Times: 1})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(3), Reply: "552 too many recipients", Times: 1})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(4), Reply: "552 5.5.3 too many recipients", Times: 1})
	relay.On(smtptest.Rule{Stage: smtptest.Rcpt, Match: address(5), Reply: "552 5.2.2 mailbox full"})
	r := newRig(t, 10, newSMTP(t, relay, nil), nil, relay)
	r.run(1, 10*time.Minute)
	wantTally(t, r.db, r.edition.ID, news.EditionClosed, news.DeliveryTally{news.DeliveryAccepted: 6, news.DeliveryDeferred: 3, news.DeliveryRefused: 1})
	r.run(1, 0)
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 9, news.DeliveryRefused: 1}, 0, 4)
	if r.bounced() != 0 {
		t.Error("somebody lost their place")
	}
}

func TestFault_F21_SlowRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tired := &pipeRelay{think: time.Second, perSecond: 1_000_000 / 8}
		fast := &pipeRelay{}
		r := newRig(t, 400, fast.transport(t, "fast"), func(o *Options) {
			o.Relays[0].Weight = 1
			o.Relays = append(o.Relays, Relay{Transport: tired.transport(t, "tired"), Weight: 1, Connections: 3})
		}, fast, tired)
		began := time.Now()
		r.run(1, 0)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 400}, 0, len(tired.Messages()))
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("400 messages took %s", took)
		}
		if n := len(fast.Messages()); n < 350 {
			t.Errorf("the fast relay sent %d of 400", n)
		}
	})
}

// What a relay takes slowly does not pile up in memory: claimed is what the
// courier holds, and that is bounded.
func TestFault_F21_SlowRelayIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tired := &pipeRelay{think: time.Second, perSecond: 1_000_000 / 8}
		const batch = 20
		r := newRig(t, 100, tired.transport(t, "tired"), func(o *Options) { o.Batch = batch }, tired)
		most := 0
		events := r.courier.o.Events
		r.courier.o.Events = func(e Event) {
			events(e)
			if e.Kind == EventAttempt {
				most = max(most, openRows(t, r.db, r.edition.ID, news.DeliveryClaimed)+openRows(t, r.db, r.edition.ID, news.DeliveryDotPending))
			}
		}
		r.run(1, 0)
		r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 100}, 0, most)
		if most > batch+2*3 { // one under way on each connection, one being recorded
			t.Errorf("%d in hand at once, of a batch of %d", most, batch)
		}
	})
}

func TestFault_F22_ConnectionLimit(t *testing.T) {
	relay := smtptest.Start(t, smtptest.WithLimits(5, 0))
	r := newRig(t, 200, newSMTP(t, relay, nil), func(o *Options) { o.Relays[0].Connections, o.Relays[0].MaxMessages = 10, 1000 }, relay)
	r.run(1, 10*time.Second)
	r.run(3, 10*time.Second) // for those who were turned away at first
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 200}, 0, r.log.count(EventRelayLimit))
	if n := relay.Sessions(); n > 40 {
		t.Errorf("%d connections for 200 messages: a storm", n)
	}
	if r.log.count(EventRelayDown) != 0 {
		t.Error("a limit was taken for a relay that is down")
	}
	for _, d := range r.rows() {
		if d.Attempts != 1 {
			t.Errorf("charged with %d attempts", d.Attempts)
		}
	}
}

func TestFault_F23_MessagesPerConnection(t *testing.T) {
	relay := smtptest.Start(t, smtptest.WithLimits(0, 7))
	r := newRig(t, 100, newSMTP(t, relay, nil), nil, relay)
	r.run(1, 0)
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 100}, 0, relay.Sessions()-3)
	if n := r.log.count(EventRelayFault); n != 0 {
		t.Errorf("%d faults", n)
	}
}

func TestFault_F23_NeverInPlainText(t *testing.T) {
	for name, options := range map[string][]smtptest.Option{
		"STARTTLS lost":             {smtptest.WithAuth("u", "canary-5d1c")},
		"certificate of a stranger": {smtptest.WithStartTLS(), smtptest.WithAuth("u", "canary-5d1c")},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t, options...)
			net := &wire{}
			r := newRig(t, 20, newSMTP(t, relay, func(o *SMTPOptions) {
				o.TLS, o.Username, o.Password, o.Dial, o.RootCAs = TLSStart, "u", "canary-5d1c", net.dial, nil
			}), nil, relay)
			r.run(60, time.Minute)
			r.uncharged()
			if n := net.count(); n < 3 || n > 30 || r.log.count(EventRelayDown) == 0 {
				t.Errorf("%d connections in an hour; told %d times", n, r.log.count(EventRelayDown))
			}
			for _, command := range relay.Commands() {
				if strings.HasPrefix(command, "AUTH") || strings.HasPrefix(command, "MAIL") {
					t.Errorf("%s was said without TLS", command)
				}
			}
		})
	}
}

func TestFault_F23_ExpiredCertificate(t *testing.T) {
	relay := smtptest.Start(t, smtptest.WithTLS())
	late := func() time.Time { return time.Now().Add(48 * time.Hour) }
	r := newRig(t, 5, newSMTP(t, relay, func(o *SMTPOptions) { o.TLS, o.Now = TLSImplicit, late }), nil, relay)
	r.run(5, time.Minute)
	r.uncharged()
	if len(relay.Commands()) != 0 || r.log.count(EventRelayDown) == 0 {
		t.Errorf("%q; told %d times", relay.Commands(), r.log.count(EventRelayDown))
	}
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	if !strings.Contains(r.log.all[0].Err.Error(), "expired") {
		t.Errorf("the reason is not told: %v", r.log.all[0].Err)
	}
}

func TestFault_F23_SizeTooSmall(t *testing.T) {
	for name, c := range map[string]struct {
		extensions []string
		rule       smtptest.Rule
	}{
		"announced": {[]string{"PIPELINING", "SIZE 500"}, smtptest.Rule{}},
		"at MAIL":   {[]string{"PIPELINING", "SIZE"}, smtptest.Rule{Stage: smtptest.Mail, Reply: "552 5.3.4 too large"}},
	} {
		t.Run(name, func(t *testing.T) {
			relay := smtptest.Start(t, smtptest.WithExtensions(c.extensions...))
			if c.rule.Stage != "" {
				relay.On(c.rule)
			}
			r := newRig(t, 40, newSMTP(t, relay, nil), nil, relay)
			r.run(10, time.Minute)
			r.uncharged()
			if r.log.count(EventHeld) == 0 || len(relay.Messages()) != 0 || len(relay.Commands()) > 200 {
				t.Errorf("held %d times, %d messages, %d commands", r.log.count(EventHeld), len(relay.Messages()), len(relay.Commands()))
			}
		})
	}
}

func TestFault_F23_MalformedAndEndlessReplies(t *testing.T) {
	for name, reply := range map[string]string{
		"malformed": "hello there", "empty": "\r\n\r\n", "endless line": strings.Repeat("x", 2*maxReply), "endless reply": strings.Repeat("220-more\r\n", maxReply/5),
		"wrong class": "354 go on", "no class": "999 what",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				left := map[string]int{"": 3, "EHLO": 3, "MAIL": 3, "RCPT": 3, "DATA": 3}
				if name == "wrong class" {
					delete(left, "DATA") // there it is the right one
				}
				said := 0
				relay := &pipeRelay{}
				relay.on = func(verb, _ string) string {
					relay.mu.Lock()
					defer relay.mu.Unlock()
					if left[verb] == 0 {
						return ""
					}
					left[verb]--
					said++
					return reply
				}
				r := newRig(t, 10, relay.transport(t, "bad"), nil, relay)
				r.run(30, 10*time.Minute)
				r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 10}, 0, said)
				for _, d := range r.rows() {
					if d.Attempts != 1 {
						t.Errorf("charged: %+v", d)
					}
				}
				for verb, n := range left {
					if n != 0 {
						t.Errorf("at %q it was not said", verb)
					}
				}
			})
		})
	}
}

// TestFault_F24 cuts the network at every step: with a reset, and in silence.
func TestFault_F24_NetworkCut(t *testing.T) {
	for _, how := range []string{hangUp, silence} {
		for name, c := range map[string]struct {
			cuts         map[string]int
			taken        bool // at the dot the relay has the message all the same
			doubts, more int  // extra copies
		}{
			"before the dot": {cuts: map[string]int{"": 2, "EHLO": 2, "MAIL": 2, "RCPT": 2, "DATA": 2}},
			"at the dot":     {cuts: map[string]int{".": 4}, doubts: 4},
			"after the dot":  {cuts: map[string]int{".": 4}, taken: true, doubts: 4, more: 4},
		} {
			t.Run(how+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					cut := 0
					relay := &pipeRelay{}
					relay.on = func(verb, _ string) string {
						relay.mu.Lock()
						defer relay.mu.Unlock()
						if c.cuts[verb] == 0 {
							return ""
						}
						c.cuts[verb]--
						cut++
						if c.taken {
							return takeIt + how
						}
						return how
					}
					r := newRig(t, 30, relay.transport(t, "cut"), nil, relay)
					r.run(15, 10*time.Minute)
					r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 30}, c.more, cut)
					if n := r.uncertain(); n != c.doubts {
						t.Errorf("%d uncertain, want %d", n, c.doubts)
					}
					for _, d := range r.rows() {
						if d.Attempts != 1 && c.doubts == 0 {
							t.Errorf("charged: %+v", d)
						}
					}
				})
			})
		}
	}
}

func TestFault_F25_RelayNameDoesNotResolve(t *testing.T) {
	relay := smtptest.Start(t)
	network := &wire{fault: &net.DNSError{Err: "no such host", Name: "smtp.example.org", IsNotFound: true}}
	r := newRig(t, 30, newSMTP(t, relay, func(o *SMTPOptions) { o.Dial = network.dial }), nil, relay)
	r.run(60, time.Minute)
	r.uncharged()
	if n := network.count(); n > 30 || r.log.count(EventRelayDown) == 0 {
		t.Errorf("%d look-ups in an hour; told %d times", n, r.log.count(EventRelayDown))
	}
	network.set(nil)
	r.run(2, 10*time.Minute)
	r.ends(news.EditionDone, news.DeliveryTally{news.DeliveryAccepted: 30}, 0, network.count())
	if r.bounced() != 0 {
		t.Error("a subscriber paid for the relay's name")
	}
}

// The list may change between two attempts: the message does not.
func TestRetryHasTheSameBytesAfterTheListChanged(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		relay := smtptest.Start(t)
		relay.On(smtptest.Rule{Stage: smtptest.Dot, Reply: "451 4.3.0 later", Take: true, Times: 2})
		closeEdition(t, db, 1, func(l *news.List) { l.From, l.ReplyTo = "World <world@example.org>", "desk@example.org" })
		addr, err := news.ParseAddress("address", "new@example.net")
		if err != nil {
			t.Fatal(err)
		}
		confirm := news.Variant{Kind: news.VariantConfirm, Language: "en", Nonce: testNonce, Subject: "Please confirm", Text: mark(news.PlaceConfirm) + "\n"}
		if _, err := db.Subscribe(t.Context(), news.SubscribeRequest{Address: addr, List: "world"}, &confirm); err != nil {
			t.Fatal(err)
		}
		c, _ := storeCourier(t, db, newSMTP(t, relay, nil))
		if _, err := c.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		list, err := db.ListByName(t.Context(), "world")
		if err != nil {
			t.Fatal(err)
		}
		list.From, list.ReplyTo, list.Title, list.Public = "Other <other@example.com>", "", "Another title", false
		if err := db.SetList(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		db.Clock.Advance(time.Hour)
		again, _ := storeCourier(t, db, newSMTP(t, relay, nil)) // as after a restart: nothing is remembered
		if _, err := again.Once(t.Context()); err != nil {
			t.Fatal(err)
		}
		copies := map[string][]smtptest.Message{}
		for _, m := range relay.Messages() {
			copies[m.To[0]] = append(copies[m.To[0]], m)
		}
		if len(copies) != 2 {
			t.Fatalf("messages to %v", maps.Keys(copies))
		}
		for to, all := range copies {
			if len(all) != 2 || string(all[0].Data) != string(all[1].Data) || all[0].From != all[1].From {
				t.Errorf("%s: %d copies, the second differs from the first", to, len(all))
			}
			if head := string(all[0].Data); !strings.Contains(head, "<world@example.org>") || !strings.Contains(head, "List-Id: World news <world.") || !strings.Contains(head, "List-Archive:") {
				t.Errorf("%s: %s", to, head)
			}
		}
	})
}
