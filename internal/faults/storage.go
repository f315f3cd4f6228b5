package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"gazetted/internal/faults/run"
	"gazetted/internal/news"
)

// latest is the newest edition; false if there is none.
func latest(ctx context.Context, w *run.World) (news.Edition, bool, error) {
	all, err := w.Store.Editions(ctx, run.ListName, 0, 1)
	if err != nil || len(all) == 0 {
		return news.Edition{}, false, err
	}
	return all[0], true, nil
}

// killBeforeFanOut is F3: a kill after the edition was opened and, where that can be
// arranged, within its fan-out. An article that is released between the kill and the next
// start must not get into the edition.
func killBeforeFanOut(rounds int) injection {
	return func(ctx context.Context, w *run.World) error {
		random := rand.New(rand.NewPCG(3, 4))
		for round := range rounds {
			if err := w.Publish(ctx, 1); err != nil {
				return err
			}
			e, open, err := killWhileOpen(ctx, w, round, random)
			if err != nil {
				return err
			}
			if !open { // it was too late: no fault
				continue
			}
			w.Injected++
			if err := w.Publish(ctx, 1); err != nil {
				return err
			}
			if err := resumes(ctx, w, e); err != nil {
				return err
			}
		}
		return finishAll(ctx, w)
	}
}

// finishAll lets a daemon make what editions are left, and judges all of them.
func finishAll(ctx context.Context, w *run.World) error {
	w.Relay.Set()
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.Until(ctx, "the last edition's close", func() (bool, error) {
		e, _, err := latest(ctx, w)
		if err != nil {
			return false, err
		}
		st, err := w.Store.Status(ctx)
		return (e.State == news.EditionClosed || e.State == news.EditionDone) && e.CutoffSeq == st.LastSeq, err
	}); err != nil {
		return err
	}
	if err := w.AllEditions(ctx); err != nil {
		return err
	}
	return conclude(ctx, w, p)
}

// killWhileOpen starts a daemon and kills it soon after it has opened the edition of what
// was just released. It tells whether the edition was still open then.
func killWhileOpen(ctx context.Context, w *run.World, round int, random *rand.Rand) (news.Edition, bool, error) {
	before, _, err := latest(ctx, w)
	if err != nil {
		return before, false, err
	}
	release := func() error { return nil }
	// On PostgreSQL the fan-out can be stopped before its last step, every other time.
	within := w.Database == run.Postgres && round%2 == 0
	if within {
		if release, err = w.LockReaders(ctx); err != nil {
			return before, false, err
		}
	}
	p, err := w.Start(ctx)
	if err != nil {
		return before, false, errors.Join(err, release())
	}
	var e news.Edition
	err = w.Until(ctx, "the edition", func() (ok bool, err error) {
		e, ok, err = latest(ctx, w)
		return ok && e.ID != before.ID, err
	})
	if err == nil && within {
		err = w.UntilBlocked(ctx, "INSERT INTO deliveries")
	} else if err == nil {
		err = w.Pass(ctx, time.Duration(random.IntN(20))*time.Millisecond)
	}
	injected := w.Injected
	p.Kill() // it may have been sending what is left of the editions before
	w.Injected = injected
	if err := errors.Join(err, release(), w.AgeLeases(ctx)); err != nil {
		return e, false, err
	}
	// What the killed daemon had begun is undone by the server when it notices.
	if e, err = w.Store.Edition(ctx, e.ID); err != nil {
		return e, false, err
	}
	return e, e.State == news.EditionOpen, nil
}

// resumes lets another daemon close the edition, and compares.
func resumes(ctx context.Context, w *run.World, e news.Edition) error {
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	var closed news.Edition
	if err := w.Until(ctx, "the edition's close", func() (bool, error) {
		closed, err = w.Store.Edition(ctx, e.ID)
		return closed.State == news.EditionClosed || closed.State == news.EditionDone, err
	}); err != nil {
		return err
	}
	if closed.CutoffSeq != e.CutoffSeq {
		w.Problem("edition %d went up to article %d, after the crash up to %d", e.ID, e.CutoffSeq, closed.CutoffSeq)
	}
	articles, err := w.Store.EditionArticles(ctx, e.ID)
	if err != nil {
		return err
	}
	for _, a := range articles {
		if a.Seq > e.CutoffSeq {
			w.Problem("edition %d carries article %d, which came after its cutoff", e.ID, a.Seq)
		}
	}
	if closed.Intended != w.Subscribers {
		w.Problem("edition %d is for %d of %d subscribers", e.ID, closed.Intended, w.Subscribers)
	}
	// The article that came meanwhile has an edition of its own. Who stops in the midst of
	// making it gives it back.
	return p.Stop(ctx)
}

