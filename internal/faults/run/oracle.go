package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"gazetted/internal/faults/sink"
	"gazetted/internal/news"
)

// Report is what became of a run's mails.
type Report struct {
	Intended int // recipients of the judged editions
	Accepted int // deliveries that the ledger says the relay took
	// Other ends.
	Refused, Suppressed, Expired, Quarantined int
	Held                                      int // wait for an admin
	Delivered                                 int // of those quarantined: the relay has them nevertheless
	Lost                                      int // neither in the log nor with an end that says why
	Extra                                     int // lines of the log beyond the first of each message
	Problems                                  []string
}

// judge collects what the oracle needs.
type judge struct {
	*World
	Report
	editions []news.Edition
	rows     map[string]news.Delivery // by Message-ID
	log      map[string][]sink.Entry  // by Message-ID
}

// Check is the oracle. complete says that the editions must be done, or all that is left
// of them held.
func (w *World) Check(ctx context.Context, complete bool) (Report, error) {
	entries, err := sink.ReadLog(filepath.Join(w.Dir, "relay.log"))
	if err != nil {
		return Report{}, err
	}
	return w.CheckLog(ctx, entries, complete)
}

// CheckLog is Check with a log that is given, so that tests can break it.
func (w *World) CheckLog(ctx context.Context, entries []sink.Entry, complete bool) (Report, error) {
	j := &judge{World: w, rows: map[string]news.Delivery{}, log: map[string][]sink.Entry{}}
	for _, e := range entries {
		j.log[e.MessageID] = append(j.log[e.MessageID], e)
	}
	if err := j.read(ctx); err != nil {
		return j.Report, err
	}
	j.count()
	j.balance(ctx, complete)
	j.compare()
	j.copies(entries)
	j.goodbyes()
	if err := j.once(ctx); err != nil {
		return j.Report, err
	}
	if err := w.integrity(ctx); err != nil {
		j.fail("O7: %v", err)
	}
	if w.Injected == 0 {
		j.fail("O8: the fault did not happen")
	}
	w.mu.Lock()
	j.Problems = append(j.Problems, w.problems...)
	w.mu.Unlock()
	return j.Report, nil
}

func (j *judge) fail(format string, args ...any) {
	const most = 8
	if len(j.Problems) < most {
		j.Problems = append(j.Problems, fmt.Sprintf(format, args...))
	}
}

// read reads the editions and the ledger through the store.
func (j *judge) read(ctx context.Context) error {
	for _, id := range j.Editions {
		e, err := j.Store.Edition(ctx, id)
		if errors.Is(err, news.ErrNotFound) { // its list was removed
			continue
		}
		if err != nil {
			return err
		}
		j.editions = append(j.editions, e)
		j.Intended += e.Intended
		for q := (news.DeliveryQuery{EditionID: id, Limit: 500}); ; {
			page, err := j.Store.Deliveries(ctx, q)
			if err != nil {
				return err
			}
			for _, d := range page {
				j.rows[j.MessageID(d)] = d
			}
			if len(page) < q.Limit {
				break
			}
			q.AfterID = page[len(page)-1].ID
		}
	}
	return nil
}

func (j *judge) count() {
	for key, d := range j.rows {
		switch d.State {
		case news.DeliveryAccepted:
			j.Accepted++
		case news.DeliveryRefused:
			j.Refused++
		case news.DeliverySuppressed:
			j.Suppressed++
		case news.DeliveryExpired:
			j.Expired++
		case news.DeliveryQuarantined:
			j.Quarantined++
			if len(j.log[key]) > 0 {
				j.Delivered++
			}
		case news.DeliveryUncertain:
			j.Held++
		default:
			if len(j.log[key]) == 0 {
				j.Lost++
			}
			j.fail("delivery %d has no end: %s", d.ID, d.State)
		}
	}
	if j.Quarantined > j.MaxQuarantined {
		j.fail("%d deliveries are quarantined, at most %d were to be expected", j.Quarantined, j.MaxQuarantined)
	}
}

// balance is O1, on the store's counts and on those that the command shows.
func (j *judge) balance(ctx context.Context, complete bool) {
	for _, e := range j.editions {
		sum, held := 0, e.Counts[news.DeliveryUncertain]
		for state, n := range e.Counts {
			if state.Ended() || state == news.DeliveryUncertain {
				sum += n
			}
		}
		if sum != e.Intended {
			j.fail("O1: edition %d intended %d, and %d have an end: %v", e.ID, e.Intended, sum, e.Counts)
		}
		switch {
		case e.State == news.EditionDone && (held > 0 || sum != e.Intended):
			j.fail("O1: edition %d is done and does not balance", e.ID)
		case complete && held == 0 && e.State != news.EditionDone:
			j.fail("O1: edition %d is %s, not done", e.ID, e.State)
		}
		var shown news.Edition
		out, err := j.CLI(ctx, "edition", "show", fmt.Sprint(e.ID), "--json")
		if err == nil {
			err = json.Unmarshal(out, &shown)
		}
		if err != nil {
			j.fail("O1: %v", err)
		} else if shown.State != e.State || !maps.Equal(shown.Counts, e.Counts) {
			j.fail("O1: `edition show` says %s %v, the store %s %v", shown.State, shown.Counts, e.State, e.Counts)
		}
	}
	if n := len(j.rows); n != j.Intended {
		j.fail("O1: %d deliveries for %d intended recipients", n, j.Intended)
	}
}

