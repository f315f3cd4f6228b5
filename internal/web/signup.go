package web

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"gazetted/internal/news"
	"gazetted/templates"
)

// subscriberStore is what subscribers' pages read and change.
type subscriberStore interface {
	Subscribe(ctx context.Context, req news.SubscribeRequest, confirm *news.Variant) (news.SubscribeResult, error)
	Confirm(ctx context.Context, subscriptionID int64, clientIP string) (news.Subscription, error)
	Unsubscribe(ctx context.Context, subscriptionID int64, reason string) (news.Subscription, error)
	Subscription(ctx context.Context, id int64) (news.Subscription, news.Subscriber, news.List, error)
	SetPreferences(ctx context.Context, subscriptionID int64, p news.Preferences) error
	DeliveryView(ctx context.Context, deliveryID int64) (news.Delivery, news.Variant, error)
}

// signUpWording names the form and the version of its wording in the evidence
// of consent. It changes whenever subscribe.html says something else.
const signUpWording = "signup/1"

// stampLife is how long an opened form can be sent.
const stampLife = 24 * time.Hour

// maxOfferedTags bounds the tags that a form offers.
const maxOfferedTags = 16

func (s *Server) signUpForm(w http.ResponseWriter, r *http.Request) error {
	l, err := s.publicList(r)
	if err != nil {
		return err
	}
	// A form on the publisher's own site may lead here with an address in it;
	// it is shown, and nothing happens until the reader sends the form.
	in := signUpInput{zone: s.o.Site.Zone.String(), address: short(r.URL.Query().Get("address"), 254), name: news.CleanName(short(r.URL.Query().Get("name"), 200))}
	return s.showSignUp(w, r, &l, in, http.StatusOK, nil)
}

// signUpInput is what a visitor wrote, as it is shown again.
type signUpInput struct {
	address, name, zone, frequency string
	topics                         []news.Topic
}

func (s *Server) showSignUp(w http.ResponseWriter, r *http.Request, l *news.List, in signUpInput, status int, faults []templates.Fault) error {
	idx, err := s.index(r.Context())
	if err != nil {
		return err
	}
	f := s.frame("")
	f.Here, f.NoIndex, f.Canonical = "newsletters", false, s.o.Links.SignUp(l.Name)
	w.Header().Del("X-Robots-Tag")
	view := templates.SignUpPage{
		Frame: f, List: s.pageList(l), Faults: faults, Stamp: s.formStamp(l.ID),
		Address: in.address, Name: in.name, Zone: in.zone,
		AskZone: l.Zone == news.ZoneSubscriber, Frequencies: s.frequencies(l, in.frequency), Topics: s.offeredTopics(idx, l, in.topics),
	}
	if view.AskZone {
		view.Zones = zoneNames()
	}
	return s.page(w, status, "subscribe", view)
}

// formStamp proves that a form was opened, for which list and until when it
// can be sent: a robot that only posts has none.
func (s *Server) formStamp(listID int64) string {
	now := s.now()
	return s.o.Links.Signer().Sign(news.PurposeForm, news.Token{ID: listID, Second: now.Unix(), Expires: now.Add(stampLife)})
}

func (s *Server) stampValid(listID int64, text string) bool {
	t, err := s.o.Links.Signer().Verify(news.PurposeForm, text, s.now())
	return err == nil && t.ID == listID
}

func (s *Server) signUp(w http.ResponseWriter, r *http.Request) error {
	due := time.After(max(s.o.SignUpTime, 0))
	l, err := s.publicList(r)
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
	req, in, faults := s.signUpRequest(r, idx, &l)
	if !s.stampValid(l.ID, r.PostForm.Get("stamp")) {
		faults = append(faults, templates.Fault{Field: "stamp", Text: "This form was open for too long. Please send it once more."})
	}
	if len(faults) > 0 {
		return s.showSignUp(w, r, &l, in, http.StatusUnprocessableEntity, faults)
	}
	if r.PostForm.Get("website") == "" { // people do not see this field, robots fill it in
		if !s.limits.allow(s.client(r)) {
			w.Header().Set("Retry-After", "60")
			return statusError(http.StatusTooManyRequests)
		}
		if err := s.subscribe(r.Context(), &l, req); err != nil {
			return err
		}
	}
	// Known, unknown and suppressed addresses take the store different times;
	// the answer comes at the same one.
	select {
	case <-due:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	return s.checkYourMail(w)
}

// checkYourMail is the one answer to every sign-up. It names neither the
// address nor the list.
func (s *Server) checkYourMail(w http.ResponseWriter) error {
	view := s.notice("Check your mail",
		"We have sent you a mail with a link. Please follow it to confirm your sign-up; nothing else is sent before you do.",
		s.link("Latest articles", s.local(s.o.Links.Home())))
	if view.Mailbox != "" {
		view.Links = append([]templates.PageLink{s.link("Open the mailbox", view.Mailbox)}, view.Links...)
	}
	view.Text = append(view.Text, "If nothing arrives within a few minutes, look among the unwanted mails, and check the spelling of your address. Who receives the newsletter already gets no second confirmation.")
	return s.page(w, http.StatusOK, "notice", view)
}

func (s *Server) subscribe(ctx context.Context, l *news.List, req news.SubscribeRequest) error {
	confirm, err := s.confirmation(l, req.Language)
	if err != nil {
		return err
	}
	_, err = s.o.Store.Subscribe(ctx, req, confirm)
	return err
}

// confirmation renders the mail of the double opt-in.
func (s *Server) confirmation(l *news.List, language string) (*news.Variant, error) {
	site := templates.SiteView{Title: s.o.Site.Title, URL: s.o.Links.Home(), Postal: s.o.Site.Postal, Links: s.o.Site.Links}
	return s.o.Templates.Confirmation(s.o.Links, site, l, language)
}

// signUpRequest reads the form. Faults are worded for the visitor.
func (s *Server) signUpRequest(r *http.Request, idx *termIndex, l *news.List) (news.SubscribeRequest, signUpInput, []templates.Fault) {
	f := r.PostForm
	in := signUpInput{
		address: short(strings.TrimSpace(f.Get("address")), 254), name: news.CleanName(short(f.Get("name"), 1000)),
		zone: short(strings.TrimSpace(f.Get("zone")), 64), frequency: f.Get("frequency"),
	}
	var faults []templates.Fault
	address, err := news.ParseAddress("address", f.Get("address"))
	if err != nil {
		faults = append(faults, templates.Fault{Field: "address", Text: "Write an e-mail address such as ana@example.org."})
	}
	choice, more := readChoices(r.Context(), s.o.Store, f, idx, l)
	in.topics = choice.Topics
	faults = append(faults, more...)
	return news.SubscribeRequest{
		Address: address, Name: in.name, Zone: choice.Zone, List: l.Name, Frequency: choice.Frequency, Topics: choice.Topics,
		Consent: news.Consent{Source: "form", Form: signUpWording, RequestedAt: s.now(), RequestIP: s.shortened(r)},
	}, in, faults
}

// readForm parses the body as a form within its limit.
func readForm(r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return tooLarge
		}
		return statusError(http.StatusBadRequest)
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/") {
		return statusError(http.StatusUnsupportedMediaType)
	}
	return nil
}

