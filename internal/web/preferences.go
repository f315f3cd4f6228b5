package web

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"gazetted/internal/news"
	"gazetted/templates"
)

func (s *Server) preferencesForm(w http.ResponseWriter, r *http.Request) error {
	sub, who, l, err := s.holder(r, news.PurposePreferences)
	if err != nil {
		return err
	}
	return s.showPreferences(w, r, http.StatusOK, s.preferencesPage(&sub, &who, &l), &sub, &l)
}

// preferencesPage is the page as the store knows the subscription.
func (s *Server) preferencesPage(sub *news.Subscription, who *news.Subscriber, l *news.List) templates.PreferencesPage {
	return templates.PreferencesPage{
		Frame: s.frame(""), List: s.ownList(l), Address: who.Address,
		Ended: sub.State == news.SubscriptionUnsubscribed || sub.State == news.SubscriptionBounced,
		Name:  who.Name, Language: cmp.Or(who.Language, l.Language), Zone: who.Zone, AskZone: l.Zone == news.ZoneSubscriber,
		Paused: sub.State == news.SubscriptionPaused, Unsubscribe: s.local(s.o.Links.Unsubscribe(sub.ID)),
	}
}

func (s *Server) showPreferences(w http.ResponseWriter, r *http.Request, status int, view templates.PreferencesPage, sub *news.Subscription, l *news.List) error {
	idx, err := s.index(r.Context())
	if err != nil {
		return err
	}
	view.Frequencies = s.frequencies(l, sub.Frequency)
	view.Topics = s.offeredTopics(idx, l, sub.Topics)
	if view.AskZone {
		view.Zones = zoneNames()
	}
	return s.page(w, status, "preferences", view)
}

// preferences saves the form, or, with its button "subscribe again", asks for
// a new confirmation: who only found an old mail must not sign its reader up.
func (s *Server) preferences(w http.ResponseWriter, r *http.Request) error {
	sub, who, l, err := s.holder(r, news.PurposePreferences)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	idx, err := s.index(r.Context())
	if err != nil {
		return err
	}
	view := s.preferencesPage(&sub, &who, &l)
	if view.Ended {
		if r.PostForm.Get("again") == "" {
			return s.showPreferences(w, r, http.StatusConflict, view, &sub, &l)
		}
		return s.subscribeAgain(w, r, &sub, &who, &l)
	}
	p, faults := readPreferences(r.Context(), s.o.Store, r.PostForm, idx, &l)
	sub.Frequency, sub.Topics = p.Frequency, p.Topics
	view.Name, view.Language, view.Paused = *p.Name, short(r.PostForm.Get("language"), 35), p.Paused
	if view.AskZone {
		view.Zone = short(r.PostForm.Get("zone"), 64)
	}
	view.Faults = faults
	if len(faults) > 0 {
		return s.showPreferences(w, r, http.StatusUnprocessableEntity, view, &sub, &l)
	}
	if err := s.o.Store.SetPreferences(r.Context(), sub.ID, p); err != nil {
		return err
	}
	// What is shown is what was stored, not what was sent.
	if sub, who, l, err = s.o.Store.Subscription(r.Context(), sub.ID); err != nil {
		return err
	}
	view = s.preferencesPage(&sub, &who, &l)
	view.Saved = true
	return s.showPreferences(w, r, http.StatusOK, view, &sub, &l)
}

func readPreferences(ctx context.Context, store feedStore, f url.Values, idx *termIndex, l *news.List) (news.Preferences, []templates.Fault) {
	p, faults := readChoices(ctx, store, f, idx, l)
	name := news.CleanName(short(f.Get("name"), 1000))
	p.Name = &name
	p.Paused = f.Get("paused") != ""
	if p.Frequency == "" && !slices.ContainsFunc(faults, func(f templates.Fault) bool { return f.Field == "frequency" }) && len(l.Frequencies) > 0 {
		p.Frequency = l.Frequencies[0].Name
	}
	if code := strings.TrimSpace(f.Get("language")); code != "" {
		tag, err := language.Parse(short(code, 35))
		if err != nil {
			faults = append(faults, templates.Fault{Field: "language", Text: "Write a language code such as en or tr."})
		} else {
			p.Language = tag.String()
		}
	}
	return p, faults
}

// again names the form and wording in the evidence of consent.
const againWording = "preferences-again/1"

func (s *Server) subscribeAgain(w http.ResponseWriter, r *http.Request, sub *news.Subscription, who *news.Subscriber, l *news.List) error {
	if !s.limits.allow(s.client(r)) {
		w.Header().Set("Retry-After", "60")
		return statusError(http.StatusTooManyRequests)
	}
	address, err := news.ParseAddress("address", who.Address)
	if err != nil {
		return err
	}
	err = s.subscribe(r.Context(), l, news.SubscribeRequest{
		Address: address, Name: who.Name, Language: who.Language, Zone: who.Zone, List: l.Name, Frequency: sub.Frequency, Topics: sub.Topics,
		Consent: news.Consent{Source: "form", Form: againWording, RequestedAt: s.now(), RequestIP: s.shortened(r)},
	})
	if err != nil {
		return err
	}
	return s.checkYourMail(w)
}
