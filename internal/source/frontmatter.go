package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/pelletier/go-toml/v2"
)

// Limits of front matter.
const (
	maxFrontMatter = 64 << 10
	// maxAliases keeps YAML aliases of aliases from growing beyond all bounds:
	// with 16 of them a document can be unfolded 256 times at most.
	maxAliases = 16
)

// lineError is a fault in a file, at a line counted from 1.
type lineError struct {
	Line int
	Text string
}

func (e *lineError) Error() string { return fmt.Sprintf("%d: %s", e.Line, e.Text) }

// frontMatter is what stands before an article's text: keys in lower case,
// with those of the tables that static site generators nest (params, extra,
// taxonomies) lifted up where they hide nothing.
type frontMatter struct {
	keys  map[string]any
	lines map[string]int // key → line in the file, where it could be found
	body  string
	found bool
}

// parseFrontMatter cuts a file into its front matter and its text. Known are
// YAML between "---" lines, TOML between "+++" lines, and a JSON object at the
// very start. A byte order mark is ignored. The error is a *lineError.
func parseFrontMatter(file []byte) (*frontMatter, error) {
	file = bytes.TrimPrefix(file, []byte("\xEF\xBB\xBF"))
	text := strings.ReplaceAll(validText(string(file)), "\r", "\n")
	first, rest, more := strings.Cut(text, "\n")
	switch strings.TrimRight(first, " \t") {
	case "---":
		return fenced(rest, more, "---", parseYAML)
	case "+++":
		return fenced(rest, more, "+++", parseTOML)
	case ";;;":
		return fenced(rest, more, ";;;", parseJSON)
	}
	if strings.HasPrefix(text, "{") && !strings.HasPrefix(text, "{{") && !strings.HasPrefix(text, "{%") {
		return jsonHead(text)
	}
	return &frontMatter{body: text}, nil
}

type headParser func(src string) (map[string]any, error)

// fenced takes what stands before the closing line; firstLine is line 2.
func fenced(rest string, more bool, fence string, parse headParser) (*frontMatter, error) {
	if !more {
		return nil, &lineError{Line: 1, Text: "the front matter does not end"}
	}
	var head strings.Builder
	for len(rest) > 0 {
		line, after, _ := strings.Cut(rest, "\n")
		rest = after
		trimmed := strings.TrimRight(line, " \t")
		if trimmed == fence || fence == "---" && trimmed == "..." {
			return headed(head.String(), rest, 1, parse)
		}
		if head.Len()+len(line) > maxFrontMatter {
			break
		}
		head.WriteString(line)
		head.WriteByte('\n')
	}
	return nil, &lineError{Line: 1, Text: "the front matter does not end (no closing " + fence + " within 64 KB)"}
}

func jsonHead(text string) (*frontMatter, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return nil, &lineError{Line: jsonLine(text, err), Text: "JSON front matter: " + oneLine(err.Error(), 200)}
	}
	if len(raw) > maxFrontMatter {
		return nil, &lineError{Line: 1, Text: "the front matter is longer than 64 KB"}
	}
	return headed(string(raw), strings.TrimPrefix(text[dec.InputOffset():], "\n"), 0, parseJSON)
}

// headed parses a head that begins after `before` lines of the file.
func headed(head, body string, before int, parse headParser) (fm *frontMatter, err error) {
	defer func() {
		// A parser that panics on one file must not take the other files along.
		if r := recover(); r != nil {
			fm, err = nil, &lineError{Line: 1, Text: "the front matter cannot be read"}
		}
	}()
	values, err := parse(head)
	if err != nil {
		var le *lineError
		if errors.As(err, &le) {
			return nil, &lineError{Line: le.Line + before, Text: le.Text}
		}
		return nil, &lineError{Line: 1, Text: oneLine(err.Error(), 200)}
	}
	fm = &frontMatter{keys: make(map[string]any, len(values)), lines: keyLines(head, before), body: body, found: true}
	for k, v := range values {
		fm.keys[strings.ToLower(strings.TrimSpace(k))] = v
	}
	for _, table := range []string{"params", "extra", "taxonomies"} {
		for k, v := range asMap(fm.keys[table]) {
			if k = strings.ToLower(k); fm.keys[k] == nil {
				fm.keys[k] = v
			}
		}
	}
	return fm, nil
}

// keyLines finds where each key stands, so that a fault in its value can be
// shown. A key that is not written plainly is shown at line 1.
func keyLines(head string, before int) map[string]int {
	lines := make(map[string]int)
	n := before
	for line := range strings.SplitSeq(head, "\n") {
		n++
		key, _, ok := strings.Cut(line, ":")
		if k, _, eq := strings.Cut(line, "="); eq && (!ok || len(k) < len(key)) {
			key, ok = k, true
		}
		key = strings.ToLower(strings.Trim(strings.TrimSpace(key), `"'`))
		if _, seen := lines[key]; ok && !seen {
			lines[key] = n
		}
	}
	return lines
}

