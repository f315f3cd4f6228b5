package web

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"gazetted/internal/news"
	"gazetted/templates"
)

// unsubscribeForm shows the button and changes nothing, however often a mail
// scanner comes by.
func (s *Server) unsubscribeForm(w http.ResponseWriter, r *http.Request) error {
	sub, _, l, err := s.holder(r, news.PurposeUnsubscribe)
	if err != nil {
		return err
	}
	return s.showUnsubscribe(w, &sub, &l)
}

func (s *Server) showUnsubscribe(w http.ResponseWriter, sub *news.Subscription, l *news.List) error {
	return s.page(w, http.StatusOK, "unsubscribe", templates.UnsubscribePage{
		Frame: s.frame(""), List: s.ownList(l), Done: sub.State == news.SubscriptionUnsubscribed,
		Preferences: s.local(s.o.Links.Preferences(sub.ID)),
	})
}

// unsubscribe acts at once, without cookie, login or redirect (RFC 8058 §3.1).
// It is the same URL for the page's button and for the mail providers' own.
func (s *Server) unsubscribe(w http.ResponseWriter, r *http.Request) error {
	sub, _, l, err := s.holder(r, news.PurposeUnsubscribe)
	if err != nil {
		return err
	}
	oneClick, err := isOneClick(r)
	if err != nil {
		return err
	}
	reason := "page"
	if oneClick {
		reason = "one-click"
	}
	if sub, err = s.o.Store.Unsubscribe(r.Context(), sub.ID, reason); err != nil {
		return err
	}
	if oneClick {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "You are unsubscribed.\n")
		return nil
	}
	return s.showUnsubscribe(w, &sub, &l)
}

// isOneClick looks for the pair of RFC 8058 §3.1 in the body, which may be
// sent URL-encoded or as multipart/form-data; the type need not be parsed to
// find it.
func isOneClick(r *http.Request) (bool, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return false, tooLarge
		}
		return false, statusError(http.StatusBadRequest)
	}
	text := string(body)
	return strings.Contains(text, "List-Unsubscribe") && strings.Contains(text, "One-Click"), nil
}
