package daemon

import (
	"context"
	"fmt"

	"gazetted/internal/news"
)

// Subscribe adds a person to a list as the sign-up page does: without
// req.Confirmed the confirmation mail is queued with it.
func (d *Daemon) Subscribe(ctx context.Context, req news.SubscribeRequest) (news.SubscribeResult, error) {
	confirm, err := d.confirmation(ctx, req)
	if err != nil {
		return news.SubscribeResult{}, err
	}
	return d.Store.Subscribe(ctx, req, confirm)
}

// Import adds many people at once. Faults are per row and keep none of the
// others out. Rows without consent get their confirmation mail.
func (d *Daemon) Import(ctx context.Context, batch []news.SubscribeRequest) ([]news.SubscribeResult, []error, error) {
	if len(batch) == 0 || batch[0].Confirmed {
		return d.Store.ImportSubscribers(ctx, batch)
	}
	results, faults := make([]news.SubscribeResult, len(batch)), make([]error, len(batch))
	for i, req := range batch {
		results[i], faults[i] = d.Subscribe(ctx, req)
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
	}
	return results, faults, nil
}

func (d *Daemon) confirmation(ctx context.Context, req news.SubscribeRequest) (*news.Variant, error) {
	if req.Confirmed {
		return nil, nil
	}
	l, err := d.Store.ListByName(ctx, req.List)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", req.List, err)
	}
	return d.templates.Confirmation(d.Links, d.siteView(), &l, req.Language)
}
