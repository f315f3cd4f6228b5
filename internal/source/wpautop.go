package source

import (
	"html"
	"strings"
)

// wpautop makes HTML of a post as WordPress stores it: what its classic editor
// wrote has paragraphs as blank lines, and short codes where WordPress puts
// pictures and players. What the block editor wrote has its paragraphs.
func wpautop(text string) string {
	text = withoutShortcodes(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text))
	if strings.Contains(text, "<!-- wp:") || strings.Contains(text, "<p>") || strings.Contains(text, "<p ") {
		return text
	}
	var b, pre strings.Builder
	flush := func(block string) {
		switch block = strings.TrimSpace(block); {
		case block == "":
		case isBlock(block):
			b.WriteString(block + "\n")
		default:
			b.WriteString("<p>" + strings.ReplaceAll(block, "\n", "<br>\n") + "</p>\n")
		}
	}
	open := 0
	for part := range strings.SplitSeq(text, "\n\n") {
		// A blank line within <pre> is part of it.
		pre.WriteString(part)
		if open = max(open+strings.Count(part, "<pre")-strings.Count(part, "</pre>"), 0); open == 0 {
			flush(pre.String())
			pre.Reset()
			continue
		}
		pre.WriteString("\n\n")
	}
	flush(pre.String())
	return b.String()
}

// isBlock tells whether a piece of text begins with an element that stands for itself.
func isBlock(s string) bool {
	name, ok := strings.CutPrefix(s, "<")
	if !ok {
		return false
	}
	end := strings.IndexFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
	if end < 0 {
		return false
	}
	switch strings.ToLower(name[:end]) {
	case "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "li", "pre", "blockquote", "table", "figure", "hr", "section", "aside", "iframe", "script", "style",
		"form", "details", "address", "video", "audio", "object", "embed", "":
		return true
	}
	return false
}

// maxShortcode bounds how far the end of a short code is looked for.
const maxShortcode = 2000

// withoutShortcodes takes WordPress's own short codes out
// (https://wordpress.com/support/shortcodes/): of a caption and an embed the
// content stays, of a gallery or a player nothing. Others stay text, as they do
// on a site whose plugin is gone.
func withoutShortcodes(text string) string {
	var b strings.Builder
	for {
		at := strings.IndexByte(text, '[')
		if at < 0 {
			b.WriteString(text)
			return b.String()
		}
		end := strings.IndexByte(text[at:min(at+maxShortcode, len(text))], ']')
		if end < 0 {
			b.WriteString(text[:at+1])
			text = text[at+1:]
			continue
		}
		b.WriteString(text[:at])
		code, rest := text[at+1:at+end], text[at+end+1:]
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(code, "/"), "/"), " ")
		switch name {
		case "caption", "wp_caption", "gallery", "playlist", "audio", "video":
		case "embed":
			if target, _, ok := strings.Cut(rest[:min(maxShortcode, len(rest))], "[/embed]"); ok && code[0] != '/' && webURL(strings.TrimSpace(target)) {
				rest = rest[len(target)+len("[/embed]"):]
				target = html.EscapeString(strings.TrimSpace(target))
				b.WriteString(`<a href="` + target + `">` + target + `</a>`)
			}
		default:
			b.WriteString(text[at : at+end+1])
		}
		text = rest
	}
}