func parseYAML(src string) (map[string]any, error) {
	file, err := parser.ParseBytes([]byte(src), 0)
	if err != nil {
		return nil, yamlFault(err)
	}
	var aliases aliasCounter
	for _, doc := range file.Docs {
		if doc.Body != nil {
			ast.Walk(&aliases, doc.Body)
		}
	}
	if aliases > maxAliases {
		return nil, &lineError{Line: 1, Text: "too many YAML aliases"}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return map[string]any{}, nil
	}
	values := map[string]any{}
	if err := yaml.NodeToValue(file.Docs[0].Body, &values); err != nil {
		return nil, yamlFault(err)
	}
	return values, nil
}

type aliasCounter int

// Visit counts aliases.
func (c *aliasCounter) Visit(n ast.Node) ast.Visitor {
	if n.Type() == ast.AliasType {
		*c++
	}
	return c
}

func yamlFault(err error) error {
	var ye yaml.Error
	if errors.As(err, &ye) {
		line := 1
		if tk := ye.GetToken(); tk != nil && tk.Position != nil {
			line = tk.Position.Line
		}
		text, _, _ := strings.Cut(ye.GetMessage(), " at [") // a position within the front matter, not the file
		return &lineError{Line: line, Text: "YAML: " + oneLine(text, 200)}
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return &lineError{Line: 1, Text: "YAML: " + oneLine(text, 200)}
}

func parseTOML(src string) (map[string]any, error) {
	values := map[string]any{}
	if err := toml.Unmarshal([]byte(src), &values); err != nil {
		var de *toml.DecodeError
		if errors.As(err, &de) {
			line, _ := de.Position()
			return nil, &lineError{Line: line, Text: "TOML: " + oneLine(strings.TrimPrefix(de.Error(), "toml: "), 200)}
		}
		return nil, &lineError{Line: 1, Text: "TOML: " + oneLine(err.Error(), 200)}
	}
	return values, nil
}

func parseJSON(src string) (map[string]any, error) {
	values := map[string]any{}
	dec := json.NewDecoder(strings.NewReader(src))
	dec.UseNumber()
	if err := dec.Decode(&values); err != nil {
		return nil, &lineError{Line: jsonLine(src, err), Text: "JSON front matter: " + oneLine(err.Error(), 200)}
	}
	return values, nil
}

func jsonLine(src string, err error) int {
	var se *json.SyntaxError
	if errors.As(err, &se) && se.Offset <= int64(len(src)) {
		return 1 + strings.Count(src[:se.Offset], "\n")
	}
	return 1
}

// asMap reads a table whatever the format's decoder made of it.
func asMap(v any) map[string]any {
	switch m := v.(type) {
	case map[string]any:
		return m
	case map[any]any:
		out := make(map[string]any, len(m))
		for k, v := range m {
			out[fmt.Sprint(k)] = v
		}
		return out
	}
	return nil
}

// asText reads a scalar as it was meant to be read; "" for anything else.
func asText(v any) string {
	switch x := v.(type) {
	case nil, map[string]any, map[any]any, []any:
		return ""
	case string:
		return strings.TrimSpace(x)
	case time.Time:
		return x.Format(time.RFC3339Nano)
	case float64:
		return strings.TrimSuffix(fmt.Sprintf("%.3f", x), ".000")
	}
	return strings.TrimSpace(fmt.Sprint(v))
}

// asTexts reads a list, or one text with commas.
func asTexts(v any) []string {
	var out []string
	switch x := v.(type) {
	case []any:
		for _, item := range x {
			if s := asText(item); s != "" {
				out = append(out, s)
			} else if m := asMap(item); m != nil {
				out = append(out, asText(first(m, "name", "title", "display_name", "slug")))
			}
		}
	default:
		for s := range strings.SplitSeq(asText(v), ",") {
			if s = strings.TrimSpace(s); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// first is the value of the first of keys that m has.
func first(m map[string]any, keys ...string) any {
	for _, k := range keys {
		if v, ok := m[k]; ok && v != nil {
			return v
		}
	}
	return nil
}

// asBool reads yes and no in the ways of YAML 1.1, which people still write.
func asBool(v any) bool {
	switch strings.ToLower(asText(v)) {
	case "true", "yes", "on", "1", "y":
		return true
	}
	return false
}

func (fm *frontMatter) line(key string) int {
	if n, ok := fm.lines[key]; ok {
		return n
	}
	return 1
}

// text is the first of keys that is written, with the key it was.
func (fm *frontMatter) text(keys ...string) (value, key string) {
	for _, k := range keys {
		if s := asText(fm.keys[k]); s != "" {
			return s, k
		}
	}
	return "", ""
}
