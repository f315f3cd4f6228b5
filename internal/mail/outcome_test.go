package mail

import (
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

func TestJudgeIsTheTable(t *testing.T) {
	type row struct {
		stage    Stage
		code     int
		enhanced string
		want     Judgement
	}
	refused := func(b Bounce) Judgement { return Judgement{Verdict: Refused, Bounce: b} }
	only := func(v Verdict) Judgement { return Judgement{Verdict: v} }
	rows := []row{
		{StageConnect, 0, "", only(RelayFault)},
		{StageConnect, 421, "4.7.0", only(RelayFault)},
		{StageConnect, 554, "5.7.1", only(RelayFault)}, // never a bounce
		{StageHello, 0, "", only(RelayFault)},
		{StageHello, 454, "", only(RelayFault)},
		{StageHello, 502, "", only(RelayFault)},
		{StageHello, 530, "5.7.0", only(ConfigFault)},
		{StageAuth, 0, "", only(RelayFault)},
		{StageAuth, 454, "4.7.0", only(RelayFault)},
		{StageAuth, 534, "5.7.9", only(ConfigFault)},
		{StageAuth, 535, "5.7.8", only(ConfigFault)},
		{StageAuth, 504, "", only(ConfigFault)},
		{StageMail, 0, "", only(RelayFault)},
		{StageMail, 421, "", only(RelayFault)},
		{StageMail, 451, "", only(Deferred)},
		{StageMail, 452, "4.3.1", only(Deferred)},
		{StageMail, 530, "5.7.0", only(ConfigFault)},
		{StageMail, 550, "5.7.1", only(SenderFault)},
		{StageMail, 552, "5.3.4", only(SenderFault)},
		{StageRcpt, 0, "", only(RelayFault)},
		{StageRcpt, 421, "4.7.0", only(RelayFault)},
		{StageRcpt, 450, "4.7.1", Judgement{Deferred, BounceSoft}}, // soft if it goes on until the mail expires
		{StageRcpt, 451, "4.7.1", Judgement{Deferred, BounceSoft}},
		{StageRcpt, 452, "4.5.3", only(Deferred)}, // it counts recipients, and says nothing of this one
		{StageRcpt, 552, "", only(Deferred)},      // legacy "too many recipients"
		{StageRcpt, 552, "5.2.2", refused(BounceSoft)},
		{StageRcpt, 550, "5.1.1", refused(BounceHard)},
		{StageRcpt, 550, "5.1.10", refused(BounceHard)},
		{StageRcpt, 553, "5.1.3", refused(BounceHard)},
		{StageRcpt, 550, "5.2.1", refused(BounceHard)},
		{StageRcpt, 556, "", refused(BounceHard)},
		{StageRcpt, 550, "5.7.1", refused(BouncePolicy)},
		{StageRcpt, 554, "5.7.1", refused(BouncePolicy)},
		{StageRcpt, 550, "5.1.8", only(SenderFault)},
		{StageRcpt, 550, "", refused(BounceSoft)}, // nothing to tell policy from unknown
		{StageRcpt, 530, "5.7.0", only(ConfigFault)},
		{StageData, 0, "", only(RelayFault)},
		{StageData, 451, "", only(Deferred)},
		{StageData, 554, "", refused(BounceContent)},
		{StageBody, 0, "", only(RelayFault)},
		{StageBody, 452, "", only(Deferred)},
		{StageBody, 552, "5.3.4", refused(BounceContent)},
		{StageDot, 0, "", only(Uncertain)},
		{StageDot, 354, "", only(Uncertain)}, // out of step: nobody knows
		{StageDot, 421, "", only(RelayFault)},
		{StageDot, 451, "4.3.0", only(Deferred)},
		{StageDot, 550, "5.1.1", refused(BounceContent)}, // the stage decides: no suppression
		{StageDot, 554, "5.6.0", refused(BounceContent)},
		{StageRcpt, 354, "", only(RelayFault)},
		{StageRcpt, 999, "", only(RelayFault)},
	}
	for _, r := range rows {
		err := fmt.Errorf("send: %w", &ReplyError{Stage: r.stage, Code: r.code, Enhanced: r.enhanced, Text: "5.1.1 user unknown", Err: io.EOF})
		if got := Judge(err); got != r.want {
			t.Errorf("%s %d %s: %+v, want %+v", r.stage, r.code, r.enhanced, got, r.want)
		}
	}
	if got := Judge(nil); got != only(Accepted) {
		t.Errorf("nil: %+v", got)
	}
	if got := Judge(errors.New("dns")); got != only(RelayFault) {
		t.Errorf("foreign error: %+v", got)
	}
}

func TestCutEnhanced(t *testing.T) {
	for _, r := range []struct {
		code             int
		in, enhanced, at string
	}{
		{550, "5.1.1 no such user", "5.1.1", "no such user"},
		{550, "5.1.1", "5.1.1", ""},
		{451, "4.7.1 Greylisted", "4.7.1", "Greylisted"},
		{550, "4.1.1 classes disagree", "", "4.1.1 classes disagree"},
		{550, "no such user 5.1.1", "", "no such user 5.1.1"},
		{550, "5.1 x", "", "5.1 x"},
		{550, "5.1.1234 x", "", "5.1.1234 x"},
		{550, "5..1 xy", "", "5..1 xy"},
		{550, "", "", ""},
	} {
		if enhanced, rest := cutEnhanced(r.code, r.in); enhanced != r.enhanced || rest != r.at {
			t.Errorf("%d %q: %q, %q", r.code, r.in, enhanced, rest)
		}
	}
}

func TestBackoff(t *testing.T) {
	var b Backoff
	last := time.Duration(0)
	for attempts := range 20 {
		low, high := b.After(attempts, 0), b.After(attempts, 1)
		if low < 5*time.Minute || low < last || high > 5*time.Hour || high != low+low/4 {
			t.Errorf("after %d: %s to %s", attempts, low, high)
		}
		last = low
	}
	if b.After(1, 0) != 5*time.Minute || b.After(2, 0) != 10*time.Minute || b.After(9, 0) != 4*time.Hour {
		t.Error("not 5 min doubling up to 4 h")
	}
}
