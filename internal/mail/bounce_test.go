package mail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/mail"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
	"gazetted/internal/smtptest"
)

// bounceHouse is a store with an edition that was sent to three readers.
type bounceHouse struct {
	t       *testing.T
	db      *dbtest.DB
	sign    *news.Signer
	bounces *Bounces
	returns *SignedAddress
	leave   *SignedAddress
	sent    map[string]news.Delivery // by address
	ids     map[string]string        // Message-IDs by address
}

func newBounceHouse(t *testing.T, db *dbtest.DB) *bounceHouse {
	t.Helper()
	h := &bounceHouse{t: t, db: db, sent: map[string]news.Delivery{}, ids: map[string]string{}}
	secrets, err := db.Secrets(t.Context())
	h.ok(err)
	h.sign, err = news.NewSigner(secrets)
	h.ok(err)
	h.returns, err = NewSignedAddress("mail.bounce_address", "bounces@news.example.org", news.PurposeBounce, h.sign)
	h.ok(err)
	h.leave, err = NewSignedAddress("mail.unsubscribe_address", "unsubscribe@news.example.org", news.PurposeMailUnsubscribe, h.sign)
	h.ok(err)
	h.bounces, err = NewBounces(BounceOptions{Store: db, Signer: h.sign, Domain: "news.example.org", Now: db.Clock.Now})
	h.ok(err)
	closeEdition(t, db, 3, nil)
	capture, err := NewCapture(t.TempDir(), 0, db.Clock.Now)
	h.ok(err)
	t.Cleanup(func() { _ = capture.Close() })
	c, _ := storeCourier(t, db, capture)
	_, err = c.Once(t.Context())
	h.ok(err)
	all, err := db.Deliveries(t.Context(), news.DeliveryQuery{Limit: 100})
	h.ok(err)
	for _, d := range all {
		h.sent[d.Address] = d
		h.ids[d.Address] = messageIDOf(h.sign, "news.example.org", &d)
	}
	return h
}

