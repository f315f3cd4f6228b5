// Package digest turns due slots into editions. For each slot it
//
//  1. takes the slot (the store opens its edition),
//  2. reads who is due, in groups of equal topics, place and language,
//  3. reads the articles since the group that is furthest behind, and sorts
//     them into sections,
//  4. renders one variant for each group, adding what its readers may also like,
//     and trims it until mailboxes show all of it,
//  5. closes the edition: articles and variants frozen in one transaction. If
//     anything changed meanwhile, the plan is made anew.
//  6. queues the deliveries and moves their readers forward, batch by batch, so
//     that others write, and mails are sent, in between.
//
// A process that dies leaves an edition to whoever takes it next: one that is
// not closed yet is planned anew, one that is goes on at step 6.
//
// Nothing here depends on the clock or on chance but the closing time: planning
// the same edition twice gives the same bytes.
package digest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// Store is what the editor needs of the store. Errors wrap those of news.
type Store interface {
	slots
	shelf
	readers
}

type slots interface {
	TakeSlot(ctx context.Context, lease time.Duration) (news.Edition, news.List, bool, error)
	TakeManual(ctx context.Context, list, frequency string, lease time.Duration) ([]news.Edition, news.List, error)
	Audience(ctx context.Context, e news.Edition) ([]news.AudienceGroup, error)
	CloseEdition(ctx context.Context, c news.Closing) (news.Edition, error)
	QueueDeliveries(ctx context.Context, id int64) (news.Edition, error)
	ReopenEdition(ctx context.Context, id int64, lease time.Duration) (news.Edition, news.List, error)
	ReturnEdition(ctx context.Context, id int64) error
	FailEdition(ctx context.Context, id int64, note string) error
	Editions(ctx context.Context, listName string, beforeID int64, limit int) ([]news.Edition, error)
	ArchiveEditions(ctx context.Context, listID, beforeID int64, limit int) ([]news.Edition, error)
}

type shelf interface {
	ArticlesBetween(ctx context.Context, fromSeq, cutoffSeq int64, limit int) ([]news.Article, error)
	RelatedCandidates(ctx context.Context, termIDs []int64, perTerm int) ([]news.Article, error)
	Articles(ctx context.Context, q news.ArticleQuery) ([]news.Article, error)
	Article(ctx context.Context, id int64) (news.Article, error)
	Terms(ctx context.Context) ([]news.Term, error)
}

type readers interface {
	ListByName(ctx context.Context, name string) (news.List, error)
	SubscriberByAddress(ctx context.Context, addr news.Address) (news.SubscriberRow, error)
}

// Options are the editor's needs and knobs.
type Options struct {
	Store     Store
	Templates *templates.Set
	Links     *news.Links
	Site      templates.SiteView // the publisher, as the mail's footer names it
	From      string             // sender of lists that name none; empty: whoever sends knows
	Now       func() time.Time
	// Lease is how long an edition is ours before another daemon may take it
	// over; 0: DefaultLease.
	Lease time.Duration
	// RenderFor is how long all variants of an edition may take to be rendered;
	// 0: DefaultRenderFor.
	RenderFor time.Duration
	// MaxArticles is how many new articles an edition may have before an admin
	// has looked at it: more are likely a source gone wrong; 0: DefaultMaxArticles.
	MaxArticles int
	// Ended is told of each edition that was closed, found empty or failed, with
	// the time that took and, of a failure, the reason. May be nil.
	Ended func(e news.Edition, took time.Duration, err error)
}

// DefaultLease suffices for thousands of variants, at some milliseconds each.
const DefaultLease = 10 * time.Minute

// DefaultRenderFor is half of DefaultLease, so that an edition fails before
// another daemon takes it over.
const DefaultRenderFor = DefaultLease / 2

// DefaultMaxArticles is more than a busy newsroom publishes in a month of
// working days. Not well founded beyond that.
const DefaultMaxArticles = 5000

// maxPlans is how often a plan is made that turned out stale. Each time
// somebody signed up or an article changed within the moment of planning.
const maxPlans = 5

// Editor plans, renders and closes editions. It is safe for concurrent use.
type Editor struct {
	o Options
}

// New makes an editor.
func New(o Options) *Editor {
	if o.Lease <= 0 {
		o.Lease = DefaultLease
	}
	if o.RenderFor <= 0 {
		o.RenderFor = DefaultRenderFor
	}
	if o.MaxArticles <= 0 {
		o.MaxArticles = DefaultMaxArticles
	}
	return &Editor{o: o}
}

// Due takes due slots until none is left and brings each edition to its end.
// It returns how many ended. An edition that cannot be rendered is failed with
// its reason, and the others go on; an error of the store ends the round, and
// the edition in hand is taken again when its lease has ended. The error joins
// all that went wrong.
func (e *Editor) Due(ctx context.Context) (n int, err error) {
	var faults []error
	for {
		edition, list, ok, err := e.o.Store.TakeSlot(ctx, e.o.Lease)
		if err != nil {
			return n, errors.Join(append(faults, fmt.Errorf("take slot: %w", err))...)
		}
		if !ok {
			return n, errors.Join(faults...)
		}
		_, err = e.finish(ctx, edition, list, false)
		var unrendered *renderError
		switch {
		case err == nil:
			n++
		case errors.As(err, &unrendered):
			n++
			faults = append(faults, err)
		case errors.Is(err, news.ErrStale):
			faults = append(faults, err)
		default:
			return n, errors.Join(append(faults, err)...)
		}
	}
}

