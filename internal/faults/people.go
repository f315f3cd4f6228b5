package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// comings is F46: people leave, come back and are erased, and a list is removed, all in
// mid-edition.
func comings(ctx context.Context, w *run.World) error {
	removed, err := secondList(ctx, w)
	if err != nil {
		return err
	}
	w.Relay.Set(slowly(15 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.UntilTaken(ctx, 50); err != nil {
		return err
	}
	for i := range 60 {
		who := w.Subscribers - 1 - 5*i // the last are sent last,
		if i%2 == 0 {
			who = 70 + i // and these are in a courier's hands already
		}
		if err := leave(ctx, w, p, who, i); err != nil {
			return err
		}
	}
	if _, err := w.CLI(ctx, "list", "rm", "other", "--yes"); err != nil {
		return err
	}
	at := time.Now()
	for _, d := range removed {
		w.Left(d, at)
	}
	w.Injected++
	w.Relay.Set()
	return conclude(ctx, w, p)
}

// leave lets a person unsubscribe, be erased, or unsubscribe and come back.
func leave(ctx context.Context, w *run.World, p *run.Process, who, i int) error {
	row, err := reader(ctx, w, who)
	if err != nil {
		return err
	}
	d := news.Delivery{EditionID: w.Editions[0], SubscriberID: row.ID}
	w.Injected++
	if i%3 == 1 {
		if _, err := w.CLI(ctx, "subscriber", "rm", row.Address, "--yes"); err != nil {
			return err
		}
		w.Left(d, time.Now())
		return nil
	}
	link, err := unsubscribeLink(ctx, w, who)
	if err != nil {
		return err
	}
	status, err := p.OneClick(ctx, link)
	if err != nil || status != http.StatusOK {
		return errors.Join(fmt.Errorf("unsubscribing was answered %d", status), err)
	}
	w.Left(d, time.Now())
	if i%3 == 2 { // whoever comes back begins with the next edition
		_, err = w.CLI(ctx, "subscriber", "add", row.Address, "--list", run.ListName, "--confirmed")
	}
	return err
}

// secondList makes a list with some of the same people, and its edition. It returns its
// deliveries.
func secondList(ctx context.Context, w *run.World) ([]news.Delivery, error) {
	people := "address\n"
	for i := range 200 {
		people += run.Address(i) + "\n"
	}
	csv := filepath.Join(w.Dir, "other.csv")
	if err := os.WriteFile(csv, []byte(people), 0o600); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"list", "add", "other", "--title", "Other news", "--frequency", w.Frequency},
		{"subscriber", "import", csv, "--list", "other", "--confirmed"},
	} {
		if _, err := w.CLI(ctx, args...); err != nil {
			return nil, err
		}
	}
	if err := w.Publish(ctx, 1); err != nil {
		return nil, err
	}
	if err := w.RunEdition(ctx, "other"); err != nil {
		return nil, err
	}
	return w.Store.Deliveries(ctx, news.DeliveryQuery{EditionID: w.Editions[len(w.Editions)-1], Limit: 1000})
}

// killSwitch is F47: after `gazetted pause` has returned, no dot follows but those that
// were noted before.
func killSwitch(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(10 * time.Millisecond)...)
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		for range times {
			if err := w.UntilTaken(ctx, w.Relay.Stats().Taken+60); err != nil {
				return err
			}
			if _, err := w.CLI(ctx, "pause"); err != nil {
				return err
			}
			at := time.Now()
			w.Injected++
			if err := w.Pass(ctx, 3*time.Second); err != nil { // nothing is to happen
				return err
			}
			late, err := dotsAfter(w, at)
			if err != nil {
				return err
			}
			if late > w.Connections {
				w.Problem("%d dots after `gazetted pause` had returned", late)
			}
			if _, err := w.CLI(ctx, "resume"); err != nil {
				return err
			}
		}
		w.Relay.Set()
		return conclude(ctx, w, p)
	}
}

// dotsAfter counts the messages whose dot came later.
func dotsAfter(w *run.World, at time.Time) (int, error) {
	entries, err := sink.ReadLog(filepath.Join(w.Dir, "relay.log"))
	n := 0
	for _, e := range entries {
		if e.DotAt.After(at) {
			n++
		}
	}
	return n, err
}
