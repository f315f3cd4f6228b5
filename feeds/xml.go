package feeds

import (
	"bytes"
	"fmt"

	gorilla "github.com/gorilla/feeds"

	"gazetted/internal/news"
)

// The namespaces in use.
const (
	nsAtom    = "http://www.w3.org/2005/Atom"
	nsContent = "http://purl.org/rss/1.0/modules/content/"
	nsDC      = "http://purl.org/dc/elements/1.1/"
	nsMedia   = "http://search.yahoo.com/mrss/"
)

// generator names the program without its version: an upgrade must not change
// the validators of every feed.
const generator = "gazetted"

// writeXML has the library write doc, which brings its own root element.
func writeXML(f news.FeedFormat, doc gorilla.XmlFeed) ([]byte, error) {
	var b bytes.Buffer
	if err := gorilla.WriteXML(doc, &b); err != nil {
		return nil, fmt.Errorf("write %s document: %w", f, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// xmlLink is the library's Atom link with the title it lacks. Its name is given
// by the field that holds it: atom:link in RSS.
type xmlLink struct {
	Rel    string `xml:"rel,attr,omitempty"`
	Type   string `xml:"type,attr,omitempty"`
	Href   string `xml:"href,attr"`
	Length string `xml:"length,attr,omitempty"`
	Title  string `xml:"title,attr,omitempty"`
}

// feedLinks are the links by which WebSub (§4) and readers know a feed: exactly
// one self, and every hub.
func (h head) feedLinks(mediaType string) []xmlLink {
	links := []xmlLink{{Rel: "self", Type: mediaType, Href: h.self}}
	for _, hub := range h.Hubs {
		links = append(links, xmlLink{Rel: "hub", Href: hub})
	}
	return links
}

// mediaContent is a picture by Media RSS (rssboard.org/media-rss), in RSS and
// Atom alike. It stands alone: a single one in a media:group is an error.
type mediaContent struct {
	URL         string     `xml:"url,attr"`
	FileSize    int64      `xml:"fileSize,attr,omitempty"`
	Type        string     `xml:"type,attr,omitempty"`
	Medium      string     `xml:"medium,attr"`
	Width       int        `xml:"width,attr,omitempty"`
	Height      int        `xml:"height,attr,omitempty"`
	Title       *mediaText `xml:"media:title"`
	Description *mediaText `xml:"media:description"`
	// Thumbnail stands inside the content, where it belongs to this picture
	// alone: beside it, readers would show the picture twice.
	Thumbnail mediaThumbnail `xml:"media:thumbnail"`
}

type mediaText struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type mediaThumbnail struct {
	URL    string `xml:"url,attr"`
	Width  int    `xml:"width,attr,omitempty"`
	Height int    `xml:"height,attr,omitempty"`
}

func (p *picture) media() *mediaContent {
	if p == nil {
		return nil
	}
	m := &mediaContent{
		URL: p.url, FileSize: max(p.bytes, 0), Type: p.mediaType, Medium: "image", Width: p.width, Height: p.height,
		Thumbnail: mediaThumbnail{URL: p.url, Width: p.width, Height: p.height},
	}
	if p.alt != "" {
		m.Title = &mediaText{Type: "plain", Text: p.alt}
		m.Description = &mediaText{Type: "plain", Text: p.alt}
	}
	return m
}
