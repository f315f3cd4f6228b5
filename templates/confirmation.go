package templates

import (
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"gazetted/internal/news"
)

// Confirmation renders the mail of the double opt-in. Equal mails get equal
// nonces, so that all sign-ups of a list share one stored Variant, and others
// get others, so that a waiting mail stays as it is when its list changes.
func (s *Set) Confirmation(links *news.Links, site SiteView, l *news.List, language string) (*news.Variant, error) {
	if language == "" {
		language = l.Language
	}
	const draft = "0000000000000000"
	view := ConfirmView{
		Lang: language, Site: site, Confirm: news.Mark(draft, news.PlaceConfirm), Address: news.Mark(draft, news.PlaceAddress),
		List: ListView{Title: l.Title, Description: l.Description},
	}
	if l.Public {
		view.List.URL, view.List.Archive = links.SignUp(l.Name), links.Archive(l.Name)
	}
	mail, err := s.Confirm(view)
	if err != nil {
		return nil, fmt.Errorf("render confirmation: %w", err)
	}
	h := fnv.New64a()
	for _, part := range []string{mail.Subject, mail.HTML, mail.Text, l.Name, l.Title, l.From, l.ReplyTo, strconv.FormatBool(l.Public)} {
		_, _ = h.Write([]byte(part + "\x00")) // a hash never fails
	}
	nonce := links.Signer().Digest(news.PurposeNonce, 0, l.ID, int64(h.Sum64()))[:len(draft)]
	for _, place := range []news.Place{news.PlaceConfirm, news.PlaceAddress} {
		swap := strings.NewReplacer(news.Mark(draft, place), news.Mark(nonce, place))
		mail.HTML, mail.Text = swap.Replace(mail.HTML), swap.Replace(mail.Text)
	}
	v := &news.Variant{
		ListID: l.ID, Kind: news.VariantConfirm, Language: language, Nonce: nonce,
		Subject: mail.Subject, HTML: mail.HTML, Text: mail.Text,
	}
	v.Freeze(l, "")
	return v, nil
}
