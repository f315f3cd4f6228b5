package templates

import (
	"fmt"
	htmltemplate "html/template"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/width"
)

// The functions that count steps; see program.
const (
	stepName  = "step"
	enterName = "enter"
	leaveName = "leave"
)

// Bounds of what functions make: doubling a string in a loop must not eat the
// memory, nor may one call.
const (
	maxPrinted = 64 << 10 // of printf
	maxFormat  = 4 << 10
	maxJoint   = 1 << 10 // a separator, an indent
)

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
//	moment LANG TIME                datetime, or date where a source knows only the day
//	iso TIME                        2025-11-20T13:28:00+03:00
//	dir LANG                        ltr or rtl
//	upper LANG TEXT                 by the language's rules
//	join SEPARATOR LIST             strings to one
//	printf FORMAT VALUE…            at most 64 KB; widths below 1000, no * and no [N]
//	wrap WIDTH INDENT TEXT          plain text in lines; a long word keeps its line
//	rule CHAR N                     a line of N characters
//	ghostOpen WIDTH, ghostClose     a table of fixed width that only Outlook sees
//
// Times are shown in the zone they carry.
func functions(w *words, i *instance) map[string]any {
	return map[string]any{
		stepName:     i.step,
		enterName:    i.enter,
		leaveName:    i.leave,
		"say":        w.say,
		"count":      w.count,
		"date":       w.dater("date"),
		"longdate":   w.dater("date.long"),
		"datetime":   w.dater("date.time"),
		"moment":     w.moment,
		"iso":        func(t time.Time) string { return t.Format(time.RFC3339) },
		"dir":        direction,
		"upper":      func(lang, s string) string { return cases.Upper(language.Make(lang)).String(s) },
		"join":       join,
		"printf":     printf,
		"wrap":       wrap,
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
	if err := checkFormat(format); err != nil {
		return "", err
	}
	s := fmt.Sprintf(format, values...)
	if len(s) > maxPrinted {
		return "", fmt.Errorf("printf: %w", ErrTooLarge)
	}
	return s, nil
}

// checkFormat refuses what makes much of little: padding, and values that are
// printed again and again. fmt makes the whole text before it can be measured.
func checkFormat(format string) error {
	if len(format) > maxFormat {
		return fmt.Errorf("printf: the format %w", ErrTooLarge)
	}
	verb, digits := false, 0
	for i := range len(format) {
		switch c := format[i]; {
		case !verb:
			verb, digits = c == '%', 0
		case c == '*' || c == '[' || c >= '0' && c <= '9' && digits == 3:
			return fmt.Errorf("printf: %q: its width or value %w", format, ErrTooLarge)
		case c >= '0' && c <= '9':
			digits++
		case c == '.' || c == '-' || c == '+' || c == '#' || c == ' ':
			digits = 0
		default:
			verb = false
		}
	}
	return nil
}

func join(sep string, list []string) (string, error) {
	if len(sep) > maxJoint {
		return "", fmt.Errorf("join: the separator %w", ErrTooLarge)
	}
	return strings.Join(list, sep), nil
}

func wrap(limit int, indent, text string) (string, error) {
	if len(indent) > maxJoint || len(indent)*len(text) > pageLimits().bytes {
		return "", fmt.Errorf("wrap: the indent %w", ErrTooLarge)
	}
	return Wrap(limit, indent, text), nil
}

// Wrap breaks text at spaces into lines of at most limit columns, each after
// indent. A word that is longer is broken, as languages without spaces need it,
// unless it is a URL: that gets a line of its own. Line breaks of text are taken
// for spaces.
func Wrap(limit int, indent, text string) string {
	var b strings.Builder
	left := 0 // columns of the line
	for _, word := range strings.Fields(text) {
		for _, piece := range pieces(word, limit-columns(indent)) {
			n := columns(piece)
			switch {
			case b.Len() == 0:
				b.WriteString(indent)
				left = limit - columns(indent)
			case n >= left:
				b.WriteString("\n" + indent)
				left = limit - columns(indent)
			default:
				b.WriteByte(' ')
				left--
			}
			b.WriteString(piece)
			left -= n
		}
	}
	return b.String()
}

// pieces cuts a word into pieces of at most limit columns.
func pieces(word string, limit int) []string {
	if columns(word) <= limit || strings.Contains(word, "://") || limit < 2 {
		return []string{word}
	}
	var out []string
	start, used := 0, 0
	for i, r := range word {
		n := columns(string(r))
		if used+n > limit {
			out = append(out, word[start:i])
			start, used = i, 0
		}
		used += n
	}
	return append(out, word[start:])
}

// columns is how wide s is in a font of fixed width: East Asian characters
// take two columns.
func columns(s string) int {
	n := 0
	for _, r := range s {
		n++
		if k := width.LookupRune(r).Kind(); k == width.EastAsianWide || k == width.EastAsianFullwidth {
			n++
		}
	}
	return n
}

func rule(char string, n int) string {
	return strings.Repeat(char[:min(len(char), maxJoint)], min(max(n, 0), 100))
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
