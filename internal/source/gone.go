package source

import (
	"context"
	"errors"
	"fmt"

	"gazetted/internal/news"
)

// seat is an article's place in a list that shows the latest only.
type seat struct {
	ID  string `json:"i"`
	URL string `json:"u"`
}

// missing lists the articles that are not there although something is that
// stood behind them in the window: they have not slid past its end.
func missing(before, window []seat, there map[string]bool, limit int) []seat {
	var out []seat
	for _, s := range before {
		if !there[s.ID] {
			out = append(out, s)
		}
	}
	last := -1
	for i, s := range window {
		if there[s.ID] {
			last = i
		}
	}
	for i, s := range window {
		if i < last && !there[s.ID] && len(out) < limit {
			out = append(out, s)
		}
	}
	return out
}

// maxGoneChecks bounds the missing articles that a look asks for.
const maxGoneChecks = 10

// confirmGone asks missing articles at their own addresses. That one is gone is
// believed only while others, the witnesses, can be read: a site that answers
// 404 to everything is broken, one that answers 403 to everything keeps us
// out. later are those that could not be asked.
func (j *job) confirmGone(ctx context.Context, c *Client, asked []seat, state func(id string) (news.ArticleState, bool), witnesses []string) (gone []string, later []seat, err error) {
	checks := 0
	for _, s := range asked {
		if st, ok := state(s.ID); !ok || st == news.ArticleWithdrawn {
			continue
		}
		if checks++; checks > maxGoneChecks {
			later = append(later, s)
			continue
		}
		is, err := pageGone(ctx, c, s.URL)
		switch {
		case ctx.Err() != nil:
			return nil, asked, err
		case err != nil:
			later = append(later, s)
			j.notes.add(fmt.Sprintf("has %s been removed? %v", s.URL, err))
		case is:
			gone = append(gone, s.ID)
		}
	}
	if len(gone) == 0 {
		return nil, later, nil
	}
	for _, w := range witnesses[:min(len(witnesses), 2)] {
		if is, err := pageGone(ctx, c, w); err != nil || is {
			j.notes.add(fmt.Sprintf("%d articles have left and their pages do not answer, but neither does %s: nothing is concluded", len(gone), w))
			return nil, later, ctx.Err()
		}
	}
	return gone, later, nil
}

// pageGone asks a page whether it still is. An error says nothing.
func pageGone(ctx context.Context, c *Client, address string) (bool, error) {
	_, err := c.get(ctx, request{url: address, accept: "text/html"})
	var status *StatusError
	if errors.As(err, &status) && !status.held {
		switch status.Code {
		case 401, 403, 404, 410:
			return true, nil
		}
	}
	if as[*TooLargeError](err) != nil {
		return false, nil // it is there
	}
	return false, err
}
