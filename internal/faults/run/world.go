// Package run sets up a fault run and judges it: a database with an edition that waits to
// be sent, the real binary, a scripted relay (package sink), and the oracle.
//
// The order of a run:
//
//  1. New prepares the database with the binary's own commands, and starts the relay;
//  2. the caller starts daemons (Start), injects its fault (Kill, Signal, LockWrites, rules
//     of the relay …) and counts what it injected in Injected, and what the fault may
//     cost in Bound;
//  3. Finish waits until every delivery has its end;
//  4. Check compares the ledger with the relay's log: the oracle, O1 to O8.
//
// Nobody waits 12 minutes for a lease or 5 for a back-off: Age makes the rows older
// instead, which is all that the passing of time does to them.
package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
	"gazetted/internal/store"
)

// The list of every run, and the domain of its Message-IDs.
const (
	ListName = "news"
	domain   = "faults.example"
)

// Setup says what a run begins with.
type Setup struct {
	Binary   string // see Build
	Database Kind
	BaseDSN  string // of PostgreSQL: a login that may create schemas
	Dir      string // for everything of the run; must exist
	DataDir  string // of the SQLite file; "": Dir
	Via      string // host:port by which the daemon and its commands reach PostgreSQL; "": that of BaseDSN

	Subscribers int           // confirmed; 0: 300
	Connections int           // to the relay, per daemon; 0: 4
	OnUncertain string        // of the list; "": resend
	Frequency   string        // of the list; "": a slot that does not come during a run
	Drain       time.Duration // of the daemon; 0: 25 s
	Config      string        // further lines of the configuration's head
	NoEdition   bool          // leave the articles to the fault

	Templates map[string]string // files of the operator's, by name

	MaxCopies      int // how often one message may be in the log; 0: 2
	MaxQuarantined int // how many deliveries may end so

	Relay sink.Options // Log is set by New
}

// World is one run.
type World struct {
	Setup
	DSN      string
	Store    *store.Store
	Relay    *sink.Sink
	Signer   *news.Signer
	Links    *news.Links
	Editions []int64 // those that are judged

	// Injected counts the faults that happened, Bound the extra copies that they allow.
	Injected, Bound int
	// Attr is how daemons are started; nil: as usual.
	Attr *syscall.SysProcAttr
	// Under is the command that daemons are run under, such as strace; nil: none.
	Under    []string
	config   string
	relays   []string // sections of the configuration
	sourceID int64
	articles int
	drop     func() error // of the schema

	mu        sync.Mutex
	processes []*Process
	problems  []string
	left      map[string]time.Time // message → when its reader's goodbye was confirmed
}

// New prepares a run. The caller closes it.
func New(ctx context.Context, s Setup) (_ *World, err error) {
	if s.DataDir == "" {
		s.DataDir = s.Dir
	}
	setDefault(&s.Subscribers, 300)
	setDefault(&s.Connections, 4)
	if s.Drain == 0 {
		s.Drain = 25 * time.Second
	}
	if s.OnUncertain == "" {
		s.OnUncertain = string(news.UncertainResend)
	}
	if s.Frequency == "" {
		s.Frequency = "yearly=0 3 29 2 *"
	}
	w := &World{Setup: s, config: filepath.Join(s.Dir, "gazetted.toml"), left: map[string]time.Time{}, drop: func() error { return nil }}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.Close())
		}
	}()
	if w.DSN, w.drop, err = createDatabase(ctx, s); err != nil {
		return nil, err
	}
	s.Relay.Log = filepath.Join(s.Dir, "relay.log")
	if w.Relay, err = sink.Start(s.Relay); err != nil {
		return nil, err
	}
	if err := w.Configure(w.SinkRelay()); err != nil {
		return nil, err
	}
	return w, w.prepare(ctx)
}

func setDefault(field *int, value int) {
	if *field == 0 {
		*field = value
	}
}

// prepare fills the database by the commands that an operator would use.
func (w *World) prepare(ctx context.Context) error {
	csv, err := w.People("people.csv", 0, w.Subscribers)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"migrate", "--create"},
		{"list", "add", ListName, "--title", "Fault news", "--frequency", w.Frequency, "--on-uncertain", w.OnUncertain},
		{"subscriber", "import", csv, "--list", ListName, "--confirmed"},
	} {
		if _, err := w.CLI(ctx, args...); err != nil {
			return err
		}
	}
	if err := w.Reopen(ctx); err != nil {
		return err
	}
	secrets, err := w.Store.Secrets(ctx)
	if err != nil {
		return err
	}
	if w.Signer, err = news.NewSigner(secrets); err != nil {
		return err
	}
	if w.Links, err = news.NewLinks("http://127.0.0.1:9", w.Signer); err != nil {
		return err
	}
	src, err := w.Store.AddSource(ctx, news.Source{Name: "desk", Kind: news.SourcePush})
	if err != nil {
		return err
	}
	w.sourceID = src.ID
	if err := w.Store.FinishLook(ctx, src.ID, news.Look{NextAt: time.Now().Add(time.Hour)}, true); err != nil {
		return err
	}
	if w.NoEdition {
		return nil
	}
	if err := w.Publish(ctx, 3); err != nil {
		return err
	}
	return w.RunEdition(ctx, ListName)
}

// People writes a list of addresses to import, and returns its path.
func (w *World) People(name string, from, n int) (string, error) {
	var text strings.Builder
	text.WriteString("address\n")
	for i := range n {
		text.WriteString(Address(from+i) + "\n")
	}
	path := filepath.Join(w.Dir, name)
	return path, os.WriteFile(path, []byte(text.String()), 0o600)
}

