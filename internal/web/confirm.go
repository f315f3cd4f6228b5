package web

import (
	"net/http"

	"gazetted/internal/news"
	"gazetted/templates"
)

// holder reads the token of the path for one purpose and the subscription it
// belongs to.
func (s *Server) holder(r *http.Request, p news.Purpose) (news.Subscription, news.Subscriber, news.List, error) {
	t, err := s.o.Links.Signer().Verify(p, r.PathValue("token"), s.now())
	if err != nil {
		return news.Subscription{}, news.Subscriber{}, news.List{}, err
	}
	return s.o.Store.Subscription(r.Context(), t.ID)
}

// ownList is a list as its subscriber sees it: a private one has no public pages.
func (s *Server) ownList(l *news.List) templates.PageList {
	p := s.pageList(l)
	if !l.Public {
		p.SignUp, p.Archive = "", ""
	}
	return p
}

// confirmForm shows the button. Scanners that open every link of a mail stop here.
func (s *Server) confirmForm(w http.ResponseWriter, r *http.Request) error {
	_, _, l, err := s.holder(r, news.PurposeConfirm)
	if err != nil {
		return err
	}
	return s.page(w, http.StatusOK, "confirm", templates.ConfirmPage{Frame: s.frame(""), List: s.ownList(&l)})
}

func (s *Server) confirm(w http.ResponseWriter, r *http.Request) error {
	sub, _, l, err := s.holder(r, news.PurposeConfirm)
	if err != nil {
		return err
	}
	if err := readForm(r); err != nil {
		return err
	}
	if sub, err = s.o.Store.Confirm(r.Context(), sub.ID, s.shortened(r)); err != nil {
		return err
	}
	view := s.notice("You are in", "You will receive "+l.Title+s.when(&l, sub.Frequency)+". The first mail comes when there is something new for you.",
		s.link("Choose topics and times", s.local(s.o.Links.Preferences(sub.ID))))
	return s.page(w, http.StatusOK, "notice", view)
}

// when words a frequency as the end of a sentence.
func (s *Server) when(l *news.List, name string) string {
	f, ok := l.Frequency(name)
	if !ok {
		return ""
	}
	text := rhythm(f)
	if text == f.Name {
		return " (" + text + ")"
	}
	return " " + text + s.zoneWords(l, text)
}
