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

// markdown renders CommonMark with tables, footnotes, strike-through,
// definition lists and heading ids. Raw HTML goes through: what comes out is
// sanitised like all HTML. It is safe for concurrent use.
type markdown struct {
	md     goldmark.Markdown
	link   *regexp.Regexp
	tags   *regexp.Regexp
	site   *regexp.Regexp
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
		// {% include x %}, {{< figure … >}}, {{% note %}}: a site generator would
		// put something here that we do not have.
		tags: regexp.MustCompile(`\{%-?[^%{}]*-?%\}|\{\{[<%][^{}]*[%>]\}\}`),
		site: regexp.MustCompile(`\{\{-?\s*(?:site|page)\.(?:base)?url\s*-?\}\}`),
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
	var b bytes.Buffer
	if err := m.md.Convert([]byte(m.withoutTemplates(text)), &b); err != nil {
		return "", fmt.Errorf("render Markdown: %w", err)
	}
	return b.String(), nil
}

// withoutTemplates takes the template language out of the text, except inside
// of code blocks and code spans, where it is what the article is about.
func (m *markdown) withoutTemplates(text string) string {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") && !strings.Contains(text, "{:") {
		return text
	}
	var b strings.Builder
	fence := ""
	for line := range strings.SplitAfterSeq(text, "\n") {
		trimmed := strings.TrimLeft(line, " \t")
		switch {
		case fence != "":
			if strings.HasPrefix(trimmed, fence) {
				fence = ""
			}
		case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
			fence = trimmed[:3]
		case strings.HasPrefix(line, "    ") || strings.HasPrefix(line, "\t"):
		default:
			line = m.withoutTags(line)
		}
		b.WriteString(line)
	}
	return b.String()
}

func (m *markdown) withoutTags(line string) string {
	parts := strings.Split(line, "`")
	for i := 0; i < len(parts); i += 2 { // the odd ones are code, if the ticks are in pairs
		s := m.link.ReplaceAllString(parts[i], "$1")
		s = m.site.ReplaceAllString(s, "")
		s = m.tags.ReplaceAllString(s, "")
		parts[i] = m.inline.ReplaceAllString(s, "")
	}
	return strings.Join(parts, "`")
}
