package source

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// WebSub (https://www.w3.org/TR/websub/): a feed may name a hub that calls its
// subscribers when there is something new. We subscribe where that is offered;
// what the hub sends is only a reason to look now, and looks go on at their
// interval all the same.

const (
	// hubLease is how long a subscription is asked for; hubs may grant another time.
	hubLease = 10 * 24 * time.Hour
	// hubRetry is after how long a hub is asked again that has not made sure of us.
	hubRetry = 6 * time.Hour
)

// Hub is what subscribing at hubs needs.
type Hub struct {
	// Callback is where the hub calls for a source, and Secret what it signs with.
	Callback func(news.Source) string
	Secret   func(news.Source) string
}

// hubOffer is a feed's offer to be told of news.
type hubOffer struct {
	hub, topic string
}

// keepHub subscribes at the hub that a feed offers, and again in good time
// before the lease ends. What goes wrong is kept for people to see; it is no
// failure of the look.
func (w *Watcher) keepHub(ctx context.Context, src news.Source, offer hubOffer) error {
	if w.o.Hub == nil || offer.hub == "" || offer.topic == "" {
		return nil
	}
	callback := w.o.Hub.Callback(src)
	if !w.o.Client.callable(callback) {
		return nil // nobody outside could call us
	}
	lease, err := w.o.Store.HubLease(ctx, src.ID)
	if err != nil {
		return fmt.Errorf("read hub: %w", err)
	}
	now := w.o.Now()
	same := lease.Hub == offer.hub && lease.Topic == offer.topic && lease.Callback == callback
	asked := now.Sub(lease.AskedAt)
	switch {
	case same && asked >= 0 && asked < hubRetry:
		return nil
	case same && lease.To.Sub(now) > lease.To.Sub(lease.From)/3:
		return nil
	}
	// Registered before it is asked: the hub may call back before it answers.
	lease = news.HubLease{Hub: offer.hub, Topic: offer.topic, Callback: callback, AskedAt: now}
	if err := w.o.Store.AskHub(ctx, src.ID, lease); err != nil {
		return fmt.Errorf("register hub: %w", err)
	}
	if err := w.askHub(ctx, lease, w.o.Hub.Secret(src)); err != nil {
		lease.Err = oneLine(err.Error(), maxNote)
		if err := w.o.Store.AskHub(ctx, src.ID, lease); err != nil {
			return fmt.Errorf("register hub: %w", err)
		}
	}
	return nil
}

// askHub sends the request of §5.1. The hub answers 202 and then makes sure
// that we meant it, with a call to the callback.
func (w *Watcher) askHub(ctx context.Context, l news.HubLease, secret string) error {
	form := url.Values{
		"hub.mode": {"subscribe"}, "hub.topic": {l.Topic}, "hub.callback": {l.Callback},
		"hub.secret": {secret}, "hub.lease_seconds": {strconv.Itoa(int(hubLease / time.Second))},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.Hub, strings.NewReader(form.Encode()))
	if err != nil {
		return fmt.Errorf("ask hub: %w", err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := w.o.Client.do(req, 64<<10)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body) // the status is all that counts
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return &StatusError{Code: resp.StatusCode, URL: req.URL.Redacted()}
	}
	return nil
}

// callable tells whether a server out there could reach an address of ours: not
// if its host is one that we would not connect to ourselves.
func (c *Client) callable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || checkURL(u) != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if c.guard.hosts[host] {
		return true
	}
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return strings.Contains(host, ".") && !strings.HasSuffix(host, ".local") && !strings.HasSuffix(host, ".internal")
	}
	var blocked *BlockedError
	return !errors.As(c.guard.Check(addr), &blocked)
}