// compare is O2 and O3: ledger and log tell the same.
func (j *judge) compare() {
	for key, d := range j.rows {
		if d.State == news.DeliveryAccepted && len(j.log[key]) == 0 {
			j.Lost++
			j.fail("O2: delivery %d is accepted and was never taken", d.ID)
		}
	}
	for key, entries := range j.log {
		d, ok := j.rows[key]
		if _, left := j.left[key]; !ok && left { // went with its list
			continue
		}
		if !ok {
			j.fail("O2: %s was taken for %s and has no row", key, entries[0].To)
			continue
		}
		if d.Address != "" && d.Address != entries[0].To {
			j.fail("O2: delivery %d is for %s and went to %s", d.ID, d.Address, entries[0].To)
		}
		// Refused and expired say that the relay never took it.
		if d.State == news.DeliveryRefused || d.State == news.DeliveryExpired {
			j.fail("O2: delivery %d is %s and was taken", d.ID, d.State)
		}
	}
}

// copies is O4.
func (j *judge) copies(entries []sink.Entry) {
	j.Extra = len(entries) - len(j.log)
	if j.Extra > j.Bound {
		j.fail("O4: %d extra copies, at most %d were to be expected", j.Extra, j.Bound)
	}
	most := j.MaxCopies
	if most == 0 {
		most = 2
	}
	for key, copies := range j.log {
		if len(copies) > most {
			j.fail("O4: %s was taken %d times", key, len(copies))
		}
		for _, c := range copies[1:] {
			if c.SHA256 != copies[0].SHA256 || c.To != copies[0].To || c.From != copies[0].From {
				j.fail("O4: the copies of %s differ", key)
			}
		}
	}
}

// goodbyes is O5.
func (j *judge) goodbyes() {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key, at := range j.left {
		for _, e := range j.log[key] {
			if e.Began.After(at) {
				j.fail("O5: %s was told that no mail comes any more, and %s later it began", e.To, e.Began.Sub(at))
			}
		}
	}
}

// once is O6: one edition per slot, and nobody gets an article in two editions.
func (j *judge) once(ctx context.Context) error {
	type slot struct{ list, frequency, zone, key string }
	slots := map[slot]int64{}
	carried := map[int64][]int64{} // variant → articles
	type pair struct{ subscriber, article int64 }
	seen := map[pair]int64{} // → edition
	for _, e := range j.editions {
		s := slot{e.ListName, e.Frequency, e.Zone, e.SlotKey}
		if slots[s] != 0 {
			j.fail("O6: slot %v has editions %d and %d", s, slots[s], e.ID)
		}
		slots[s] = e.ID
	}
	for _, d := range j.rows {
		articles, ok := carried[d.VariantID]
		if !ok {
			v, err := j.Store.Variant(ctx, d.VariantID)
			if err != nil {
				return err
			}
			articles = v.ArticleIDs
			carried[d.VariantID] = articles
			if len(articles) == 0 {
				j.fail("O6: edition %d has a variant without articles", d.EditionID)
			}
		}
		for _, a := range articles {
			p := pair{d.SubscriberID, a}
			if other := seen[p]; other != 0 && other != d.EditionID {
				j.fail("O6: subscriber %d gets article %d in editions %d and %d", p.subscriber, a, other, d.EditionID)
			}
			seen[p] = d.EditionID
		}
	}
	return nil
}

// AllEditions judges every edition of the list that has mails.
func (w *World) AllEditions(ctx context.Context) error {
	all, err := w.Store.Editions(ctx, ListName, 0, 1000)
	if err != nil {
		return err
	}
	w.Editions = nil
	for _, e := range all {
		if e.Intended > 0 {
			w.Editions = append(w.Editions, e.ID)
		}
	}
	slices.Sort(w.Editions)
	return nil
}

// WAL is the size of SQLite's write-ahead log; 0 if there is none.
func (w *World) WAL() int64 {
	info, err := os.Stat(filepath.Join(w.DataDir, "gazetted.db-wal"))
	if err != nil {
		return 0
	}
	return info.Size()
}
