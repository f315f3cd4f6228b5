package smtptest_test

import (
	"testing"

	"gazetted/internal/smtptest"
)

func TestLimits(t *testing.T) {
	relay := smtptest.Start(t, smtptest.WithLimits(1, 2))
	first := dial(t, relay)
	second := connect(t, relay)
	second.hear("421 4.7.0 too many connections")
	second.gone()
	for range 2 {
		first.sendTo("ana@example.org")
		first.hear("250 2.0.0 taken")
	}
	first.say("MAIL FROM:<list@example.com>", "421 4.7.0 too many messages, come again")
	first.gone()
	if n := len(relay.Messages()); n != 2 || relay.Sessions() != 2 {
		t.Errorf("%d messages over %d connections", n, relay.Sessions())
	}
}