// short cuts what a visitor sent before anything looks at it.
func short(text string, limit int) string {
	if len(text) > limit {
		text = text[:limit]
	}
	return strings.ToValidUTF8(text, "")
}

// frequencies are the rhythms of a list as choices; the first one is chosen
// where none is.
func (s *Server) frequencies(l *news.List, chosen string) []templates.Choice {
	if _, ok := l.Frequency(chosen); !ok && len(l.Frequencies) > 0 {
		chosen = l.Frequencies[0].Name
	}
	out := make([]templates.Choice, 0, len(l.Frequencies))
	for _, f := range l.Frequencies {
		c := templates.Choice{Value: f.Name, Label: capital(f.Name), Chosen: f.Name == chosen}
		if text := rhythm(f); text != f.Name {
			c.Detail = capital(text) + s.zoneWords(l, text)
		}
		out = append(out, c)
	}
	return out
}

// zoneWords says after a rhythm whose hour it names, if it names one.
func (s *Server) zoneWords(l *news.List, rhythm string) string {
	if !strings.Contains(rhythm, hourWord) {
		return ""
	}
	if l.Zone == news.ZoneSubscriber {
		return ", your time"
	}
	return ", " + zoneLabel(l.Zone) + " time"
}

// zoneLabel makes "Istanbul" of Europe/Istanbul.
func zoneLabel(zone string) string {
	return strings.ReplaceAll(zone[strings.LastIndexByte(zone, '/')+1:], "_", " ")
}

// offeredTopics are the sections and the popular tags that a list can carry,
// and whatever is chosen already: saving a form must not lose a choice.
func (s *Server) offeredTopics(idx *termIndex, l *news.List, chosen []news.Topic) templates.Topics {
	left := slices.Clone(chosen)
	choice := func(t news.Term) templates.Choice {
		i := slices.Index(left, t.Topic())
		if i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
		return templates.Choice{Value: string(t.Topic()), Label: t.Name, Chosen: i >= 0}
	}
	var out templates.Topics
	for _, t := range topOf(idx, l) {
		if idx.alive(t.ID) {
			out.Categories = append(out.Categories, choice(t))
		}
		idx.walk(t.ID, func(below news.Term, depth int) {
			c := choice(below)
			c.Depth = depth + 1
			out.Categories = append(out.Categories, c)
		})
	}
	for _, t := range idx.tags {
		if len(out.Tags) < maxOfferedTags || slices.Contains(left, t.Topic()) {
			out.Tags = append(out.Tags, choice(t))
		}
	}
	for _, topic := range slices.Clone(left) {
		label := string(topic)
		if t, ok := idx.tree.ByTopic(topic); ok {
			label = t.Name
		} else if _, slug := topic.Split(); slug != "" {
			label = slug
		}
		out.Tags = append(out.Tags, templates.Choice{Value: string(topic), Label: label, Chosen: true})
	}
	return out
}

// topOf lists the categories from which a list's choices start: those of its
// filter, or all roots.
func topOf(idx *termIndex, l *news.List) []news.Term {
	var top []news.Term
	for _, topic := range l.Filter {
		if t, ok := idx.tree.ByTopic(topic); ok && t.Kind == news.KindCategory {
			top = append(top, t)
		}
	}
	if len(top) == 0 {
		return idx.children[0]
	}
	return slices.DeleteFunc(slices.Clone(top), func(t news.Term) bool {
		return slices.ContainsFunc(top, func(o news.Term) bool { return o.ID != t.ID && idx.tree.Within(t.ID, o.ID) })
	})
}
