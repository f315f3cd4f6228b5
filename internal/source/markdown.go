package source

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
)

// Limits of Markdown. The parser's time grows with the square of a paragraph's
// length and of the depth of quotations and lists in some texts that nobody
// writes; within these limits the worst of them takes seconds, not hours.
const (
	maxMarkdown  = 1 << 20
	maxParagraph = 64 << 10
	maxNesting   = 100
)

// markdown renders CommonMark with tables, footnotes, strike-through,
// definition lists and heading ids. Raw HTML goes through: what comes out is
// sanitised like all HTML. It is safe for concurrent use.
type markdown struct {
	md     goldmark.Markdown
	link   *regexp.Regexp
	embed  *regexp.Regexp
	value  *regexp.Regexp
	unset  *regexp.Regexp
	tags   *regexp.Regexp
	inline *regexp.Regexp
}

func newMarkdown() *markdown {
	return &markdown{
		md: goldmark.New(
			goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.Footnote, extension.DefinitionList),
			goldmark.WithParserOptions(parser.WithAutoHeadingID(), parser.WithHeadingAttribute()),
			goldmark.WithRendererOptions(html.WithUnsafe()),
		),
		// {{ "/about/" | relative_url }}: the address is what is meant.
		link: regexp.MustCompile(`\{\{-?\s*["']([^"'{}]*)["']\s*\|\s*(?:url|relative_url|absolute_url|relURL|absURL)\s*-?\}\}`),
		// {{ "https://video.example/1" | embed: "Title" }}, and any other filter of
		// a text: the text is all that we have of it.
		embed: regexp.MustCompile(`\{\{-?\s*["'](https?://[^"'{}<>\s]*)["']\s*\|[^{}]*\}\}`),
		value: regexp.MustCompile(`\{\{-?\s*["']([^"'{}]*)["']\s*\|[^{}]*\}\}`),
		// {{ page.title }}, {{ image | url }}: of values that we do not have.
		unset: regexp.MustCompile(`\{\{-?\s*(?:[a-z_.]+\s*\|[^{}]*|(?:page|site|post|layout)\.[^{}]*)\}\}`),
		// {% include x %}, {{< figure … >}}, {{% note %}}: a site generator would
		// put something here that we do not have.
		tags: regexp.MustCompile(`\{%-?\s*[a-z](?:[^%{}]|%[^}])*%\}|\{\{[<%][^{}]*[%>]\}\}`),
		// An attribute list for the element before it: {: .class #id}
		inline: regexp.MustCompile(`\{:[^{}\n]*\}`),
	}
}

// render makes HTML of Markdown as it is found in the folders of static site
// generators.
func (m *markdown) render(text string) (out string, err error) {
	defer func() {
		// One text that the parser cannot stand must not stop the source.
		if r := recover(); r != nil {
			out, err = "", fmt.Errorf("render Markdown: %v", r)
		}
	}()
	if err := checkMarkdown(text); err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := m.md.Convert([]byte(m.withoutTemplates(text)), &b); err != nil {
		return "", fmt.Errorf("render Markdown: %w", err)
	}
	return b.String(), nil
}

// checkMarkdown refuses what the parser would take too long for.
func checkMarkdown(text string) error {
	if len(text) > maxMarkdown {
		return fmt.Errorf("more than %d KB of Markdown", maxMarkdown>>10)
	}
	paragraph := 0
	for line := range strings.SplitAfterSeq(text, "\n") {
		rest, depth := line, 0
		item := false
		for rest != "" && strings.ContainsRune(" \t>-*+.)0123456789", rune(rest[0])) {
			marker := len(rest) > 1 && rest[1] == ' ' && strings.ContainsRune("-*+.)", rune(rest[0]))
			if marker || rest[0] == '>' {
				depth++
			}
			item = item || marker
			rest = rest[1:]
		}
		if depth > maxNesting {
			return fmt.Errorf("quotations or lists more than %d deep", maxNesting)
		}
		if item || strings.TrimSpace(line) == "" || line[0] == '#' {
			paragraph = 0
		}
		if paragraph += len(line); paragraph > maxParagraph {
			return fmt.Errorf("a paragraph of more than %d KB", maxParagraph>>10)
		}
	}
	return nil
}

// withoutTemplates takes the template language out of the text, except inside
// of code blocks and code spans, where it is what the article is about. It
// works on one paragraph at a time: a tag may go over several lines, and a
// stray back-tick must not turn the rest of the text into code.
func (m *markdown) withoutTemplates(text string) string {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") && !strings.Contains(text, "{:") {
		return text
	}
	var b, paragraph strings.Builder
	flush := func() {
		b.WriteString(m.withoutTags(paragraph.String()))
		paragraph.Reset()
	}
	fence := ""
	for line := range strings.SplitAfterSeq(text, "\n") {
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case fence != "":
			b.WriteString(line)
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
			flush()
			fence = trimmed[:3]
			b.WriteString(line)
		case paragraph.Len() == 0 && (strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t")):
			b.WriteString(line)
		default:
			paragraph.WriteString(line)
			if strings.TrimSpace(line) == "" {
				flush()
			}
		}
	}
	flush()
	return b.String()
}

func (m *markdown) withoutTags(paragraph string) string {
	parts := strings.Split(paragraph, "`")
	for i := 0; i < len(parts); i += 2 { // the odd ones are code, if the ticks are in pairs
		s := m.link.ReplaceAllString(parts[i], "$1")
		s = m.embed.ReplaceAllString(s, "<$1>")
		s = m.value.ReplaceAllString(s, "$1")
		s = m.unset.ReplaceAllString(s, "")
		s = m.tags.ReplaceAllString(s, "")
		parts[i] = m.inline.ReplaceAllString(s, "")
	}
	return strings.Join(parts, "`")
}
