package source

import (
	"fmt"
	"strings"
)

// What a feed may hold. The parser keeps all of it in memory, several hundred
// bytes for an empty element, so bytes alone do not bound it.
const (
	maxFeedItems    = 5_000
	maxFeedElements = 250_000
	// maxFeedDepth also bounds the parser's recursion.
	maxFeedDepth = 120
	// maxFeedAttrs is of one element. Namespaces count: each open element
	// carries those of all around it.
	maxFeedAttrs = 60
	// maxJSONMarks bounds the objects, arrays and members of a JSON feed.
	maxJSONMarks = 500_000
)

// FeedLimitError is a feed that is larger than any reader could want.
type FeedLimitError struct {
	What  string
	Limit int
}

// Error names the limit.
func (e *FeedLimitError) Error() string {
	return fmt.Sprintf("the feed has more than %d %s", e.Limit, e.What)
}

// Temporary is always false.
func (e *FeedLimitError) Temporary() bool { return false }

// checkXML counts what is in an XML document without building any of it. It
// reads tags as the lenient parser behind it does; where the two differ the
// parser fails by itself.
func checkXML(s string) error { return checkElements(s, maxFeedElements) }

func checkElements(s string, limit int) error {
	c := xmlCounter{rest: s, limit: limit}
	for {
		i := strings.IndexByte(c.rest, '<')
		if i < 0 || i+1 >= len(c.rest) {
			return nil
		}
		c.rest = c.rest[i+1:]
		if err := c.markup(); err != nil {
			return err
		}
	}
}

type xmlCounter struct {
	rest                   string
	elements, items, depth int
	limit                  int // of elements
}

// markup passes over what stands behind a "<".
func (c *xmlCounter) markup() error {
	switch b := c.rest[0]; {
	case strings.HasPrefix(c.rest, "!--"):
		c.skipPast("-->")
	case strings.HasPrefix(c.rest, "![CDATA["):
		c.skipPast("]]>")
	case b == '?':
		c.skipPast("?>")
	case b == '!':
		c.skipPast(">")
	case b == '/':
		c.depth = max(c.depth-1, 0)
		c.skipPast(">")
	case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b == '_', b == ':', b >= 0x80:
		return c.element()
	}
	return nil
}

func (c *xmlCounter) skipPast(end string) {
	if i := strings.Index(c.rest, end); i >= 0 {
		c.rest = c.rest[i+len(end):]
		return
	}
	c.rest = ""
}

func (c *xmlCounter) element() error {
	if c.elements++; c.elements > c.limit {
		return &FeedLimitError{What: "elements", Limit: c.limit}
	}
	end := strings.IndexAny(c.rest, " \t\r\n/>")
	if end < 0 {
		c.rest = ""
		return nil
	}
	name := c.rest[:end]
	name = name[strings.IndexByte(name, ':')+1:]
	if c.depth <= 3 && (strings.EqualFold(name, "item") || strings.EqualFold(name, "entry")) {
		if c.items++; c.items > maxFeedItems {
			return &FeedLimitError{What: "items", Limit: maxFeedItems}
		}
	}
	attrs, quote, last := 0, byte(0), byte(0)
	for i := end; i < len(c.rest); i++ {
		b := c.rest[i]
		switch {
		case quote != 0:
			if b == quote {
				quote = 0
			}
		case b == '"' || b == '\'':
			quote = b
		case b == '=':
			if attrs++; attrs > maxFeedAttrs {
				return &FeedLimitError{What: "attributes on one element", Limit: maxFeedAttrs}
			}
		case b == '>':
			c.rest = c.rest[i+1:]
			if last == '/' {
				return nil
			}
			if c.depth++; c.depth > maxFeedDepth {
				return &FeedLimitError{What: "levels", Limit: maxFeedDepth}
			}
			return nil
		}
		last = b
	}
	c.rest = ""
	return nil
}

// checkJSON counts what is in a JSON document.
func checkJSON(s string) error {
	marks, depth := 0, 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			for i++; i < len(s) && s[i] != '"'; i++ {
				if s[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			marks++
			if depth++; depth > maxFeedDepth {
				return &FeedLimitError{What: "levels", Limit: maxFeedDepth}
			}
		case '}', ']':
			depth--
		case ',':
			marks++
		}
		if marks > maxJSONMarks {
			return &FeedLimitError{What: "members", Limit: maxJSONMarks}
		}
	}
	return nil
}