func (h *bounceHouse) ok(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

func (h *bounceHouse) read(message string, envelope ...string) Received {
	h.t.Helper()
	rec, err := h.bounces.Read(h.t.Context(), strings.NewReader(message), envelope...)
	h.ok(err)
	return rec
}

func (h *bounceHouse) state(address string) news.SubscriptionState {
	h.t.Helper()
	addr, err := news.ParseAddress("address", address)
	h.ok(err)
	row, err := h.db.SubscriberByAddress(h.t.Context(), addr)
	h.ok(err)
	return row.Subscriptions[0].State
}

func (h *bounceHouse) suppressions() int {
	h.t.Helper()
	all, err := h.db.Suppressions(h.t.Context(), 0, 0)
	h.ok(err)
	return len(all)
}

// report is a DSN as Postfix writes it.
func report(to, status, returned string) string {
	return "Return-Path: <>\r\nFrom: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r\nTo: " + to + "\r\n" +
		"Subject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\nMessage-Id: <20260303@mx.example.net>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"b/1\"\r\n\r\nThis is a MIME-encapsulated message.\r\n\r\n" +
		"--b/1\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n<script>alert(1)</script> I'm sorry to have to inform you\r\n\r\n" +
		"--b/1\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.example.net\r\nArrival-Date: Tue,  3 Mar 2026 09:00:00 +0000\r\n\r\n" +
		status + "\r\n\r\n" +
		"--b/1\r\nContent-Type: message/rfc822\r\n\r\n" + returned + "\r\nContent-Type: text/plain\r\n\r\nthe mail itself\r\n\r\n--b/1--\r\n"
}

const (
	noSuchUser = "Final-Recipient: rfc822; someone@elsewhere.example\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 <someone@elsewhere.example>:\r\n Recipient address rejected: User unknown"
	fullBox    = "Final-Recipient: rfc822; x@elsewhere.example\r\nAction: failed\r\nStatus: 5.2.2\r\nDiagnostic-Code: smtp; 552 5.2.2 mailbox full"
	policyNo   = "Final-Recipient: rfc822; x@elsewhere.example\r\nAction: failed\r\nStatus: 5.7.1\r\nDiagnostic-Code: smtp; 550 5.7.1 listed"
	delayed    = "Final-Recipient: rfc822; x@elsewhere.example\r\nAction: delayed\r\nStatus: 4.4.1\r\nWill-Retry-Until: Sun, 8 Mar 2026 09:00:00 +0000"
)

func TestNotificationsAreBelievedByTheirSignature(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		h := newBounceHouse(t, db)
		one, two, three := h.sent["reader1@example.net"], h.sent["reader2@example.net"], h.sent["reader3@example.net"]

		// Forged: no token, a token of another purpose, a changed token, a
		// Message-ID with another reader's address.
		token := h.returns.For(one.ID)
		for name, message := range map[string]string{
			"no token":            report("bounces@news.example.org", noSuchUser, "To: reader1@example.net\r\nMessage-ID: <made.up@news.example.org>"),
			"changed token":       report(strings.Replace(token, "+a", "+b", 1), noSuchUser, "Subject: x"),
			"another purpose":     report(h.leave.For(one.ID), noSuchUser, "Subject: x"),
			"another's MessageID": report("x@example.org", noSuchUser, "To: reader1@example.net\r\nMessage-ID: "+h.ids["reader2@example.net"]),
			"foreign domain":      report("x@example.org", noSuchUser, "To: reader1@example.net\r\nMessage-ID: "+strings.Replace(h.ids["reader1@example.net"], "news.example.org", "evil.example", 1)),
			"no returned mail":    report("x@example.org", noSuchUser, ""),
		} {
			if rec := h.read(message); rec.Ignored != IgnoredForged || rec.Acted {
				t.Errorf("%s: %+v", name, rec)
			}
		}
		if h.suppressions() != 0 || h.state("reader1@example.net") != news.SubscriptionActive {
			t.Fatal("a forged bounce changed something")
		}
		if got, err := db.IgnoredBounces(t.Context()); err != nil || len(got) != 1 || got[0].Count != 6 || got[0].Reason != string(IgnoredForged) {
			t.Errorf("counted: %+v, %v", got, err)
		}

		// Genuine: by the token, in whatever case; once.
		rec := h.read(report(strings.ToUpper(token), noSuchUser, "Subject: x"))
		if !rec.Acted || rec.Bounce.DeliveryID != one.ID || rec.Bounce.Kind != news.BounceHard || rec.Bounce.Code != 550 || rec.Bounce.Enhanced != "5.1.1" ||
			!strings.HasSuffix(rec.Bounce.Diagnostic, "User unknown") {
			t.Errorf("%+v", rec)
		}
		if h.state("reader1@example.net") != news.SubscriptionBounced || h.suppressions() != 1 {
			t.Error("the hard bounce did nothing")
		}
		if rec := h.read(report(token, noSuchUser, "Subject: x")); rec.Acted || rec.Ignored != IgnoredNot {
			t.Errorf("again: %+v", rec)
		}

		// By the token in the envelope alone, with BATV around it.
		rec = h.read(report("undisclosed-recipients:;", fullBox, "Subject: x"), "prvs=0712ab34cd="+h.returns.For(two.ID))
		if rec.Acted || rec.Ignored != IgnoredNot || rec.Bounce.Kind != news.BounceSoft || rec.Bounce.DeliveryID != two.ID {
			t.Errorf("%+v", rec)
		}
		if h.state("reader2@example.net") != news.SubscriptionActive {
			t.Error("one full mailbox ended a subscription")
		}

		// By our Message-ID: the address is the returned mail's own.
		rec = h.read(report("postmaster@example.org", noSuchUser, "To: Reader <reader3@example.net>\r\nMessage-ID: "+h.ids["reader3@example.net"]))
		if !rec.Acted || rec.Bounce.DeliveryID != three.ID {
			t.Errorf("%+v", rec)
		}
	})
}

