package source

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"

	"gazetted/internal/news"
)

// pgHints listens to the databases of postgres sources for a NOTIFY that
// something has changed. It is never relied upon: notifications are lost while
// a connection is down, and every poll sweeps anyway.
type pgHints struct {
	// call hints at a source; an error that is news.ErrNotFound ends the listening.
	call func(ctx context.Context, src news.Source) error
	add  chan news.Source
}

func newPGHints(call func(ctx context.Context, src news.Source) error) *pgHints {
	return &pgHints{call: call, add: make(chan news.Source, 16)}
}

// watch makes sure that the source's database is listened to. It never blocks.
func (h *pgHints) watch(src news.Source) {
	if src.Settings.Table == nil || src.Settings.Table.Channel == "" {
		return
	}
	select {
	case h.add <- src:
	default: // the next look asks again
	}
}

// run serves until ctx ends, with one connection for each source.
func (h *pgHints) run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	type listening struct {
		key  string
		stop context.CancelFunc
	}
	active := make(map[int64]listening)
	ended := make(chan int64)
	for {
		select {
		case <-ctx.Done():
			for _, l := range active {
				l.stop()
			}
			return
		case id := <-ended:
			delete(active, id)
		case src := <-h.add:
			key := src.Location + "\n" + src.Secret.Reveal() + "\n" + src.Settings.Table.Channel
			if l, ok := active[src.ID]; ok {
				if l.key != key {
					l.stop() // the next look starts it anew
				}
				continue
			}
			own, stop := context.WithCancel(ctx)
			active[src.ID] = listening{key: key, stop: stop}
			wg.Go(func() {
				defer stop()
				h.listen(own, src)
				select {
				case ended <- src.ID:
				case <-ctx.Done():
				}
			})
		}
	}
}

// listen passes notifications on until ctx ends or the source is no more. The
// driver connects again by itself, a dead peer is found by TCP keep-alive.
func (h *pgHints) listen(ctx context.Context, src news.Source) {
	dsn, err := publisherDSN(src)
	if err != nil {
		return // the looks say so
	}
	l := pq.NewListener(dsn, time.Second, time.Minute, nil)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer func() {
		if stop() {
			_ = l.Close() // nothing is written through it
		}
	}()
	// Listen waits for the first connection; Close, above, ends the wait.
	if err := l.Listen(src.Settings.Table.Channel); err != nil {
		return
	}
	for {
		// After a connection, too: what was said before it has not been heard.
		if err := h.call(ctx, src); errors.Is(err, news.ErrNotFound) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case _, ok := <-l.Notify: // nil: connected again
			if !ok {
				return
			}
		}
	}
}

// TriggerSQL is what a publisher's database needs to say that something has
// changed, for people to read and run.
func TriggerSQL(src news.Source) string {
	t := src.Settings.Table
	if t == nil {
		return ""
	}
	channel := orElse(t.Channel, DefaultChannel(src.Name))
	return fmt.Sprintf(`-- Run this in the publisher's database as the owner of the table. Each change of
-- it then says NOTIFY, and the source is looked at within seconds. A view takes no
-- such trigger: make it for the tables that the view reads.
CREATE OR REPLACE FUNCTION %[1]s() RETURNS trigger LANGUAGE plpgsql AS $gazetted$
BEGIN
  PERFORM pg_notify(%[2]s, '');
  RETURN NULL;
END
$gazetted$;

DROP TRIGGER IF EXISTS %[1]s ON %[3]s;
CREATE TRIGGER %[1]s
  AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE ON %[3]s
  FOR EACH STATEMENT EXECUTE FUNCTION %[1]s();

-- The role that gazetted comes as needs no more than this (and USAGE of the schema):
-- GRANT SELECT ON %[3]s TO %[4]s;
`, pq.QuoteIdentifier(clipBytes("gazetted_tell_"+channel, 63)), pq.QuoteLiteral(channel), quotedTable(t.Name), pq.QuoteIdentifier(locationUser(src.Location)))
}

// DefaultChannel is the channel of a source where its settings name none.
func DefaultChannel(sourceName string) string {
	return clipBytes("gazetted_"+strings.NewReplacer("-", "_", ".", "_").Replace(sourceName), 63)
}

func locationUser(location string) string {
	_, rest, _ := strings.Cut(location, "://")
	user, _, ok := strings.Cut(rest, "@")
	if !ok {
		return "gazetted"
	}
	return user
}