// lockedOut is F29: a second process holds SQLite's write lock.
func lockedOut(d time.Duration) injection {
	return func(ctx context.Context, w *run.World) error {
		w.Relay.Set(slowly(5 * time.Millisecond)...)
		p, err := w.Start(ctx)
		if err != nil {
			return err
		}
		if err := w.UntilTaken(ctx, 100); err != nil {
			return err
		}
		release, err := w.LockWrites(ctx)
		if err != nil {
			return err
		}
		w.Injected++
		cpu, err := p.CPU()
		if err != nil {
			return err
		}
		if err := w.Pass(ctx, d/2); err != nil {
			return err
		}
		if err := lockedOutAnswers(ctx, w, p); err != nil {
			return err
		}
		if err := w.Pass(ctx, d/2); err != nil {
			return err
		}
		after, err := p.CPU()
		if err != nil {
			return err
		}
		if after-cpu > d/4 {
			w.Problem("it computed for %s of %s", after-cpu, d)
		}
		if err := release(); err != nil {
			return err
		}
		return conclude(ctx, w, p)
	}
}

// lockedOutAnswers asks the web server: reading works, and who wants to write is told to
// come back, soon.
func lockedOutAnswers(ctx context.Context, w *run.World, p *run.Process) error {
	if status, err := p.Get(ctx, "/feeds/all.rss"); err != nil || status != http.StatusOK {
		w.Problem("a feed was answered %d, %v", status, err)
	}
	link, err := unsubscribeLink(ctx, w, 0)
	if err != nil {
		return err
	}
	begun := time.Now()
	if status, err := p.OneClick(ctx, link); err != nil || status != http.StatusServiceUnavailable {
		w.Problem("an unsubscription that could not be stored was answered %d, %v", status, err)
	}
	if took := time.Since(begun); took > 5*time.Second {
		w.Problem("an unsubscription was answered after %s", took.Round(time.Second))
	}
	if status, err := p.Get(ctx, "/readyz"); err != nil || status != http.StatusServiceUnavailable {
		w.Problem("readiness was answered %d, %v", status, err)
	}
	return nil
}

// unsubscribeLink is the path of a subscriber's button.
func unsubscribeLink(ctx context.Context, w *run.World, i int) (string, error) {
	row, err := reader(ctx, w, i)
	if err != nil {
		return "", err
	}
	link := w.Links.Unsubscribe(row.Subscriptions[0].ID)
	return "/" + strings.SplitN(link, "/", 4)[3], nil
}

// reader is the subscriber with this number.
func reader(ctx context.Context, w *run.World, i int) (news.SubscriberRow, error) {
	addr, err := news.ParseAddress("address", run.Address(i))
	if err != nil {
		return news.SubscriberRow{}, err
	}
	row, err := w.Store.SubscriberByAddress(ctx, addr)
	if err == nil && len(row.Subscriptions) == 0 {
		err = fmt.Errorf("subscriber %d follows nothing", i)
	}
	return row, err
}

// secondDaemon is F33.
func secondDaemon(ctx context.Context, w *run.World) error {
	w.Relay.Set(slowly(10 * time.Millisecond)...)
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	second, err := w.Start(ctx)
	w.Injected++
	switch {
	case err == nil:
		w.Problem("the second daemon runs")
	case !second.Ended() || second.Code() != 1:
		w.Problem("the second daemon did not end with 1: %v", err)
	case !strings.Contains(err.Error(), fmt.Sprintf("process %d", p.Pid())):
		w.Problem("it does not name process %d: %v", p.Pid(), err)
	}
	return conclude(ctx, w, p)
}

// oneSlot is F37: two replicas and slots that are due for both at the same moment.
func oneSlot(editions int) injection {
	return func(ctx context.Context, w *run.World) error {
		a, err := w.Start(ctx)
		if err != nil {
			return err
		}
		b, err := w.Start(ctx)
		if err != nil {
			return err
		}
		for n := 1; n <= editions; n++ {
			if err := w.Publish(ctx, 1); err != nil {
				return err
			}
			if err := w.Until(ctx, "the edition", func() (bool, error) {
				err := w.AllEditions(ctx)
				return len(w.Editions) >= n, err
			}); err != nil {
				return err
			}
			w.Injected++
		}
		if err := w.Finish(ctx); err != nil {
			return err
		}
		if err := errors.Join(a.Stop(ctx), b.Stop(ctx), w.AllEditions(ctx)); err != nil {
			return err
		}
		if len(w.Editions) != editions {
			w.Problem("%d slots made %d editions", editions, len(w.Editions))
		}
		return nil
	}
}
