package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"gazetted/internal/news"
)

// ImportSubscribers subscribes up to 1,000 people at once, in one transaction.
// Results and errors answer the requests one by one; a request that is at
// fault does not stop the others. An import brings nobody back: whoever is
// suppressed, has unsubscribed or bounced stays as they are. No confirmation
// is sent: who is not req.Confirmed is pending until they ask themselves.
func (s *Store) ImportSubscribers(ctx context.Context, reqs []news.SubscribeRequest) ([]news.SubscribeResult, []error, error) {
	if len(reqs) > maxImport {
		return nil, nil, fmt.Errorf("import subscribers: %d at once, at most %d", len(reqs), maxImport)
	}
	signer, err := s.signer(ctx)
	if err != nil {
		return nil, nil, err
	}
	var (
		results []news.SubscribeResult
		faults  []error
	)
	err = s.write(ctx, "import subscribers", func(t *tx) error {
		results, faults = make([]news.SubscribeResult, len(reqs)), make([]error, len(reqs))
		checked, err := t.checkImport(reqs, faults)
		if err != nil {
			return err
		}
		hashes := make([]string, len(reqs))
		for i, req := range reqs {
			hashes[i] = signer.KeyedHash(req.Address.Key)
		}
		suppressed, err := t.suppressed(hashes...)
		if err != nil {
			return err
		}
		var rows []arrival
		for i, r := range checked {
			switch {
			case faults[i] != nil:
			case suppressed[hashes[i]]:
				results[i].Suppressed = true
			default:
				rows = append(rows, arrival{request: r, result: &results[i]})
			}
		}
		return t.placeAll(rows)
	})
	if err != nil {
		return nil, nil, err
	}
	return results, faults, nil
}

// maxImport bounds the people of one transaction.
const maxImport = 1000

// checkImport checks all requests before the first is stored: a statement
// that fails would end the transaction for all.
func (t *tx) checkImport(reqs []news.SubscribeRequest, faults []error) ([]request, error) {
	lists := map[string]news.List{}
	topics := []news.Topic{}
	for _, req := range reqs {
		topics = append(topics, req.Topics...)
		if _, ok := lists[req.List]; ok {
			continue
		}
		l, err := t.listByName(req.List)
		if err != nil && !errors.Is(err, news.ErrNotFound) {
			return nil, err
		}
		lists[req.List] = l
	}
	terms, err := t.currentTopics(topics)
	if err != nil {
		return nil, err
	}
	out := make([]request, len(reqs))
	for i, req := range reqs {
		req.Consent.Source = cmp.Or(req.Consent.Source, "import")
		switch l := lists[req.List]; {
		case req.Address.Key == "":
			faults[i] = &news.FieldError{Field: "address", Value: req.Address.Spec, Want: "an address like ana@example.org"}
		case l.ID == 0:
			faults[i] = fmt.Errorf("list %q: %w", req.List, news.ErrNotFound)
		default:
			out[i], faults[i] = checkRequest(req, l, terms)
			out[i].imported = true
		}
	}
	return out, nil
}
