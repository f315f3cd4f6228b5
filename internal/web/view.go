package web

import (
	"html"
	"net/http"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// webView shows an edition as it was sent to one person, with their own links
// in the place of the marks. Its policy allows inline styles, as mails need
// them, and nothing that could act: no script, no form, no frame.
func (s *Server) webView(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	t, err := s.o.Links.Signer().Verify(news.PurposeWebView, r.PathValue("token"), s.now())
	if err != nil {
		return err
	}
	d, v, err := s.o.Store.DeliveryView(ctx, t.ID)
	if err != nil {
		return err
	}
	if v.Kind != news.VariantEdition || v.Nonce == "" {
		return news.ErrNotFound
	}
	address := d.Address
	if address == "" {
		_, who, _, err := s.o.Store.Subscription(ctx, d.SubscriptionID)
		if err != nil {
			return err
		}
		address = who.Address
	}
	out := strings.NewReplacer(
		news.Mark(v.Nonce, news.PlaceUnsubscribe), s.o.Links.Unsubscribe(d.SubscriptionID),
		news.Mark(v.Nonce, news.PlacePreferences), s.o.Links.Preferences(d.SubscriptionID),
		news.Mark(v.Nonce, news.PlaceWebView), s.o.Links.WebView(d.ID),
		news.Mark(v.Nonce, news.PlaceConfirm), "",
		news.Mark(v.Nonce, news.PlaceAddress), html.EscapeString(address),
	).Replace(v.HTML)
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(out)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write([]byte(out)) // a reader that has gone is not our fault
	return nil
}
