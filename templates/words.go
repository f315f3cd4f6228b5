package templates

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"gazetted/internal/news"
)

// words is the catalogue: the fixed texts and the dates of each language, one
// file lang/TAG.json (TAG as in BCP 47) with an object of key and text. A text
// that depends on a number is an object of plural forms (zero, one, two, few,
// many, other) instead. {name} stands for a value.
//
// To add a language, copy lang/en.json and translate the texts. Keys may be
// left out: en-US.json holds only what differs from en.json, and English is
// behind every language.
type words struct {
	byTag map[string]map[string]phrase
}

// fallback is the language behind all others. Its file is complete.
const fallback = "en"

// phrase is one text: plain, or by plural form.
type phrase struct {
	plain string
	forms map[string]string
}

// maxPhrase bounds a text. It is said with values in it, as often as they stand there.
const maxPhrase = 4 << 10

func (p phrase) longest() int {
	n := len(p.plain)
	for _, form := range p.forms {
		n = max(n, len(form))
	}
	return n
}

// UnmarshalJSON reads a string or an object of plural forms.
func (p *phrase) UnmarshalJSON(b []byte) error {
	if err := json.Unmarshal(b, &p.plain); err == nil {
		return nil
	}
	if err := json.Unmarshal(b, &p.forms); err != nil || p.forms["other"] == "" {
		return errors.New(`want a text, or an object of plural forms with "other"`)
	}
	return nil
}

func parseWords(src sources) (*words, error) {
	w := &words{byTag: map[string]map[string]phrase{}}
	var faults []error
	for _, name := range src.names("lang/", ".json") {
		tag := strings.TrimSuffix(path.Base(name), ".json")
		if parsed, err := language.Parse(tag); err != nil || parsed.String() != tag {
			faults = append(faults, fmt.Errorf("%s: want the name of a language, such as lang/de.json or lang/pt-BR.json", name))
			continue
		}
		phrases := map[string]phrase{}
		if err := json.Unmarshal([]byte(src.files[name]), &phrases); err != nil {
			faults = append(faults, jsonFault(name, src.files[name], err))
			continue
		}
		for key, p := range phrases {
			if p.longest() > maxPhrase {
				faults = append(faults, fmt.Errorf("%s: the text of %q is longer than %d bytes", name, key, maxPhrase))
			}
		}
		w.byTag[tag] = phrases
	}
	faults = append(faults, w.misspelt(src))
	return w, errors.Join(faults...)
}

// misspelt finds keys that English does not have: nothing would ever ask for them.
func (w *words) misspelt(src sources) error {
	var faults []error
	for _, tag := range sortedKeys(w.byTag) {
		for _, key := range sortedKeys(w.byTag[tag]) {
			if _, ok := w.byTag[fallback][key]; !ok {
				name := "lang/" + tag + ".json"
				before, _, _ := strings.Cut(src.files[name], strconv.Quote(key))
				faults = append(faults, fmt.Errorf("%s:%d: no text has the key %q", name, 1+strings.Count(before, "\n"), key))
			}
		}
	}
	return errors.Join(faults...)
}

func jsonFault(name, text string, err error) error {
	offset := int64(0)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		offset = syntax.Offset
	case errors.As(err, &kind):
		offset = kind.Offset
	}
	line := 1 + strings.Count(text[:min(int(offset), len(text))], "\n")
	return fmt.Errorf("%s:%d: %w", name, line, err)
}

// chain lists the languages in which a text for lang is looked for.
func (w *words) chain(lang string) []string {
	tag, err := language.Parse(lang)
	if err != nil {
		return []string{fallback}
	}
	out := []string{tag.String()}
	for tag = tag.Parent(); tag != language.Und; tag = tag.Parent() {
		out = append(out, tag.String())
	}
	if base, _ := language.Make(lang).Base(); !slices.Contains(out, base.String()) {
		out = append(out, base.String())
	}
	return append(out, fallback)
}

// find returns the phrase and the language it is in.
func (w *words) find(lang, key string) (phrase, string, bool) {
	for _, tag := range w.chain(lang) {
		if p, ok := w.byTag[tag][key]; ok {
			return p, tag, true
		}
	}
	return phrase{}, "", false
}

func (w *words) say(lang, key string, pairs ...any) string {
	p, _, ok := w.find(lang, key)
	if !ok {
		return key
	}
	return fill(p.plain, pairs)
}

func (w *words) count(lang, key string, n int, pairs ...any) string {
	p, tag, ok := w.find(lang, key)
	if !ok {
		return key
	}
	text, ok := p.forms[pluralForm(tag, n)]
	if !ok {
		text = p.forms["other"]
	}
	if p.forms == nil {
		text = p.plain
	}
	return fill(text, append(slices.Clone(pairs), "n", n))
}

func pluralForm(tag string, n int) string {
	switch plural.Cardinal.MatchPlural(language.Make(tag), n, 0, 0, 0, 0) {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	default:
		return "other"
	}
}

// fill replaces {name} by value in one pass: a value that looks like {name} stays.
func fill(text string, pairs []any) string {
	if len(pairs) == 0 {
		return text
	}
	flat := make([]string, 0, len(pairs))
	for i := 0; i+1 < len(pairs); i += 2 {
		flat = append(flat, fmt.Sprintf("{%v}", pairs[i]), fmt.Sprint(pairs[i+1]))
	}
	return strings.NewReplacer(flat...).Replace(text)
}

// dater returns the template function for the date pattern key. A zero time is
// no text.
func (w *words) dater(key string) func(lang string, t time.Time) string {
	return func(lang string, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		half := "am"
		if t.Hour() >= 12 {
			half = "pm"
		}
		return w.say(lang, key,
			"weekday", w.say(lang, "weekday."+strconv.Itoa(int(t.Weekday()))),
			"day", t.Day(),
			"month", w.say(lang, "month."+strconv.Itoa(int(t.Month()))),
			"month2", fmt.Sprintf("%02d", int(t.Month())),
			"year", t.Year(),
			"hour", fmt.Sprintf("%02d", t.Hour()),
			"hour12", (t.Hour()+11)%12+1,
			"minute", fmt.Sprintf("%02d", t.Minute()),
			"half", w.say(lang, half))
	}
}

// moment is a date of an article.
func (w *words) moment(lang string, t time.Time) string {
	if news.DateOnly(t) {
		return w.dater("date")(lang, t.UTC())
	}
	return w.dater("date.time")(lang, t)
}

// direction is the writing direction of a language for the dir attribute.
func direction(lang string) string {
	tag := language.Make(lang)
	script, _ := tag.Script()
	switch script.String() {
	case "Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm", "Rohg":
		return "rtl"
	default:
		return "ltr"
	}
}
