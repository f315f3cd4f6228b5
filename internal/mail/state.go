package mail

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gazetted/internal/news"
)

// Words is err for logs and for what is kept of relays: without a relay's words
// about a recipient, which often repeat the address. The delivery has them.
func Words(err error) string {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*ReplyError](err); ok && e.Code != 0 {
		switch e.Stage {
		case StageRcpt, StageData, StageBody, StageDot:
			return strings.TrimSpace(fmt.Sprintf("%s: %d %s", e.Stage, e.Code, e.Enhanced))
		default:
		}
	}
	return cleanLine(err.Error(), 300)
}

// Relays is how this process finds its relays now.
func (c *Courier) Relays() []news.RelayState {
	out := make([]news.RelayState, len(c.fleet))
	for i, h := range c.fleet {
		out[i] = h.state()
		out[i].Process, out[i].At = c.o.Process, c.o.Now()
	}
	return out
}

// state is what is known of a relay, without its lanes.
func (h *health) state() news.RelayState {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := news.RelayState{
		Relay: h.Transport.Name(), Condition: news.RelayUp, Faults: h.faults, LastFault: h.lastFault, FaultAt: h.faultAt,
		Connections: h.conns, MaxConnections: h.limit, Offer: h.offer,
	}
	switch {
	case h.paused:
		s.Condition = news.RelayPaused
	case h.until.IsZero():
	case h.shut() > 0:
		s.Condition, s.Until = news.RelayOpen, h.until
	default:
		s.Condition = news.RelayTrying
	}
	return s
}

// offered notes what the relay said of itself.
func (h *health) offered(s Session) {
	o, ok := s.(interface{ Offer() news.RelayOffer })
	if !ok {
		return
	}
	offer := o.Offer()
	offer.At = h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.offer = &offer
}

// maxSlowed bounds how many domains are told of.
const maxSlowed = 20

// slowed are the domains that are given less by h than they could be, those
// with the longest gap first.
func (d *desk) slowed(h *health) []news.DomainLimit {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []news.DomainLimit
	for name, l := range h.lanes.byName {
		if int(l.allowed) < h.lanes.limit || l.gap > 0 {
			out = append(out, news.DomainLimit{
				Domain: name, UnderWay: l.underWay, Allowed: max(1, int(l.allowed)), Deferrals: l.deferrals, Gap: news.Duration(l.gap),
			})
		}
	}
	slices.SortFunc(out, func(a, b news.DomainLimit) int {
		return cmp.Or(cmp.Compare(b.Gap, a.Gap), cmp.Compare(a.Allowed, b.Allowed), strings.Compare(a.Domain, b.Domain))
	})
	return out[:min(len(out), maxSlowed)]
}

// When relays are reported.
const (
	reportLook  = time.Second      // between looks whether a breaker has moved
	reportEvery = 10 * time.Second // while mail goes out
	reportAlive = time.Minute      // when nothing happens: see news.RelayLife
)

// reporter tells the store how the relays are: at once when a breaker moves, a
// few times a minute while mail goes out, and once a minute when nothing
// happens. Never per message. A report that fails is made up for by the next
// one: nothing depends on it, and whoever sends notices the store's failure.
type reporter struct {
	*shift
	told map[string]news.RelayCondition
	at   time.Time // of the last report

	mu      sync.Mutex
	traffic map[string]news.DeliveryTally
}

func newReporter(s *shift) *reporter {
	return &reporter{shift: s, traffic: map[string]news.DeliveryTally{}, told: map[string]news.RelayCondition{}}
}

// count notes that an attempt was recorded.
func (r *reporter) count(relay string, state news.DeliveryState) {
	if relay == "" { // given back, without having met one
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.traffic[relay]
	if t == nil {
		t = news.DeliveryTally{}
		r.traffic[relay] = t
	}
	t[state]++
}

// run reports until ctx ends.
func (r *reporter) run(ctx context.Context) {
	tick := time.NewTicker(reportLook)
	defer tick.Stop()
	for {
		if r.due() {
			r.report(ctx, false)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// due tells whether there is something to report.
func (r *reporter) due() bool {
	age := time.Since(r.at)
	if r.at.IsZero() || age >= reportAlive {
		return true
	}
	for _, s := range r.Relays() {
		if r.told[s.Relay] != s.Condition {
			return true
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.traffic) > 0 && age >= reportEvery
}

// report writes it down. What cannot be written is added to the next one.
func (r *reporter) report(ctx context.Context, ended bool) {
	r.mu.Lock()
	traffic := r.traffic
	r.traffic = map[string]news.DeliveryTally{}
	r.mu.Unlock()
	states := r.Relays()
	reports := make([]news.RelayReport, len(states))
	for i, s := range states {
		s.Ended, s.Slowed = ended, r.desk.slowed(r.fleet[i])
		reports[i] = news.RelayReport{RelayState: s, Since: traffic[s.Relay]}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	r.at = time.Now()
	if err := r.o.Store.ReportRelays(ctx, reports); err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for relay, tally := range traffic {
			if have := r.traffic[relay]; have != nil {
				for state, n := range tally {
					have[state] += n
				}
			} else {
				r.traffic[relay] = maps.Clone(tally)
			}
		}
		return
	}
	for _, s := range states {
		r.told[s.Relay] = s.Condition
	}
}
