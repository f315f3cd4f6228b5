package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"gazetted/internal/faults/run"
	"gazetted/internal/news"
)

// killWithinFanOut is F3 with readers for many batches: it kills daemons while they queue
// the deliveries of one edition, and mails go out.
func killWithinFanOut(times int) injection {
	return func(ctx context.Context, w *run.World) error {
		random := rand.New(rand.NewPCG(3, 4))
		if err := w.Publish(ctx, 3); err != nil {
			return err
		}
		var frozen []int64
		queued := 0
		for n := range times {
			p, err := w.Start(ctx)
			if err != nil {
				return err
			}
			// Each life comes a part of the rest further.
			until := queued + 1 + random.IntN((w.Subscribers-queued)/(times-n+1))
			e, err := untilQueued(ctx, w, until)
			if err != nil {
				return err
			}
			p.Kill()
			if err := w.AgeLeases(ctx); err != nil {
				return err
			}
			if e, err = w.Store.Edition(ctx, e.ID); err != nil {
				return err
			}
			if e.State != news.EditionQueueing {
				w.Injected--
				break
			}
			queued = e.Intended
			if e.Counts.Sum() != queued {
				w.Problem("edition %d says that %d are queued, and %d are", e.ID, queued, e.Counts.Sum())
			}
			ids, err := carried(ctx, w, e.ID)
			if err != nil {
				return err
			}
			if frozen == nil {
				frozen = ids
			}
			if !slices.Equal(ids, frozen) {
				w.Problem("edition %d carried %v, after a crash %v", e.ID, frozen, ids)
			}
		}
		return fannedOut(ctx, w, frozen)
	}
}

// untilQueued waits until the latest edition is for so many, or complete.
func untilQueued(ctx context.Context, w *run.World, n int) (e news.Edition, err error) {
	err = w.Until(ctx, fmt.Sprintf("%d queued deliveries", n), func() (bool, error) {
		var err error
		e, _, err = latest(ctx, w)
		return e.ID != 0 && (e.Intended >= n || e.State == news.EditionClosed || e.State == news.EditionDone), err
	})
	return e, err
}

// carried are the articles of an edition.
func carried(ctx context.Context, w *run.World, id int64) ([]int64, error) {
	articles, err := w.Store.EditionArticles(ctx, id)
	ids := make([]int64, len(articles))
	for i := range articles {
		ids[i] = articles[i].ID
	}
	return ids, err
}

// fannedOut lets a daemon finish, and compares.
func fannedOut(ctx context.Context, w *run.World, frozen []int64) error {
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	e, err := untilQueued(ctx, w, w.Subscribers)
	if err != nil {
		return err
	}
	if err := w.Until(ctx, "the edition's close", func() (bool, error) {
		e, err = w.Store.Edition(ctx, e.ID)
		return e.State == news.EditionClosed || e.State == news.EditionDone, err
	}); err != nil {
		return err
	}
	ids, err := carried(ctx, w, e.ID)
	if err != nil {
		return err
	}
	if frozen != nil && !slices.Equal(ids, frozen) {
		w.Problem("edition %d carried %v, in the end %v", e.ID, frozen, ids)
	}
	if e.Intended != w.Subscribers {
		w.Problem("edition %d is for %d of %d subscribers", e.ID, e.Intended, w.Subscribers)
	}
	peak, err := p.Peak()
	if err != nil {
		return err
	}
	if peak > 200<<20 {
		w.Problem("the daemon took %d MB of memory", peak>>20)
	}
	if err := w.AllEditions(ctx); err != nil {
		return err
	}
	return conclude(ctx, w, p)
}

// greedy is the list, and its template, of F8.
const greedy = "greedy"

// greedyTemplates work in every trial, and take all memory for the list that uses them.
func greedyTemplates() map[string]string {
	return map[string]string{
		"mail/greedy.html": `<p>{{.Subject}}</p>{{if eq .List.Title "Greedy"}}{{range 1000000000}}` + strings.Repeat("x", 1000) + `{{end}}{{end}}<a href="{{.Unsubscribe}}">unsubscribe</a>`,
		"mail/greedy.txt":  `{{.Subject}} {{.Unsubscribe}}`,
	}
}

// outOfMemory is F8: the edition that cannot be rendered fails with its reason, the other
// list's goes out; once its template is mended it goes out, too.
func outOfMemory(ctx context.Context, w *run.World) error {
	const readers = 50
	csv, err := w.People("greedy.csv", w.Subscribers, readers)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"list", "add", greedy, "--title", "Greedy", "--frequency", "instant", "--template", greedy},
		{"subscriber", "import", csv, "--list", greedy, "--confirmed"},
	} {
		if _, err := w.CLI(ctx, args...); err != nil {
			return err
		}
	}
	p, err := w.Start(ctx)
	if err != nil {
		return err
	}
	if err := w.Publish(ctx, 3); err != nil {
		return err
	}
	var failed []news.Edition
	if err := w.Until(ctx, "the failed edition", func() (bool, error) {
		failed, err = w.Store.Editions(ctx, greedy, 0, 10)
		return len(failed) > 0 && failed[0].State == news.EditionFailed, err
	}); err != nil {
		return err
	}
	w.Injected++
	if err := w.UntilTaken(ctx, w.Subscribers); err != nil { // the other list goes on
		return err
	}
	if err := seenFailed(ctx, w, p, failed[0].ID); err != nil {
		return err
	}
	if err := w.WriteTemplate("mail/greedy.html", `<p>{{.Subject}}</p><a href="{{.Unsubscribe}}">unsubscribe</a>`); err != nil {
		return err
	}
	if _, err := w.CLI(ctx, "edition", "retry", fmt.Sprint(failed[0].ID)); err != nil {
		return err
	}
	if err := w.AllEditions(ctx); err != nil {
		return err
	}
	w.Editions = append(w.Editions, failed[0].ID)
	if err := conclude(ctx, w, p); err != nil {
		return err
	}
	e, err := w.Store.Edition(ctx, failed[0].ID)
	if err == nil && e.Counts[news.DeliveryAccepted] != readers {
		w.Problem("the mended edition went to %v", e.Counts)
	}
	return err
}

// seenFailed demands that an admin sees the failure and its reason, and that the daemon
// did not take the memory.
func seenFailed(ctx context.Context, w *run.World, p *run.Process, id int64) error {
	out, err := w.CLI(ctx, "edition", "show", fmt.Sprint(id), "--json")
	if err != nil {
		return err
	}
	var e news.Edition
	if err := json.Unmarshal(out, &e); err != nil {
		return err
	}
	if !strings.Contains(e.Note, "greedy") || e.Intended != 0 {
		w.Problem("the failed edition is shown as %+v", e)
	}
	if out, err = w.CLI(ctx, "status"); err != nil {
		return err
	}
	if !strings.Contains(string(out), "editions failed") {
		w.Problem("status does not tell of the failed edition: %s", out)
	}
	peak, err := p.Peak()
	if err == nil && peak > 150<<20 {
		w.Problem("the daemon took %d MB of memory", peak>>20)
	}
	return err
}
