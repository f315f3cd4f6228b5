package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gazetted/internal/mail"
	"gazetted/internal/news"
)

// mailMetrics are the figures of sending. Counters are of this process; what the
// database counts is the same at every replica.
type mailMetrics struct {
	attempts *prometheus.CounterVec
	faults   *prometheus.CounterVec
	held     prometheus.Counter
}

func newMailMetrics() *mailMetrics {
	return &mailMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gazetted_delivery_attempts_total", Help: "Attempts to send a mail that met a relay, by relay and by what came of them.",
		}, []string{"relay", "outcome"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gazetted_relay_faults_total", Help: "Faults of relays, which no recipient is charged with; config: only the operator can mend it.",
		}, []string{"relay", "kind"}),
		held: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gazetted_editions_held_total", Help: "How often an edition was held back because a relay refused it as such.",
		}),
	}
}

// count notes what the courier met.
func (m *mailMetrics) count(e mail.Event) {
	switch e.Kind {
	case mail.EventAttempt:
		if e.Outcome.Relay != "" { // else it was given back before it met one
			m.attempts.WithLabelValues(e.Outcome.Relay, string(e.Outcome.State)).Inc()
		}
	case mail.EventRelayFault:
		m.faults.WithLabelValues(e.Relay, "relay").Inc()
	case mail.EventConfigFault:
		m.faults.WithLabelValues(e.Relay, "config").Inc()
	case mail.EventHeld:
		m.held.Inc()
	default:
	}
}

// registerMetrics adds the figures of sending to those of the web server.
func (d *Daemon) registerMetrics() error {
	m := d.metrics
	for _, c := range []prometheus.Collector{m.attempts, m.faults, m.held, newMailCollector(d)} {
		if err := d.web.Registry().Register(c); err != nil {
			return err
		}
	}
	return nil
}

// figuresAge is how long a count of the database is good for: several scrapers
// must not make it count again and again.
const figuresAge = 10 * time.Second

// mailCollector reads what is not counted here when it is asked for it.
type mailCollector struct {
	d *Daemon

	state, connections, slots                          *prometheus.Desc
	bounces, ignored, suppressions, doubtful, oldestAt *prometheus.Desc

	mu   sync.Mutex
	last news.MailFigures
	at   time.Time // monotonic; zero: never
}

func newMailCollector(d *Daemon) *mailCollector {
	desc := prometheus.NewDesc
	return &mailCollector{
		d:            d,
		state:        desc("gazetted_relay_state", "1 for the state that this daemon finds the relay in: up, open (it failed, and is left alone), trying or paused.", []string{"relay", "state"}, nil),
		connections:  desc("gazetted_relay_connections", "Open connections of this daemon to the relay.", []string{"relay"}, nil),
		slots:        desc("gazetted_relay_slots", "Connections that this daemon opens at most: fewer than configured once the relay has turned one away.", []string{"relay"}, nil),
		bounces:      desc("gazetted_bounces_total", "Bounces, complaints and mailed unsubscribes that were believed, by kind and by the way they came.", []string{"kind", "via"}, nil),
		ignored:      desc("gazetted_bounces_ignored_total", "What came to be a bounce and was not believed or not needed.", []string{"via", "reason"}, nil),
		suppressions: desc("gazetted_suppressions", "Addresses that are never mailed again, by reason.", []string{"reason"}, nil),
		doubtful:     desc("gazetted_deliveries_doubtful", "Mails that may have arrived more than once: a final reply was lost.", nil, nil),
		oldestAt:     desc("gazetted_edition_oldest_timestamp_seconds", "When the slot was due of the edition that is not done for the longest time; 0: all are done.", nil, nil),
	}
}

// Describe sends all descriptions.
func (c *mailCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.state, c.connections, c.slots, c.bounces, c.ignored, c.suppressions, c.doubtful, c.oldestAt} {
		ch <- d
	}
}

// Collect asks the courier and the database.
func (c *mailCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(desc *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, labels...)
	}
	for _, r := range c.d.Courier.Relays() {
		for _, condition := range news.RelayConditions() {
			v := 0.0
			if condition == r.Condition {
				v = 1
			}
			gauge(c.state, v, r.Relay, string(condition))
		}
		gauge(c.connections, float64(r.Connections), r.Relay)
		gauge(c.slots, float64(r.MaxConnections), r.Relay)
	}
	f, err := c.figures()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.bounces, err)
		return
	}
	for _, b := range f.Bounces {
		ch <- prometheus.MustNewConstMetric(c.bounces, prometheus.CounterValue, float64(b.Count), string(b.Kind), b.Via)
	}
	for _, x := range f.Ignored {
		ch <- prometheus.MustNewConstMetric(c.ignored, prometheus.CounterValue, float64(x.Count), x.Via, x.Reason)
	}
	for reason, n := range f.Suppressions {
		gauge(c.suppressions, float64(n), string(reason))
	}
	gauge(c.doubtful, float64(f.Doubtful))
	oldest := 0.0
	if !f.OldestEdition.IsZero() {
		oldest = float64(f.OldestEdition.UnixMilli()) / 1000
	}
	gauge(c.oldestAt, oldest)
}

func (c *mailCollector) figures() (news.MailFigures, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.at.IsZero() && time.Since(c.at) < figuresAge {
		return c.last, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	f, err := c.d.Store.MailFigures(ctx)
	if err != nil {
		return f, err
	}
	c.last, c.at = f, time.Now()
	return f, nil
}
