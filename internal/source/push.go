package source

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"gazetted/internal/news"
)

// Limits of the publish API.
const (
	// MaxPush is how many articles one call may bring.
	MaxPush = 10_000
	// MaxPushAtomic is how many of them may go into one transaction.
	MaxPushAtomic = 500
	// MaxPushBytes bounds the body of a call that is one JSON value.
	MaxPushBytes = 32 << 20
	// maxPushLine bounds one line of a batch: the longest content with what
	// JSON adds to it.
	maxPushLine = 2*maxContent + 1<<20
	maxNativeID = 250
)

// pushLooker has nothing to look at: articles come to us. Its one look ends
// the first run, so that what is pushed is news.
type pushLooker struct{}

func (pushLooker) look(context.Context, *job) (outcome, error) {
	return outcome{complete: true, again: 24 * MaxBackoff}, nil
}

// PushStore is what pushing needs of the store.
type PushStore interface {
	SourceByName(ctx context.Context, name string) (news.Source, error)
	// PutArticles takes at most 500, in one transaction.
	PutArticles(ctx context.Context, sourceID int64, found []news.Found) ([]news.PutOutcome, error)
	WithdrawArticle(ctx context.Context, sourceID int64, nativeID string, at time.Time) (news.PutOutcome, error)
	ArticleByNativeID(ctx context.Context, sourceID int64, nativeID string) (news.Article, error)
}

// Push stores what a publisher's own system sends. It is safe for concurrent use.
type Push struct {
	store PushStore
	read  *pushReader
}

// NewPush makes a Push.
func NewPush(store PushStore) *Push {
	return &Push{store: store, read: newPushReader(NewCleaner(), newMarkdown())}
}

// Put stores one article, a JSON array of articles, or one article per line
// (NDJSON), at most MaxPush, and tells what became of each. An article with a
// mistake is refused and the others are stored, unless all were asked for or
// none (MaxPushAtomic at most). Lines are read and stored as they come: memory
// stays flat, and what was stored before a body is cut short stays stored.
// Sending the same again changes nothing. A body that cannot be read at all is
// a *news.FieldError, an unknown source is news.ErrNotFound.
func (p *Push) Put(ctx context.Context, sourceName string, body io.Reader, o news.PushOptions) (news.PushReport, error) {
	src, err := p.source(ctx, sourceName)
	if err != nil {
		return news.PushReport{}, err
	}
	items, batch, err := pushItems(body, o.Lines)
	if err != nil {
		return news.PushReport{}, err
	}
	c := &pushCall{p: p, src: src, atomic: o.Atomic, report: news.PushReport{Batch: batch, Results: []news.PushResult{}}}
	for item, err := range items {
		if err != nil {
			return c.report, err
		}
		if err := c.take(ctx, item); err != nil {
			return c.report, err
		}
		if c.full {
			break
		}
	}
	if len(c.report.Results) == 0 {
		return c.report, &news.FieldError{Field: "body", Want: "an article, an array of them, or one per line: there is none"}
	}
	return c.report, c.flush(ctx)
}

// pushCall is one call of Put.
type pushCall struct {
	p      *Push
	src    news.Source
	atomic bool
	full   bool // nothing more is read
	report news.PushReport

	batch []news.Found
	at    []int // their places in report.Results
	bytes int
}

// take checks one article and stores a batch when there is one.
func (c *pushCall) take(ctx context.Context, item pushItem) error {
	limit := MaxPush
	if c.atomic {
		limit = MaxPushAtomic
	}
	if len(c.report.Results) >= limit {
		c.full = true
		c.refuse(item.line, "", &news.FieldError{Field: "body", Value: "more", Want: "at most " + strconv.Itoa(limit) + " articles in a call; this one and those after it were not read"})
		return nil
	}
	var f news.Found
	err := item.err
	if err == nil {
		f, err = c.p.read.article(item.raw)
	}
	if err != nil {
		c.refuse(item.line, f.NativeID, err)
		return nil
	}
	c.report.Results = append(c.report.Results, news.PushResult{Line: item.line, ID: f.NativeID})
	c.batch = append(c.batch, f)
	c.at = append(c.at, len(c.report.Results)-1)
	c.bytes += len(f.ContentHTML) + 1000
	if !c.atomic && (len(c.batch) >= storeBatch || c.bytes >= storeBytes) {
		return c.flush(ctx)
	}
	return nil
}

func (c *pushCall) refuse(line int, id string, err error) {
	c.report.Add(news.PushResult{Line: line, ID: id, Result: news.PutRefused, Errors: news.Faults(err, line)})
}

// flush stores what is held; nothing of a call that is to be whole and is not.
func (c *pushCall) flush(ctx context.Context) error {
	if c.atomic && c.report.Refused > 0 {
		c.report.Results = slices.DeleteFunc(c.report.Results, func(r news.PushResult) bool { return r.Result != news.PutRefused })
		return nil
	}
	if len(c.batch) == 0 {
		return nil
	}
	outcomes, err := c.p.store.PutArticles(ctx, c.src.ID, c.batch)
	if err != nil {
		return fmt.Errorf("store articles: %w", err)
	}
	for i, outcome := range outcomes {
		c.report.Results[c.at[i]].Result = outcome
		c.report.Count(outcome)
	}
	c.batch, c.at, c.bytes = nil, nil, 0
	return nil
}

// Get returns an article as it is stored, or news.ErrNotFound.
func (p *Push) Get(ctx context.Context, sourceName, id string) (news.Article, error) {
	src, err := p.source(ctx, sourceName)
	if err != nil {
		return news.Article{}, err
	}
	a, err := p.store.ArticleByNativeID(ctx, src.ID, id)
	if err != nil {
		return a, fmt.Errorf("read article %q: %w", clip(oneLine(id, 80), 80), err)
	}
	return a, nil
}

// Delete withdraws an article. With the time of the removal, earlier versions
// that arrive later stay away, and a later version that came before stays
// (PutOlder). Without it, an article that the source never had is
// news.ErrNotFound. What is withdrawn already is withdrawn.
func (p *Push) Delete(ctx context.Context, sourceName, id string, at time.Time) (news.PutOutcome, error) {
	src, err := p.source(ctx, sourceName)
	if err != nil {
		return "", err
	}
	if !validID(id) {
		return "", fmt.Errorf("withdraw article %q: %w", clip(oneLine(id, 80), 80), news.ErrNotFound)
	}
	outcome, err := p.store.WithdrawArticle(ctx, src.ID, id, at)
	if err != nil {
		return "", fmt.Errorf("withdraw article %q: %w", clip(oneLine(id, 80), 80), err)
	}
	return outcome, nil
}

func (p *Push) source(ctx context.Context, name string) (news.Source, error) {
	src, err := p.store.SourceByName(ctx, name)
	if err != nil {
		return news.Source{}, fmt.Errorf("publish: %w", err)
	}
	if src.Kind != news.SourcePush {
		return news.Source{}, &news.FieldError{Field: "source", Value: name, Want: "a source of kind push"}
	}
	return src, nil
}
