package mail

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/news"
)

// benchSpec is a message of about 20 KB, as a digest of five articles is.
func benchSpec() Spec {
	s := testSpec()
	s.Variant.Text = strings.Repeat("A sentence of an article, as long as sentences in articles are.\n", 90) + s.Variant.Text
	s.Variant.HTML = strings.Replace(s.Variant.HTML, "<p>", strings.Repeat(`<p style="margin:0 0 16px">A sentence of an article, as long as sentences in articles are.</p>`+"\n", 120)+"<p>", 1)
	return s
}

func BenchmarkCompile(b *testing.B) {
	s := benchSpec()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBytes(b *testing.B) {
	c, err := Compile(benchSpec())
	if err != nil {
		b.Fatal(err)
	}
	r := testRecipient()
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = c.Append(buf[:0], r); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(buf)))
	}
}

// sink is the fastest relay there could be: it takes everything.
func sink(b *testing.B) *SMTP {
	b.Helper()
	l, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() { swallow(conn) })
		}
	})
	b.Cleanup(func() { _ = l.Close(); sessions.Wait() })
	s, err := NewSMTP(SMTPOptions{Host: "127.0.0.1", Port: l.Addr().(*net.TCPAddr).Port, TLS: TLSNone, HELO: "bench.test"})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func swallow(conn net.Conn) {
	defer conn.Close()
	r, w := bufio.NewReaderSize(conn, 32<<10), bufio.NewWriter(conn)
	say := func(s string) { _, _ = io.WriteString(w, s+"\r\n") }
	say("220 sink")
	body := false
	for {
		if r.Buffered() == 0 && w.Flush() != nil {
			return
		}
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case body && string(line) == ".\r\n":
			body = false
			say("250 ok")
		case body:
		case line[0] == 'E':
			say("250-sink\r\n250 PIPELINING")
		case line[0] == 'D':
			body = true
			say("354 go")
		case line[0] == 'Q':
			say("221 bye")
			_ = w.Flush()
			return
		default:
			say("250 ok")
		}
	}
}

func BenchmarkSession(b *testing.B) {
	s, err := sink(b).Open(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer s.Quit()
	msg := mustBytes(b, benchSpec(), testRecipient())
	env := envelope("ana@example.net")
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Begin(b.Context(), env, msg); err != nil {
			b.Fatal(err)
		}
		if err := s.Dot(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCourier sends b.N messages over 8 connections: with an outbox in
// memory, which leaves the courier's own cost, and with a real one.
func BenchmarkCourier(b *testing.B) {
	run := func(b *testing.B, s Store, now func() time.Time) {
		c, _ := newCourier(b, s, sink(b), func(o *Options) {
			o.Relays[0].Connections, o.Relays[0].MaxMessages, o.Events, o.Now = 8, 1<<30, nil, now
		})
		b.ResetTimer()
		tally, err := c.Once(context.Background())
		b.StopTimer()
		if err != nil || tally[news.DeliveryAccepted] != b.N {
			b.Fatal(tally, err)
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	}
	b.Run("memory", func(b *testing.B) {
		s := &benchStore{left: b.N, memStore: newMemStore(b, 0)}
		s.variants[7] = benchSpec().Variant
		run(b, s, time.Now)
	})
	b.Run("sqlite", func(b *testing.B) {
		db := dbtest.SQLite(b)
		closeEdition(b, db, b.N, nil)
		run(b, db.Store, db.Clock.Now)
	})
}

// benchStore hands out deliveries and forgets them.
type benchStore struct {
	*memStore
	left int
}

func (s *benchStore) ClaimDeliveries(_ context.Context, limit int, _ time.Duration) ([]news.Delivery, error) {
	out := make([]news.Delivery, min(limit, s.left))
	for i := range out {
		id := int64(s.left - i)
		out[i] = news.Delivery{ID: id, Kind: news.VariantEdition, EditionID: 3, VariantID: 7, ListID: 1, SubscriberID: id, SubscriptionID: id,
			Address: "reader@example.net", Name: "A Reader", Token: "t", CreatedAt: time.Unix(1773298800, 0)}
	}
	s.left -= len(out)
	return out, nil
}

func (s *benchStore) Settle(_ context.Context, _ []news.Outcome, dots []news.Dot) ([]bool, error) {
	may := make([]bool, len(dots))
	for i := range may {
		may[i] = true
	}
	return may, nil
}
func (s *benchStore) RecoverDeliveries(context.Context) (int, error) { return 0, nil }
