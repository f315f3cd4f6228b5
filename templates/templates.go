// Package templates holds what people see: the shipped templates of mails and
// pages, the views they are given, and the words and dates of each language.
//
// An operator may replace any file by one of the same name in a folder of
// their own, and add digest templates (mail/NAME.html with mail/NAME.txt) and
// languages (lang/TAG.json). Load reads both places, parses everything and
// renders samples, so that a mistake is found when the daemon starts, with
// file and line, and not when an edition is due.
//
// Templates are code of the operator, articles are data: content is only ever
// a value, never parsed. Templates reach nothing but their view: the functions
// are a closed list without environment, files or network, and each rendering
// is limited in steps, bytes and time (see program).
package templates

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

//go:embed mail/*.html mail/*.txt pages/*.html static lang/*.json
var shipped embed.FS

// DefaultDigest is the name of the shipped digest template.
const DefaultDigest = "default"

// Set is a complete, checked set of templates. It is immutable and safe for
// concurrent use.
type Set struct {
	words   *words
	pages   map[string]*program
	digests map[string]mailProgram
	confirm mailProgram
	static  fs.FS
}

// Load reads the shipped templates, each replaced by the file of the same name
// in override (nil: none), parses them all and renders samples of the mails.
// Every fault found is reported, each with its file and line.
func Load(override fs.FS) (*Set, error) {
	return load(shipped, override)
}

func load(base, override fs.FS) (*Set, error) {
	src, err := readSources(base, override)
	if err != nil {
		return nil, err
	}
	s := &Set{pages: map[string]*program{}, digests: map[string]mailProgram{}, static: overlay{top: override, base: base}}
	if s.words, err = parseWords(src); err != nil {
		return nil, err
	}
	var faults []error
	faults = append(faults, s.loadPages(src), s.loadMails(src))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return s, nil
}

// loadPages makes a program of each page: the layout, the shared pieces (files
// whose name starts with "_") and the page's own file.
func (s *Set) loadPages(src sources) error {
	layout, ok := src.files[layoutName]
	if !ok {
		return fmt.Errorf("%s: missing", layoutName)
	}
	shared := []part{{layoutName, layout}}
	for _, name := range src.names("pages/", ".html") {
		if strings.HasPrefix(path.Base(name), "_") {
			shared = append(shared, part{name, src.files[name]})
		}
	}
	var faults []error
	for _, name := range src.names("pages/", ".html") {
		if name == layoutName || strings.HasPrefix(path.Base(name), "_") {
			continue
		}
		p, err := newProgram(htmlPart, s.words, pageLimits(), append(slices.Clone(shared), part{name, src.files[name]}))
		if err != nil {
			faults = append(faults, err)
			continue
		}
		s.pages[strings.TrimSuffix(path.Base(name), ".html")] = p
	}
	return errors.Join(faults...)
}

const layoutName = "pages/layout.html"

// Page writes the page pages/NAME.html, executed with view within
// pages/layout.html, to w. Nothing is written unless all of it succeeded.
func (s *Set) Page(w io.Writer, name string, view any) error {
	p, ok := s.pages[name]
	if !ok {
		return fmt.Errorf("render page %q: no such template", name)
	}
	out, err := p.run(context.Background(), view)
	if err != nil {
		return fmt.Errorf("render page %q: %w", name, err)
	}
	if _, err := io.WriteString(w, out); err != nil {
		return fmt.Errorf("write page %q: %w", name, err)
	}
	return nil
}

// Pages lists the names that Page accepts, sorted.
func (s *Set) Pages() []string {
	return sortedKeys(s.pages)
}

// Digests lists the digest templates that a list may name, sorted.
func (s *Set) Digests() []string {
	return sortedKeys(s.digests)
}

// Static is the folder of style sheets, scripts and pictures of the pages.
func (s *Set) Static() fs.FS {
	sub, err := fs.Sub(s.static, "static")
	if err != nil { // only an invalid name fails, and this one is a constant
		panic(err)
	}
	return sub
}

// Say returns the text of key in lang (BCP 47), or in the nearest language
// that has it, with each {name} replaced. pairs are name, value, name, value.
// A key that no language has comes back as it is, so that a missing word is
// seen and nothing breaks.
func (s *Set) Say(lang, key string, pairs ...any) string {
	return s.words.say(lang, key, pairs...)
}

// Count is Say for a text that depends on the number n, which stands in it as {n}.
func (s *Set) Count(lang, key string, n int, pairs ...any) string {
	return s.words.count(lang, key, n, pairs...)
}

// Knows tells whether key has a text in lang or a language it falls back to.
func (s *Set) Knows(lang, key string) bool {
	_, _, ok := s.words.find(lang, key)
	return ok
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