func TestNotificationsThatAreNone(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	token := h.returns.For(h.sent["reader1@example.net"].ID)
	for name, tt := range map[string]struct {
		message string
		ignored Ignored
		kind    news.BounceKind
	}{
		"delayed":              {report(token, delayed, "Subject: x"), IgnoredProgress, ""},
		"delivered":            {report(token, strings.Replace(delayed, "delayed", "delivered", 1), "Subject: x"), IgnoredProgress, ""},
		"policy is soft":       {report(token, policyNo, "Subject: x"), IgnoredNot, news.BounceSoft},
		"one of an alias":      {report(token, noSuchUser+"\r\n\r\n"+strings.Replace(delayed, "delayed", "relayed", 1), "Subject: x"), IgnoredNot, news.BounceSoft},
		"two of an alias":      {report(token, noSuchUser+"\r\n\r\n"+fullBox, "Subject: x"), IgnoredNot, news.BounceSoft},
		"gave up":              {report(token, strings.Replace(delayed, "delayed", "failed", 1), "Subject: x"), IgnoredNot, news.BounceSoft},
		"passed on by someone": {strings.Replace(report(token, noSuchUser, "Subject: x"), "Return-Path: <>", "Return-Path: <eve@evil.example>", 1), IgnoredOther, ""},
		"out of office":        {"To: " + token + "\r\nAuto-Submitted: auto-replied\r\nSubject: Away\r\n\r\nBack on Monday.\r\n", IgnoredReply, ""},
		"old out of office":    {"To: " + token + "\r\nPrecedence: auto_reply\r\n\r\nBack on Monday.\r\n", IgnoredReply, ""},
		"a letter":             {"To: " + token + "\r\nSubject: Hello\r\n\r\nI like it.\r\n", IgnoredOther, ""},
		"no message":           {"\x00\x01 nonsense\r\n", IgnoredMalformed, ""},
		"nothing":              {"", IgnoredOther, ""},
		"attached report": {"To: " + token + "\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\nContent-Type: message/rfc822\r\n\r\n" +
			report(token, noSuchUser, "Subject: x") + "\r\n--m--\r\n", IgnoredOther, ""},
	} {
		rec := h.read(tt.message)
		if rec.Ignored != tt.ignored || rec.Acted || rec.Bounce.Kind != tt.kind {
			t.Errorf("%s: %+v", name, rec)
		}
	}
	if h.suppressions() != 0 || h.state("reader1@example.net") != news.SubscriptionActive {
		t.Error("something changed")
	}
	unknown := h.returns.For(987654)
	if rec := h.read(report(unknown, noSuchUser, "Subject: x")); rec.Ignored != IgnoredUnknown {
		t.Errorf("a delivery that is gone: %+v", rec)
	}
}

// complaint is a report as Yahoo and others send them.
func complaint(kind, mailFrom, returned string) string {
	return "Return-Path: <feedback@provider.example>\r\nFrom: feedback@provider.example\r\nTo: abuse@example.org\r\nSubject: complaint\r\nMessage-ID: <" + kind + "@provider.example>\r\n" +
		"Content-Type: multipart/report; report-type=feedback-report; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nA complaint\r\n" +
		"--b\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: " + kind + "\r\nUser-Agent: Feedback/1\r\nVersion: 1\r\nOriginal-Mail-From: <" + mailFrom + ">\r\nOriginal-Rcpt-To: <reader2@example.net>\r\n" +
		"--b\r\nContent-Type: text/rfc822-headers\r\n\r\n" + returned + "\r\n--b--\r\n"
}