// Reopen opens the run's own view of the ledger, after a fault that needed it closed.
func (w *World) Reopen(ctx context.Context) (err error) {
	w.Store, err = store.Open(ctx, w.DSN, store.Options{})
	return err
}

// Address is that of the subscriber with this number. Domains are many, because a courier
// is slow with a domain that defers.
func Address(i int) string { return fmt.Sprintf("r%d@d%d.example", i, i%97) }

// Publish releases n further articles.
func (w *World) Publish(ctx context.Context, n int) error {
	found := make([]news.Found, n)
	for i := range found {
		w.articles++
		id := fmt.Sprintf("a%d", w.articles)
		found[i] = news.Found{
			NativeID: id, URL: "https://faults.example/" + id, Title: "Article " + id, Summary: "What " + id + " is about.",
			ContentHTML: "<p>" + strings.Repeat("The text of "+id+". ", 20) + "</p>",
		}
	}
	if _, err := w.Store.StoreArticles(ctx, w.sourceID, found); err != nil {
		return err
	}
	return w.Until(ctx, "the release", func() (bool, error) {
		st, err := w.Store.Status(ctx)
		if err != nil || st.Waiting == 0 {
			return true, err
		}
		_, _, err = w.Store.ReleaseDue(ctx)
		return false, err
	})
}

// RunEdition closes an edition by hand, to be judged at the end.
func (w *World) RunEdition(ctx context.Context, list string) error {
	frequency, _, _ := strings.Cut(w.Frequency, "=")
	out, err := w.CLI(ctx, "edition", "run", "--list", list, "--frequency", frequency, "--json")
	if err != nil {
		return err
	}
	var made []news.Edition
	if err := json.Unmarshal(out, &made); err != nil {
		return fmt.Errorf("read editions: %w", err)
	}
	for _, e := range made {
		if e.ID == 0 || e.Intended == 0 {
			return fmt.Errorf("edition run made no mails: %+v", e)
		}
		w.Editions = append(w.Editions, e.ID)
	}
	return nil
}

// CLI runs a command of the binary to its end and returns its standard output.
func (w *World) CLI(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, w.Binary, append([]string{"--config", w.config}, args...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("gazetted %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// Until asks again and again until done says so.
func (w *World) Until(ctx context.Context, what string, done func() (bool, error)) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if err != nil {
			return fmt.Errorf("wait for %s: %w", what, err)
		}
		if ok {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, ctx.Err())
		}
	}
}

// UntilTaken waits until the relay has taken n messages in all.
func (w *World) UntilTaken(ctx context.Context, n int) error {
	return w.Until(ctx, fmt.Sprintf("%d messages", n), func() (bool, error) { return w.Relay.Stats().Taken >= n, nil })
}

// UntilActed waits until a rule of the relay has acted n times in all.
func (w *World) UntilActed(ctx context.Context, rule string, n int) error {
	return w.Until(ctx, fmt.Sprintf("%q %d times", rule, n), func() (bool, error) { return w.Relay.Stats().Faults[rule] >= n, nil })
}

// Pass waits. Only for faults that are a length of time: what can be waited for is.
func (w *World) Pass(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Tally counts the deliveries of all judged editions by state.
func (w *World) Tally(ctx context.Context) (news.DeliveryTally, error) {
	all := news.DeliveryTally{}
	for _, id := range w.Editions {
		e, err := w.Store.Edition(ctx, id)
		if errors.Is(err, news.ErrNotFound) { // its list was removed
			continue
		}
		if err != nil {
			return nil, err
		}
		for state, n := range e.Counts {
			all[state] += n
		}
	}
	return all, nil
}

// Finish waits until every delivery has its end or is held. When all that is left waits
// for its next attempt, it makes these rows older.
func (w *World) Finish(ctx context.Context) error {
	var last news.DeliveryTally
	err := w.Until(ctx, "the end of every delivery", func() (bool, error) {
		t, err := w.Tally(ctx)
		if err != nil {
			return false, err
		}
		last = t
		moving := t[news.DeliveryPending] + t[news.DeliveryClaimed] + t[news.DeliveryDotPending]
		if moving > 0 {
			return false, w.Pass(ctx, 50*time.Millisecond)
		}
		if t[news.DeliveryDeferred] == 0 {
			return true, nil
		}
		if err := w.Age(ctx, 10*time.Minute, news.DeliveryDeferred); err != nil {
			return false, err
		}
		return false, w.Pass(ctx, 300*time.Millisecond)
	})
	if err != nil {
		return fmt.Errorf("%w (%v)", err, last)
	}
	return nil
}

// Problem notes something that fails the run.
func (w *World) Problem(format string, args ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.problems = append(w.problems, fmt.Sprintf(format, args...))
}

// Left notes that the reader of a delivery was told at that moment that no more mail
// comes (O5).
func (w *World) Left(d news.Delivery, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.left[w.MessageID(d)] = at
}

// MessageID is the key of a delivery in the log.
func (w *World) MessageID(d news.Delivery) string {
	return "<" + w.Signer.Digest(news.PurposeMessageID, d.EditionID, d.SubscriberID, 1) + "@" + domain + ">"
}

// Close ends what is left of the run.
func (w *World) Close() error {
	w.mu.Lock()
	processes := w.processes
	w.mu.Unlock()
	for _, p := range processes {
		p.end()
	}
	var errs []error
	if w.Store != nil {
		errs = append(errs, w.Store.Close())
	}
	if w.Relay != nil {
		errs = append(errs, w.Relay.Close())
	}
	return errors.Join(append(errs, w.drop())...)
}
