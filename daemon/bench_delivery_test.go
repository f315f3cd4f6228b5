package daemon_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gazetted/internal/dbtest"
	"gazetted/internal/mail"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// sinkEnv makes the test binary an SMTP sink: a process of its own, so that its
// work is not counted as ours.
const sinkEnv = "GAZETTED_BENCH_SINK"

func TestMain(m *testing.M) {
	if os.Getenv(sinkEnv) != "" {
		if err := runSink(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// runSink accepts every message, as fast as it can, until stdin ends.
func runSink(stdin io.Reader, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // ends with the process
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = l.Close()
	}()
	for {
		conn, err := l.Accept()
		if err != nil {
			return nil //nolint:nilerr // closed: the benchmark is over
		}
		go sinkConn(conn)
	}
}

// sinkConn answers commands; replies to a pipelined group leave together.
func sinkConn(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	r, w := bufio.NewReaderSize(conn, 64<<10), bufio.NewWriter(conn)
	say := func(s string) {
		_, _ = w.WriteString(s)
		if r.Buffered() == 0 {
			_ = w.Flush()
		}
	}
	say("220 sink\r\n")
	_ = w.Flush()
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return
		}
		switch strings.ToUpper(string(line[:min(4, len(line))])) {
		case "EHLO":
			say("250-sink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SIZE 99999999\r\n")
		case "DATA":
			say("354 go on\r\n")
			_ = w.Flush()
			for {
				line, err := r.ReadSlice('\n')
				if err != nil {
					return
				}
				if len(line) == 3 && line[0] == '.' {
					break
				}
			}
			say("250 2.0.0 taken\r\n")
		case "QUIT":
			say("221 bye\r\n")
			return
		default:
			say("250 2.0.0 ok\r\n")
		}
	}
}

// startSink starts the sink and returns its address.
func startSink(b *testing.B) string {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(context.Background(), self) // #nosec G204 -- this test binary
	cmd.Env = append(os.Environ(), sinkEnv+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = stdin.Close()
		_ = cmd.Wait()
	})
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	return strings.TrimSpace(addr)
}

const (
	benchConnections = 10
	benchMessages    = 20_000
)

// benchBody is about 20 KB, of which quoted-printable makes about 26 on the wire.
func benchBody() (html, text string) {
	p := "<p style=\"margin:0\">The harbour opened again on Monday — “at last”, said Ana Ünal, and the tugs went out.</p>\n"
	return "<html><body>" + strings.Repeat(p, 160) + "<a href=\"" + news.Mark("00112233aabbccdd", news.PlaceUnsubscribe) + "\">x</a></body></html>",
		strings.Repeat("The harbour opened again on Monday.\n", 60) + news.Mark("00112233aabbccdd", news.PlaceUnsubscribe)
}

// floors are what bare bytes reached in this run, in messages per second.
type floors struct{ lockStep, pipelined float64 }

// measure reports what n messages took. The floors of the same run divide it.
// The label "part" tells a CPU profile's samples of the work from those of its
// preparation (go tool pprof -tagfocus).
func measure(b *testing.B, n int, f floors, work func()) float64 {
	b.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	debug.FreeOSMemory()
	resetPeak(b)
	cpu, start := cpuTime(b), time.Now()
	pprof.Do(b.Context(), pprof.Labels("part", b.Name()), func(context.Context) { work() })
	took, used := time.Since(start), cpuTime(b)-cpu
	runtime.ReadMemStats(&after)
	perSecond := float64(n) / took.Seconds()
	b.ReportMetric(perSecond, "msg/s")
	b.ReportMetric(float64(used.Microseconds())/float64(n), "cpu-µs/msg")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(n), "allocs/msg")
	b.ReportMetric(float64(peakRSS(b))/(1<<20), "peak-MB")
	if f.pipelined > 0 {
		b.ReportMetric(perSecond/f.lockStep, "of-lock-step")
		b.ReportMetric(perSecond/f.pipelined, "of-pipelined")
	}
	b.ReportMetric(0, "ns/op")
	return perSecond
}