func TestComplaints(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, db *dbtest.DB) {
		h := newBounceHouse(t, db)
		one := h.returns.For(h.sent["reader1@example.net"].ID)
		for _, tt := range []struct {
			name, message string
			ignored       Ignored
			acted         bool
		}{
			{"forged", complaint("abuse", "bounces@news.example.org", "Message-ID: <made.up@news.example.org>\r\nTo: reader2@example.net"), IgnoredForged, false},
			{"not spam", complaint("not-spam", one, "Subject: x"), IgnoredProgress, false},
			{"dmarc", complaint("auth-failure", one, "Subject: x"), IgnoredProgress, false},
			{"by the envelope sender", complaint("abuse", one, "To: redacted@invalid"), IgnoredNot, true},
			{"by the Message-ID, To hidden", complaint("abuse", "", "To: redacted\r\nMessage-ID: "+h.ids["reader2@example.net"]), IgnoredNot, true},
			{"opt-out", complaint("opt-out", "", "Return-Path: <"+h.returns.For(h.sent["reader3@example.net"].ID)+">"), IgnoredNot, true},
		} {
			if rec := h.read(tt.message); rec.Ignored != tt.ignored || rec.Acted != tt.acted {
				t.Errorf("%s: %+v", tt.name, rec)
			}
		}
		for i := 1; i <= 3; i++ {
			if got := h.state(fmt.Sprintf("reader%d@example.net", i)); got != news.SubscriptionUnsubscribed {
				t.Errorf("reader %d is %s", i, got)
			}
		}
		if got := h.suppressions(); got != 2 {
			t.Errorf("%d suppressed, want the two who complained", got)
		}
	})
}

func TestMailedUnsubscribe(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	sub := h.sent["reader1@example.net"].SubscriptionID
	to := h.leave.For(sub)
	for name, message := range map[string]string{
		"an automatic reply": "To: " + to + "\r\nAuto-Submitted: auto-replied\r\n\r\nAway\r\n",
		"a null sender":      "Return-Path: <>\r\nTo: " + to + "\r\n\r\nx\r\n",
		"a bounce address":   "To: " + h.returns.For(sub) + "\r\nSubject: unsubscribe\r\n\r\n",
		"no token":           "To: unsubscribe@news.example.org\r\nSubject: unsubscribe\r\n\r\n",
	} {
		if rec := h.read(message); rec.Acted || rec.Ignored == IgnoredNot {
			t.Errorf("%s: %+v", name, rec)
		}
	}
	if h.state("reader1@example.net") != news.SubscriptionActive {
		t.Fatal("somebody was unsubscribed")
	}
	rec := h.read("Return-Path: <reader1@example.net>\r\nDelivered-To: all@mx.example.org\r\nX-Original-To: " + to + "\r\nTo: <" + to + ">\r\nSubject: unsubscribe\r\n\r\n")
	if !rec.Acted || rec.Bounce.Kind != news.BounceUnsubscribe || h.state("reader1@example.net") != news.SubscriptionUnsubscribed {
		t.Errorf("%+v", rec)
	}
	if h.suppressions() != 0 {
		t.Error("an unsubscribe suppressed")
	}
}

