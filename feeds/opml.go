package feeds

import (
	"bytes"
	"encoding/xml"
	"fmt"
)

// Outline is a feed in an OPML document, a folder of feeds, or both. Title is
// plain text; one that is empty is replaced by a URL.
type Outline struct {
	Title   string
	XMLURL  string // the feed; empty: only a folder
	HTMLURL string // the page that the feed is about; may be empty
	// Children are the feeds below this one, such as those of child categories.
	Children []Outline
}

// OPML writes an OPML 2.0 subscription list (opml.org/spec2.opml). What is
// neither a feed nor holds one is left out.
func OPML(heading string, outlines []Outline) ([]byte, error) {
	doc := opmlDocument{Version: "2.0", Title: title(heading), Docs: "http://opml.org/spec2.opml", Body: opmlBody{Outlines: opmlOutlines(outlines)}}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	e := xml.NewEncoder(&b)
	e.Indent("", "  ")
	if err := e.Encode(doc); err != nil {
		return nil, fmt.Errorf("write opml document: %w", err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

type opmlDocument struct {
	XMLName xml.Name `xml:"opml"`
	Version string   `xml:"version,attr"`
	Title   string   `xml:"head>title"`
	Docs    string   `xml:"head>docs"`
	Body    opmlBody `xml:"body"`
}

// opmlBody is a type of its own so that body is written even when empty.
type opmlBody struct {
	Outlines []opmlOutline `xml:"outline"`
}

type opmlOutline struct {
	Text     string        `xml:"text,attr"` // required
	Title    string        `xml:"title,attr"`
	Type     string        `xml:"type,attr,omitempty"` // "rss" whatever the feed's format
	XMLURL   string        `xml:"xmlUrl,attr,omitempty"`
	HTMLURL  string        `xml:"htmlUrl,attr,omitempty"`
	Children []opmlOutline `xml:"outline"`
}

func opmlOutlines(in []Outline) []opmlOutline {
	var out []opmlOutline
	for _, o := range in {
		x := opmlOutline{XMLURL: webURL(o.XMLURL), HTMLURL: webURL(o.HTMLURL), Children: opmlOutlines(o.Children)}
		if x.XMLURL == "" && len(x.Children) == 0 {
			continue
		}
		if x.XMLURL != "" {
			x.Type = "rss"
		}
		x.Text = firstOf(title(o.Title), x.XMLURL, x.HTMLURL, "Feeds")
		x.Title = x.Text
		out = append(out, x)
	}
	return out
}