func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkDelivery sends 20 KB messages over 10 connections to a loopback
// sink: as bare bytes (the floors: each command waits for its reply, and MAIL,
// RCPT and DATA at once), and from a durable outbox on each database.
func BenchmarkDelivery(b *testing.B) {
	addr := startSink(b)
	var f floors
	b.Run("floor/lockstep", func(b *testing.B) {
		f.lockStep = measure(b, benchMessages, floors{}, func() {
			blast(b, addr, "MAIL FROM:<news@gazette.example>\r\n", "RCPT TO:<ana@reader.example>\r\n", "DATA\r\n")
		})
	})
	b.Run("floor/pipelined", func(b *testing.B) {
		f.pipelined = measure(b, benchMessages, floors{}, func() { blast(b, addr, "MAIL FROM:<news@gazette.example>\r\nRCPT TO:<ana@reader.example>\r\nDATA\r\n") })
	})
	b.Run("sqlite", func(b *testing.B) { benchDelivery(b, dbtest.SQLite(b), addr, benchMessages, f) })
	b.Run("postgres", func(b *testing.B) { benchDelivery(b, dbtest.Postgres(b), addr, benchMessages, f) })
}

// BenchmarkDeliveryLarge is for its peak of memory: ten times the messages.
func BenchmarkDeliveryLarge(b *testing.B) {
	addr := startSink(b)
	b.Run("sqlite", func(b *testing.B) { benchDelivery(b, dbtest.SQLite(b), addr, 10*benchMessages, floors{}) })
	b.Run("postgres", func(b *testing.B) { benchDelivery(b, dbtest.Postgres(b), addr, 10*benchMessages, floors{}) })
}

func benchDelivery(b *testing.B, s *dbtest.DB, addr string, n int, f floors) {
	b.Helper()
	s.Clock.Set(time.Now())
	courier, commits := benchCourier(b, s, addr, n)
	server := serverTime(b, s)
	measure(b, n, f, func() {
		tally, err := courier.Once(b.Context())
		if err != nil || tally[news.DeliveryAccepted] != n {
			b.Fatal(tally, err)
		}
	})
	b.ReportMetric(float64(n)/float64(commits.Load()), "msg/commit")
	if used := server(); used > 0 {
		b.ReportMetric(float64(used.Microseconds())/float64(n), "server-µs/msg")
	}
}

// serverTime returns how to read what the backends of our connections to
// PostgreSQL have used since, where they run on this machine.
func serverTime(b *testing.B, s *dbtest.DB) func() time.Duration {
	b.Helper()
	none := func() time.Duration { return 0 }
	if s.Kind() != "postgres" {
		return none
	}
	db, err := sql.Open("postgres", s.DSN)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	used := func() (total time.Duration) {
		rows, err := db.QueryContext(b.Context(), `SELECT pid FROM pg_stat_activity WHERE application_name = current_setting('application_name')`)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			pid := 0
			if err := rows.Scan(&pid); err != nil {
				b.Fatal(err)
			}
			total += processTime(pid)
		}
		if err := rows.Err(); err != nil {
			b.Fatal(err)
		}
		return total
	}
	before := used()
	return func() time.Duration { return used() - before }
}

// processTime is the processor time of a backend; 0: it is not here.
func processTime(pid int) time.Duration {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil || !bytes.Contains(stat, []byte("(postgres)")) {
		return 0
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:])) // from the third on
	ticks := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100 // USER_HZ
}

// blast sends ready bytes: each of commands when the one before was answered,
// then the body with its dot.
func blast(b *testing.B, addr string, commands ...string) {
	b.Helper()
	html, text := benchBody()
	v := news.Variant{Kind: news.VariantEdition, Nonce: "00112233aabbccdd", Subject: "The harbour", HTML: html, Text: text}
	c, err := mail.Compile(mail.Spec{Variant: v, From: "news@gazette.example", ListID: "world.gazette.example", ListTitle: "World"})
	if err != nil {
		b.Fatal(err)
	}
	raw, err := c.Bytes(mail.Recipient{
		Address: "ana@reader.example", MessageID: "<1@gazette.example>", Date: time.Now(), Unsubscribe: "https://news.gazette.example/unsubscribe/AAAA",
	})
	if err != nil {
		b.Fatal(err)
	}
	raw = append(bytes.ReplaceAll(raw, []byte("\r\n."), []byte("\r\n..")), "\r\n.\r\n"...)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchConnections {
		wg.Go(func() {
			if err := blastOne(addr, commands, raw, &next); err != nil {
				b.Error(err)
			}
		})
	}
	wg.Wait()
}

func blastOne(addr string, commands []string, raw []byte, next *atomic.Int64) error {
	conn, err := net.Dial("tcp", addr) //nolint:noctx // a benchmark's own sink
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	r := bufio.NewReader(conn)
	say := func(what []byte, replies int) error {
		if _, err := conn.Write(what); err != nil {
			return err
		}
		for range replies {
			if _, err := r.ReadSlice('\n'); err != nil {
				return err
			}
		}
		return nil
	}
	if err := say([]byte("EHLO x\r\n"), 5); err != nil { // and the greeting
		return err
	}
	for next.Add(1) <= benchMessages {
		for _, c := range commands {
			if err := say([]byte(c), strings.Count(c, "\n")); err != nil {
				return err
			}
		}
		if err := say(raw, 1); err != nil {
			return err
		}
	}
	return nil
}

