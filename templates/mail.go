package templates

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Mail is a rendered mail. What differs per recipient stands in it as marks
// (news.Mark).
type Mail struct {
	Subject string
	HTML    string
	Text    string
}

// DigestView is what a digest template is given. Texts are plain, on one line
// and without control characters; times carry the reader's zone.
type DigestView struct {
	Lang      string // BCP 47
	Subject   string
	Preheader string // what a mailbox shows after the subject
	Intro     string // e.g. "5 new articles in US, World and Culture"
	Date      time.Time
	Zone      string // IANA name of the zone in which the times are
	List      ListView
	Site      SiteView
	Sections  []SectionView
	// More are articles for which there was no room but for their headlines;
	// Rest counts those for which there was none at all, RestURL leads to them.
	More    []HeadlineView
	Rest    int
	RestURL string
	Related []RelatedView
	// Why says why the reader gets the mail, with their address.
	Why         string
	Unsubscribe string // URL; a mark, like the next three
	Preferences string // URL
	WebView     string // URL
	Address     string
}

// ListView is the list that a mail belongs to.
type ListView struct {
	Title       string
	Description string
	URL         string // sign-up page; empty for private lists
	Archive     string // public archive; empty for private lists
}

// SiteView is the publisher.
type SiteView struct {
	Title  string
	URL    string
	Postal string   // postal address in lines, which commercial mail must give (15 U.S.C. § 7704(a)(5))
	Links  []Anchor // of the footer, e.g. imprint and privacy policy
}

// PostalLine is the postal address on one line, without the title, beside
// which it stands.
func (s SiteView) PostalLine() string {
	var parts []string
	for line := range strings.Lines(s.Postal) {
		if line = strings.Trim(line, " \t\r\n,"); line != "" && line != s.Title {
			parts = append(parts, line)
		}
	}
	return strings.Join(parts, ", ")
}

// Anchor is a link with its text.
type Anchor struct{ Text, URL string }

// SectionView is the articles of one category.
type SectionView struct {
	Name     string // empty where an edition has no sections to tell apart
	Articles []ArticleView
}

// ArticleView is one article of a digest.
type ArticleView struct {
	Title     string
	URL       string
	Kicker    string // what stands above the headline; may be empty
	Authors   string // "Nina Kapoor and Ana Ruiz"; may be empty
	Published time.Time
	Updated   time.Time // zero unless edited
	Image     *ImageView
	Excerpt   string
	Tags      []Anchor // URL may be empty
	Share     []ShareView
	SharePage string // URL; in Share, too
	PrintPage string // URL; in Share, too
	Discuss   string // URL; may be empty
	Notice    string // e.g. "For members of …"; may be empty
}

// ImageView is a picture with the size at which it is shown, in CSS pixels.
// Height is 0 where the source did not say.
type ImageView struct {
	URL    string
	Alt    string
	Width  int
	Height int
}

// ShareView is one way of passing an article on.
type ShareView struct {
	Text  string // e.g. "Copy link"
	Label string // for screen readers, e.g. "Copy link to this article"
	URL   string // https or mailto
}

// HeadlineView is an article as no more than its headline.
type HeadlineView struct{ Title, URL string }

// RelatedView is an article that the reader may like, too.
type RelatedView struct {
	Title    string
	URL      string
	Category string
	Authors  string
	Image    *ImageView
}

// ConfirmView is what the confirmation of a sign-up is given. It holds nothing
// that a visitor wrote but the address: anybody can have it sent to anybody.
type ConfirmView struct {
	Lang    string
	List    ListView
	Site    SiteView
	Confirm string    // URL; a mark
	Address string    // a mark
	Until   time.Time // the link's expiry, in the list's zone; zero: not said
}

// mailProgram is the two parts of a mail.
type mailProgram struct{ html, text *program }

func (p mailProgram) render(ctx context.Context, subject string, view any) (Mail, error) {
	html, err := p.html.run(ctx, view)
	if err != nil {
		return Mail{}, err
	}
	text, err := p.text.run(ctx, view)
	if err != nil {
		return Mail{}, err
	}
	return Mail{Subject: subject, HTML: html, Text: tidy(text)}, nil
}

// tidy makes what a text template leaves readable: no space at line ends, at
// most one empty line in a row, one line break at the end.
func tidy(text string) string {
	var b strings.Builder
	empty := 0
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\r\n")
		if line == "" {
			empty++
			continue
		}
		if empty > 0 && b.Len() > 0 {
			b.WriteByte('\n')
		}
		empty = 0
		b.WriteString(line)
		b.WriteByte('\n')
	}
	return b.String()
}

const confirmName = "confirm"

// loadMails makes a program of each pair mail/NAME.html and mail/NAME.txt and
// renders samples with it.
func (s *Set) loadMails(src sources) error {
	names := map[string]bool{}
	for _, ending := range []string{".html", ".txt"} {
		for _, name := range src.names("mail/", ending) {
			names[strings.TrimSuffix(path.Base(name), ending)] = true
		}
	}
	var faults []error
	for _, name := range sortedKeys(names) {
		p, err := s.loadMail(src, name)
		if err != nil {
			faults = append(faults, err)
			continue
		}
		if name == confirmName {
			s.confirm = p
			faults = append(faults, checkMail(p, sampleConfirms()))
			continue
		}
		s.digests[name] = p
		faults = append(faults, checkMail(p, sampleDigests()))
	}
	return errors.Join(faults...)
}

func (s *Set) loadMail(src sources, name string) (mailProgram, error) {
	var p mailProgram
	var faults []error
	for _, half := range []struct {
		kind   partKind
		ending string
		to     **program
	}{{htmlPart, ".html", &p.html}, {textPart, ".txt", &p.text}} {
		file := "mail/" + name + half.ending
		text, ok := src.files[file]
		if !ok {
			faults = append(faults, fmt.Errorf("%s: missing: a mail has an HTML part and a text part", file))
			continue
		}
		var err error
		if *half.to, err = newProgram(half.kind, s.words, mailLimits(), []part{{file, text}}); err != nil {
			faults = append(faults, err)
		}
	}
	return p, errors.Join(faults...)
}

// checkMail renders samples, which finds misspelt fields. HTML and text are
// tried apart, so that both are reported.
func checkMail[V any](p mailProgram, samples []V) error {
	for _, v := range samples {
		_, htmlErr := p.html.run(context.Background(), v)
		_, textErr := p.text.run(context.Background(), v)
		if err := errors.Join(htmlErr, textErr); err != nil {
			return err
		}
	}
	return nil
}

// Digest renders a digest with the template of that name (empty: DefaultDigest).
// Equal views give equal bytes. When ctx ends, the rendering does.
func (s *Set) Digest(ctx context.Context, template string, v DigestView) (Mail, error) {
	if template == "" {
		template = DefaultDigest
	}
	p, ok := s.digests[template]
	if !ok {
		return Mail{}, fmt.Errorf("render digest: no template %q; there are %s", template, strings.Join(s.Digests(), ", "))
	}
	m, err := p.render(ctx, v.Subject, v)
	if err != nil {
		return Mail{}, fmt.Errorf("render digest: %w", err)
	}
	return m, nil
}

// Confirm renders the mail that asks whether a sign-up is meant.
func (s *Set) Confirm(v ConfirmView) (Mail, error) {
	m, err := s.confirm.render(context.Background(), s.Say(v.Lang, "confirm.subject", "list", v.List.Title), v)
	if err != nil {
		return Mail{}, fmt.Errorf("render confirmation: %w", err)
	}
	return m, nil
}
