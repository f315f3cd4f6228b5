package web

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"gazetted/internal/news"
)

// statusAge is how long a count of the store is good for: several scrapers
// must not make the database count the outbox again and again.
const statusAge = 5 * time.Second

// metrics are the figures for operators, in a registry of their own.
type metrics struct {
	registry *prometheus.Registry
	handler  http.Handler
	http     *prometheus.CounterVec
	builds   *prometheus.CounterVec
	reads    *prometheus.CounterVec
	// The two that every feed request counts, found once.
	readFull, readNotModified prometheus.Counter
}

func newMetrics(store healthStore, version string, now func() time.Time) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		http: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gazetted_http_requests_total", Help: "Answered requests by route and class of status.",
		}, []string{"route", "status"}),
		builds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gazetted_feed_builds_total", Help: "Feeds built, by result.",
		}, []string{"result"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gazetted_feed_reads_total", Help: "Feeds answered, full or not modified.",
		}, []string{"answer"}),
	}
	m.readFull, m.readNotModified = m.reads.WithLabelValues("full"), m.reads.WithLabelValues("not_modified")
	if version == "" {
		version = "unknown"
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "gazetted_build_info", Help: "Always 1; the label tells the version.", ConstLabels: prometheus.Labels{"version": version},
	})
	build.Set(1)
	m.registry.MustRegister(m.http, m.builds, m.reads, build, newStatusCollector(store, now),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	return m
}

func (m *metrics) request(t *tracker) {
	route := "none"
	if t.route != nil {
		route = t.route.class()
	}
	m.http.WithLabelValues(route, strconv.Itoa(t.status/100)+"xx").Inc()
}

func (m *metrics) feedBuilt(err error) {
	result := "ok"
	if err != nil {
		result = "failed"
		if statusOf(err) < http.StatusInternalServerError {
			result = "none" // no such feed
		}
	}
	m.builds.WithLabelValues(result).Inc()
}

func (m *metrics) feedRead(notModified bool) {
	if notModified {
		m.readNotModified.Inc()
		return
	}
	m.readFull.Inc()
}

// Registry takes further metrics, such as those of the daemon's other stages.
func (s *Server) Registry() *prometheus.Registry { return s.metrics.registry }

// serveMetrics answers machines of the operator's network: how many people
// read a newsletter is not for everybody.
func (s *Server) serveMetrics(w http.ResponseWriter, r *http.Request) error {
	from := s.client(r)
	if !s.onThisMachine(r) && (!from.IsPrivate() || r.Header.Get("X-Forwarded-For") != "" && !s.trusted(peer(r))) {
		return statusError(http.StatusForbidden)
	}
	s.metrics.handler.ServeHTTP(w, r)
	return nil
}

// statusCollector reads the store's own counts when it is asked for them.
type statusCollector struct {
	store healthStore
	now   func() time.Time
	descs map[string]*prometheus.Desc

	mu   sync.Mutex
	last news.Status
	at   time.Time
}

func newStatusCollector(store healthStore, now func() time.Time) *statusCollector {
	c := &statusCollector{store: store, now: now, descs: map[string]*prometheus.Desc{}}
	for name, help := range map[string]string{
		"gazetted_articles":                        "Released articles.",
		"gazetted_articles_waiting":                "Articles found and not yet released.",
		"gazetted_seq":                             "Number of the latest release.",
		"gazetted_sources":                         "Sources that are watched.",
		"gazetted_sources_failing":                 "Sources whose latest look failed.",
		"gazetted_lists":                           "Lists.",
		"gazetted_subscribers":                     "Subscribers.",
		"gazetted_subscriptions_active":            "Active subscriptions.",
		"gazetted_editions_open":                   "Editions that are not done.",
		"gazetted_paused":                          "1 while the operator has paused sending.",
		"gazetted_outbox_oldest_timestamp_seconds": "When the oldest waiting delivery was queued; 0: none waits.",
	} {
		c.descs[name] = prometheus.NewDesc(name, help, nil, nil)
	}
	c.descs["gazetted_deliveries"] = prometheus.NewDesc("gazetted_deliveries", "Deliveries by state.", []string{"state"}, nil)
	return c
}

// Describe sends all descriptions.
func (c *statusCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect reads the status; if the database does not answer, the figures are
// missing rather than wrong.
func (c *statusCollector) Collect(ch chan<- prometheus.Metric) {
	st, err := c.status()
	if err != nil {
		ch <- prometheus.NewInvalidMetric(c.descs["gazetted_seq"], err)
		return
	}
	paused, oldest := 0.0, 0.0
	if st.Paused {
		paused = 1
	}
	if !st.Outbox.Oldest.IsZero() {
		oldest = float64(st.Outbox.Oldest.Unix())
	}
	for name, v := range map[string]float64{
		"gazetted_articles": float64(st.Articles), "gazetted_articles_waiting": float64(st.Waiting), "gazetted_seq": float64(st.LastSeq),
		"gazetted_sources": float64(st.Sources), "gazetted_sources_failing": float64(st.Failing), "gazetted_lists": float64(st.Lists),
		"gazetted_subscribers": float64(st.Subscribers), "gazetted_subscriptions_active": float64(st.Active),
		"gazetted_editions_open": float64(st.OpenEditions), "gazetted_paused": paused, "gazetted_outbox_oldest_timestamp_seconds": oldest,
	} {
		ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.GaugeValue, v)
	}
	for state, n := range st.Outbox.Counts {
		ch <- prometheus.MustNewConstMetric(c.descs["gazetted_deliveries"], prometheus.GaugeValue, float64(n), string(state))
	}
}

func (c *statusCollector) status() (news.Status, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.at.IsZero() || now.Sub(c.at) >= statusAge {
		ctx, cancel := context.WithTimeout(context.Background(), readyTimeout)
		defer cancel()
		st, err := c.store.Status(ctx)
		if err != nil {
			return news.Status{}, err
		}
		c.last, c.at = st, now
	}
	return c.last, nil
}