// A message that could not be recorded is tried again, one that hangs is left.
func TestReadFailsWhereTryingAgainHelps(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	broken := errors.New("disk gone")
	if _, err := h.bounces.Read(t.Context(), iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.bounces.Read(ctx, strings.NewReader(report(h.returns.For(1), noSuchUser, ""))); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Parts, depth and bytes are limited (S15).
func TestHostileReportsAreReadInBounds(t *testing.T) {
	h := newBounceHouse(t, dbtest.SQLite(t))
	token := h.returns.For(h.sent["reader1@example.net"].ID)
	var deep strings.Builder
	fmt.Fprintf(&deep, "To: %s\r\n", token)
	for i := range 200 {
		fmt.Fprintf(&deep, "Content-Type: multipart/mixed; boundary=d%d\r\n\r\n--d%d\r\n", i, i)
	}
	deep.WriteString("Content-Type: message/delivery-status\r\n\r\n" + noSuchUser)
	many := "To: " + token + "\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n" + strings.Repeat("--m\r\nContent-Type: text/plain\r\n\r\nx\r\n", 5000) +
		"--m\r\nContent-Type: message/delivery-status\r\n\r\n" + noSuchUser + "\r\n--m--\r\n"
	for name, message := range map[string]io.Reader{
		"deep":       strings.NewReader(deep.String()),
		"many parts": strings.NewReader(many),
		"long header": io.MultiReader(strings.NewReader("To: "+token+"\r\nX: "), io.LimitReader(endlessA{}, 1<<20),
			strings.NewReader("\r\nContent-Type: message/delivery-status\r\n\r\n"+noSuchUser)),
		"endless": io.MultiReader(strings.NewReader("To: "+token+"\r\n\r\n"), endlessA{}),
	} {
		began := time.Now()
		rec, err := h.bounces.Read(t.Context(), message)
		if err != nil || rec.Acted || rec.Ignored == IgnoredNot {
			t.Errorf("%s: %+v, %v", name, rec, err)
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("%s took %v", name, took)
		}
	}
	// A report is still read when the mail that it returns is cut off.
	cut := report(token, noSuchUser, "Subject: "+strings.Repeat("x", 70)+"\r\n\r\n"+strings.Repeat("long\r\n", 2<<20/6))
	if rec := h.read(cut[:len(cut)-100]); !rec.Acted {
		t.Errorf("%+v", rec)
	}
}

type endlessA struct{}

func (endlessA) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'a'
	}
	return len(p), nil
}

func TestSignedAddresses(t *testing.T) {
	t.Parallel()
	sign, err := news.NewSigner([]news.Secret{{ID: 255, Key: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := NewSignedAddress("field", "unsubscribe.mail@news.example.org", news.PurposeMailUnsubscribe, sign)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []int64{1, 77, 1 << 31, 1<<63 - 1} {
		address := a.For(id)
		parsed, err := news.ParseAddress("address", address)
		if err != nil || parsed.Spec != address {
			t.Errorf("%s: %v", address, err)
		}
		if got, ok := openSigned(sign, news.PurposeMailUnsubscribe, address, time.Now()); !ok || got != id {
			t.Errorf("%s: %d, %v", address, got, ok)
		}
		if _, ok := openSigned(sign, news.PurposeBounce, address, time.Now()); ok {
			t.Errorf("%s is good for another purpose", address)
		}
	}
	for _, bad := range []string{"bounces", "a+b@example.org", "much.too.long.local@example.org", "ünsub@example.org", ""} {
		var f *news.FieldError
		if _, err := NewSignedAddress("field", bad, news.PurposeBounce, sign); !errors.As(err, &f) || f.Field != "field" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestMessagesCarrySignedAddresses(t *testing.T) {
	t.Parallel()
	relay := smtptest.Start(t)
	sign := testLinks(t).Signer()
	signed := func(base string, purpose news.Purpose) *SignedAddress {
		a, err := NewSignedAddress("field", base, purpose, sign)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	returns, leave := signed("bounces@example.org", news.PurposeBounce), signed("unsubscribe@example.org", news.PurposeMailUnsubscribe)
	c, _ := newCourier(t, newMemStore(t, 1), newSMTP(t, relay, nil), func(o *Options) {
		o.ReturnPath = func(d news.Delivery) string { return returns.For(d.ID) }
		o.Unsubscribe = func(d news.Delivery) string { return leave.For(d.SubscriptionID) }
	})
	if _, err := c.Once(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := relay.Messages()
	if len(got) != 1 || got[0].From != returns.For(1) {
		t.Fatalf("%+v", got)
	}
	m, err := mail.ReadMessage(bytes.NewReader(got[0].Data))
	if err != nil {
		t.Fatal(err)
	}
	if want := ">, <mailto:" + leave.For(201) + "?subject=unsubscribe>"; !strings.HasSuffix(m.Header.Get("List-Unsubscribe"), want) {
		t.Errorf("%q, want …%q", m.Header.Get("List-Unsubscribe"), want)
	}
	if faults := wireFaults(got[0].Data); len(faults) > 0 {
		t.Error(faults)
	}
}