// Manual makes the editions that an admin asks for now, one for each zone of
// the list's subscribers, whatever the schedule says. Unknown names are
// news.ErrNotFound.
func (e *Editor) Manual(ctx context.Context, list, frequency string) ([]news.Edition, error) {
	editions, l, err := e.o.Store.TakeManual(ctx, list, frequency, e.o.Lease)
	if err != nil {
		return nil, fmt.Errorf("take edition of %s: %w", list, err)
	}
	var ended []news.Edition
	var faults []error
	for _, edition := range editions {
		done, err := e.finish(ctx, edition, l, false)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		ended = append(ended, done)
	}
	return ended, errors.Join(faults...)
}

// Retry makes an edition that has failed, now that an admin has mended what it
// failed for, or, with anyNumber, has decided that all its articles are to be
// mailed. It serves who has not been served since. See store.ReopenEdition for
// what cannot be retried.
func (e *Editor) Retry(ctx context.Context, id int64, anyNumber bool) (news.Edition, error) {
	edition, list, err := e.o.Store.ReopenEdition(ctx, id, e.o.Lease)
	if err != nil {
		return edition, err
	}
	return e.finish(ctx, edition, list, anyNumber)
}

// finish brings one edition in hand to its end. Who is asked to stop gives it
// back.
func (e *Editor) finish(ctx context.Context, edition news.Edition, list news.List, anyNumber bool) (news.Edition, error) {
	began := e.o.Now()
	done, err := edition, error(nil)
	if edition.State == news.EditionOpen {
		done, err = e.close(ctx, edition, list, anyNumber)
	}
	for err == nil && done.State == news.EditionQueueing {
		if done, err = e.o.Store.QueueDeliveries(ctx, edition.ID); err != nil {
			err = fmt.Errorf("queue edition %d of %s: %w", edition.ID, list.Name, err)
		}
	}
	if err != nil && ctx.Err() != nil {
		return edition, errors.Join(err, e.giveBack(ctx, edition))
	}
	var unrendered *renderError
	if errors.As(err, &unrendered) {
		done = edition
		done.State, done.Note = news.EditionFailed, unrendered.Error()
		if failErr := e.o.Store.FailEdition(ctx, edition.ID, done.Note); failErr != nil {
			return done, errors.Join(err, fmt.Errorf("fail edition %d: %w", edition.ID, failErr))
		}
	}
	if e.o.Ended != nil && (err == nil || unrendered != nil) {
		e.o.Ended(done, e.o.Now().Sub(began), err)
	}
	return done, err
}

// giveBackFor bounds the one write of a shutdown. A database that does not take
// it within that time lets the lease run out.
const giveBackFor = 5 * time.Second

func (e *Editor) giveBack(ctx context.Context, edition news.Edition) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), giveBackFor)
	defer cancel()
	if err := e.o.Store.ReturnEdition(ctx, edition.ID); err != nil {
		return fmt.Errorf("give back edition %d: %w", edition.ID, err)
	}
	return nil
}

func (e *Editor) close(ctx context.Context, edition news.Edition, list news.List, anyNumber bool) (news.Edition, error) {
	var last error
	for range maxPlans {
		closing, err := e.plan(ctx, edition, list, anyNumber)
		if err != nil {
			return edition, fmt.Errorf("plan edition %d of %s: %w", edition.ID, list.Name, err)
		}
		done, err := e.o.Store.CloseEdition(ctx, closing)
		if err == nil {
			return done, nil
		}
		last = err
		if !errors.Is(err, news.ErrStale) {
			break
		}
	}
	return edition, fmt.Errorf("close edition %d of %s: %w", edition.ID, list.Name, last)
}

// renderError is the failure of an edition rather than of the daemon: trying
// again would not help.
type renderError struct {
	reason string
	stack  []byte
}

// Error gives the reason on one line.
func (e *renderError) Error() string { return e.reason }

// Stack is the stack of a panic; nil if there was none.
func (e *renderError) Stack() []byte { return e.stack }

// rendering runs f and turns its error or panic into a renderError: whatever
// one article holds, the other editions are made. A shutdown is neither.
func rendering[T any](f func() (T, error)) (out T, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &renderError{reason: oneLine(fmt.Sprintf("panic: %v", p)), stack: debug.Stack()}
		}
	}()
	out, err = f()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return out, err
	}
	if err != nil {
		return out, &renderError{reason: oneLine(err.Error())}
	}
	return out, nil
}

// oneLine makes plain text fit for one line of a mail: control and formatting
// characters and line breaks become spaces, white space collapses.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unprintable(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	return strings.Join(strings.Fields(s), " ")
}
