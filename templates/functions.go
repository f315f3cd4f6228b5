package templates

import (
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
)

// stepName is the function that counts steps; see program.
const stepName = "step"

// maxPrinted bounds what printf may make: doubling a string in a loop must not
// eat the memory.
const maxPrinted = 64 << 10

// builtins are the functions of text/template that templates may use. Left out
// are call (values of views are data), print and println (printf is bounded
// here), and html, js and urlquery (html/template escapes by context).
func builtins() []string {
	return []string{"and", "or", "not", "len", "index", "slice", "eq", "ne", "lt", "le", "gt", "ge"}
}

// functions is the closed list of what templates may call besides builtins.
//
//	say LANG KEY [NAME VALUE]…      a text of the catalogue
//	count LANG KEY N [NAME VALUE]…  a text that depends on a number
//	date LANG TIME                  20 November 2025
//	longdate LANG TIME              Thursday, 20 November 2025
//	datetime LANG TIME              20 November 2025, 13:28
//	iso TIME                        2025-11-20T13:28:00+03:00
//	dir LANG                        ltr or rtl
//	upper LANG TEXT                 by the language's rules
//	join SEPARATOR LIST             strings to one
//	printf FORMAT VALUE…            at most 64 KB
//	wrap WIDTH INDENT TEXT          plain text in lines; a long word keeps its line
//	rule CHAR N                     a line of N characters
//	ghostOpen WIDTH, ghostClose     a table of fixed width that only Outlook sees
//
// Times are shown in the zone they carry.
func functions(w *words, i *instance) map[string]any {
	return map[string]any{
		stepName:     i.step,
		"say":        w.say,
		"count":      w.count,
		"date":       w.dater("date"),
		"longdate":   w.dater("date.long"),
		"datetime":   w.dater("date.time"),
		"iso":        func(t time.Time) string { return t.Format(time.RFC3339) },
		"dir":        direction,
		"upper":      func(lang, s string) string { return cases.Upper(language.Make(lang)).String(s) },
		"join":       func(sep string, list []string) string { return strings.Join(list, sep) },
		"printf":     printf,
		"wrap":       Wrap,
		"rule":       rule,
		"ghostOpen":  ghostOpen,
		"ghostClose": ghostClose,
	}
}

func allowed(name string) bool {
	if slices.Contains(builtins(), name) {
		return true
	}
	_, ok := functions(nil, &instance{})[name]
	return ok
}

func printf(format string, values ...any) (string, error) {
	s := fmt.Sprintf(format, values...)
	if len(s) > maxPrinted {
		return "", fmt.Errorf("printf: %w", ErrTooLarge)
	}
	return s, nil
}

// Wrap breaks text at spaces into lines of at most width characters, each
// after indent. A word that is longer, such as a URL, gets a line of its own.
// Line breaks of text are taken for spaces.
func Wrap(width int, indent, text string) string {
	var b strings.Builder
	used := 0
	for _, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case b.Len() == 0:
			b.WriteString(indent)
			used = utf8.RuneCountInString(indent)
		case used+1+n > width:
			b.WriteString("\n" + indent)
			used = utf8.RuneCountInString(indent)
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

func rule(char string, n int) string {
	return strings.Repeat(char, min(max(n, 0), 100))
}

// ghostOpen begins a table that Outlook for Windows needs, because it knows no
// max-width. html/template drops comments, so it comes as a typed value.
func ghostOpen(width int) htmltemplate.HTML {
	return htmltemplate.HTML(fmt.Sprintf(`<!--[if mso]><table role="presentation" align="center" width="%d" cellpadding="0" cellspacing="0" border="0"><tr><td><![endif]-->`, width))
}

// ghostClose ends what ghostOpen began.
func ghostClose() htmltemplate.HTML {
	return `<!--[if mso]></td></tr></table><![endif]-->`
}
