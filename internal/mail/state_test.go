package mail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gazetted/internal/news"
)

// reported sums up what a store was told.
func (s *memStore) reported() (n int, last []news.RelayReport, traffic news.DeliveryTally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	traffic = news.DeliveryTally{}
	for _, reports := range s.reports {
		for _, r := range reports {
			for state, n := range r.Since {
				traffic[state] += n
			}
		}
	}
	if n = len(s.reports); n > 0 {
		last = s.reports[n-1]
	}
	return n, last, traffic
}

// TestRelaysAreReportedRarely: at once when a breaker moves, else every ten
// seconds with mail and every minute without, never per message; what could not
// be stored is made up for.
func TestRelaysAreReportedRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		down := false
		relay := &fakeRelay{onOpen: func(int) error {
			if down {
				return &ReplyError{Stage: StageConnect, Err: errors.New("connection refused")}
			}
			return nil
		}}
		relay.onBegin = func(to string) error {
			if to == "reader3@example.net" {
				return &ReplyError{Stage: StageRcpt, Code: 450, Enhanced: "4.2.0", Text: "<" + to + "> later"}
			}
			return nil
		}
		s := newMemStore(t, 500)
		c, _ := newCourier(t, s, relay, nil)
		ctx, stop := context.WithCancel(t.Context())
		stopped := make(chan error)
		go func() { stopped <- c.Run(ctx, time.Second) }()
		after(100 * time.Second)
		synctest.Wait()
		n, last, traffic := s.reported()
		// One at the start, one with the mail after ten seconds, one each minute.
		if n < 3 || n > 5 || traffic[news.DeliveryAccepted] != 499 || traffic[news.DeliveryDeferred] != 1 || last[0].Condition != news.RelayUp {
			t.Errorf("%d reports, %+v, the last %+v", n, traffic, last)
		}
		down = true
		s.mu.Lock()
		s.reportFault = errors.New("disk full")
		for i := range 20 {
			s.add(fmt.Sprintf("later%d@example.net", i))
		}
		s.mu.Unlock()
		c.Wake()
		after(30 * time.Second)
		s.mu.Lock()
		s.reportFault = nil
		s.mu.Unlock()
		after(3 * time.Second)
		synctest.Wait()
		if _, last, _ = s.reported(); last[0].Condition == news.RelayUp || last[0].Faults < 3 || !strings.Contains(last[0].LastFault, "refused") || last[0].FaultAt.IsZero() {
			t.Errorf("%+v", last)
		}
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
		if _, last, _ = s.reported(); !last[0].Ended {
			t.Errorf("its end was not told: %+v", last)
		}
	})
}

// TestWordsTellNoAddress: refusals repeat the recipient; logs and tables of
// relays do not.
func TestWordsTellNoAddress(t *testing.T) {
	for _, stage := range []Stage{StageRcpt, StageData, StageBody, StageDot} {
		if got, want := Words(&ReplyError{Stage: stage, Code: 550, Enhanced: "5.1.1", Text: "<ana@example.net> unknown"}), string(stage)+": 550 5.1.1"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := Words(&ReplyError{Stage: StageMail, Code: 550, Text: "sender refused"}); got != "mail: 550 sender refused" {
		t.Errorf("%q", got)
	}
	if Words(nil) != "" {
		t.Error("words about nothing")
	}
}

func TestSlowedDomains(t *testing.T) {
	h := newHealth(Relay{Transport: &fakeRelay{}, Connections: 4}, &Options{})
	d := newDesk(fleet{h}, time.Now, 10, true)
	now := time.Now()
	for range 5 {
		h.lanes.begin("slow.example", now)
		h.lanes.end("slow.example", wantsLess, now)
	}
	h.lanes.begin("fine.example", now)
	got := d.slowed(h)
	if len(got) != 1 || got[0].Domain != "slow.example" || got[0].Allowed != 1 || got[0].Gap == 0 || got[0].Deferrals != 5 {
		t.Errorf("%+v", got)
	}
	for i := range 100 {
		name := fmt.Sprintf("d%d.example", i)
		for range 3 {
			h.lanes.begin(name, now)
			h.lanes.end(name, wantsLess, now)
		}
	}
	if got = d.slowed(h); len(got) != maxSlowed || !slices.IsSortedFunc(got, func(a, b news.DomainLimit) int { return int(b.Gap - a.Gap) }) {
		t.Errorf("%d domains: %+v", len(got), got)
	}
}