// countedStore counts the commits of the courier's connections.
type countedStore struct {
	*store.Store
	settles atomic.Int64
}

func (s *countedStore) Settle(ctx context.Context, outcomes []news.Outcome, dots []news.Dot) ([]bool, error) {
	s.settles.Add(1)
	return s.Store.Settle(ctx, outcomes, dots)
}

// benchCourier queues an edition for so many subscribers.
func benchCourier(b *testing.B, db *dbtest.DB, addr string, readers int) (*mail.Courier, *atomic.Int64) {
	b.Helper()
	ctx := b.Context()
	l, err := db.AddList(ctx, news.List{Name: "world", Title: "World", Zone: "UTC", Frequencies: []news.Frequency{{Name: "daily", Cron: "0 7 * * *"}}})
	if err != nil {
		b.Fatal(err)
	}
	var batch []news.SubscribeRequest
	for i := range readers {
		a, err := news.ParseAddress("address", fmt.Sprintf("reader%d@reader.example", i))
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, news.SubscribeRequest{Address: a, List: "world", Confirmed: true})
		if len(batch) == 1000 {
			if _, _, err := db.ImportSubscribers(ctx, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	src, err := db.AddSource(ctx, news.Source{Name: "cms", Kind: news.SourcePush})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := db.StoreArticles(ctx, src.ID, []news.Found{{NativeID: "a", URL: "https://gazette.example/a", Title: "The harbour"}}); err != nil {
		b.Fatal(err)
	}
	db.Clock.Advance(time.Minute)
	if n, _, err := db.ReleaseDue(ctx); n != 1 || err != nil {
		b.Fatal(n, err)
	}
	closeBenchEdition(b, db, l, readers)
	host, port, _ := strings.Cut(addr, ":")
	n := 0
	if _, err := fmt.Sscan(port, &n); err != nil {
		b.Fatal(err)
	}
	t, err := mail.NewSMTP(mail.SMTPOptions{Host: host, Port: n, TLS: mail.TLSNone, HELO: "gazette.example"})
	if err != nil {
		b.Fatal(err)
	}
	counted := &countedStore{Store: db.Store}
	c, err := mail.New(mail.Options{
		Store: counted, Links: benchLinks(b, db), From: "news@gazette.example", Domain: "gazette.example", Now: db.Clock.Now,
		Relays: []mail.Relay{{Transport: t, Connections: benchConnections, MaxMessages: 1 << 30}},
	})
	if err != nil {
		b.Fatal(err)
	}
	return c, &counted.settles
}

func benchLinks(b *testing.B, db *dbtest.DB) *news.Links {
	b.Helper()
	secrets, err := db.Secrets(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	signer, err := news.NewSigner(secrets)
	if err != nil {
		b.Fatal(err)
	}
	links, err := news.NewLinks("https://news.gazette.example", signer)
	if err != nil {
		b.Fatal(err)
	}
	return links
}

func closeBenchEdition(b *testing.B, db *dbtest.DB, l news.List, readers int) {
	b.Helper()
	ctx := b.Context()
	editions, _, err := db.TakeManual(ctx, "world", "daily", time.Hour)
	if err != nil || len(editions) != 1 {
		b.Fatal(len(editions), err)
	}
	groups, err := db.Audience(ctx, editions[0])
	if err != nil || len(groups) != 1 {
		b.Fatal(len(groups), err)
	}
	articles, err := db.ArticlesBetween(ctx, 0, editions[0].CutoffSeq, 10)
	if err != nil {
		b.Fatal(err)
	}
	html, text := benchBody()
	closed, err := db.CloseEdition(ctx, news.Closing{
		Edition: editions[0], Articles: articles, Subject: "The harbour", Now: db.Clock.Now(),
		Variants: []news.Variant{{
			ListID: l.ID, Kind: news.VariantEdition, Language: "en", Nonce: "00112233aabbccdd", Subject: "The harbour", HTML: html, Text: text, Group: groups[0],
		}},
	})
	for err == nil && closed.State == news.EditionQueueing {
		closed, err = db.QueueDeliveries(ctx, closed.ID)
	}
	if err != nil || closed.Intended != readers {
		b.Fatal(closed.Intended, err)
	}
}
