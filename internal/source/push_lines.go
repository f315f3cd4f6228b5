package source

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"unicode/utf8"

	"gazetted/internal/news"
)

// pushItem is one article of a call, not yet read.
type pushItem struct {
	line int
	raw  []byte // valid until the next item
	err  error  // a *news.FieldError: this line is none
}

// pushItems takes a body apart. batch says that it could have held several.
// The errors that the items are yielded with end the call.
func pushItems(body io.Reader, lines bool) (items iter.Seq2[pushItem, error], batch bool, err error) {
	if lines {
		return lineItems(body), true, nil
	}
	data, err := io.ReadAll(io.LimitReader(body, MaxPushBytes+1))
	if err != nil {
		return nil, false, fmt.Errorf("read body: %w", err)
	}
	if len(data) > MaxPushBytes {
		return nil, false, &news.FieldError{Field: "body", Value: strconv.Itoa(len(data)) + " bytes", Want: "at most 32 MiB; send one article per line (NDJSON)"}
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF")))
	if !json.Valid(data) {
		return nil, false, &news.FieldError{Field: "body", Value: oneLine(clipBytes(string(data), 200), 60), Want: "JSON: an article or an array of them"}
	}
	if data[0] != '[' {
		return func(yield func(pushItem, error) bool) { yield(pushItem{line: 1, raw: data}, nil) }, false, nil
	}
	return arrayItems(data), true, nil
}

// arrayItems yields the elements of a valid JSON array.
func arrayItems(data []byte) iter.Seq2[pushItem, error] {
	return func(yield func(pushItem, error) bool) {
		dec := json.NewDecoder(bytes.NewReader(data))
		_, err := dec.Token()
		for n := 1; err == nil && dec.More(); n++ {
			var raw json.RawMessage
			if err = dec.Decode(&raw); err == nil && !yield(pushItem{line: n, raw: raw}, nil) {
				return
			}
		}
		if err != nil {
			yield(pushItem{}, fmt.Errorf("read array: %w", err))
		}
	}
}

// lineItems yields the lines of a body that are not empty. A line that is too
// long is passed over, not read into memory.
func lineItems(body io.Reader) iter.Seq2[pushItem, error] {
	return func(yield func(pushItem, error) bool) {
		br := bufio.NewReaderSize(body, 64<<10)
		for n := 1; ; n++ {
			line, whole, err := readLine(br, maxPushLine)
			if err != nil && !errors.Is(err, io.EOF) {
				yield(pushItem{}, fmt.Errorf("read line %d: %w", n, err))
				return
			}
			if n == 1 {
				line = bytes.TrimPrefix(line, []byte("\uFEFF"))
			}
			line = bytes.TrimSpace(line)
			item := pushItem{line: n, raw: line}
			switch {
			case !whole:
				item.err = &news.FieldError{Field: "body", Value: "", Want: fmt.Sprintf("a line of at most %d MiB", maxPushLine>>20)}
			case len(line) > 0 && !json.Valid(line):
				item.err = &news.FieldError{Field: "body", Value: oneLine(clipBytes(string(line), 200), 60), Want: "an article as a JSON object on one line"}
			}
			if (len(line) > 0 || item.err != nil) && !yield(item, nil) || err != nil {
				return
			}
		}
	}
}

// readLine reads up to a line feed; whole is false if there was more than limit.
// At the end err is io.EOF, with the last line.
func readLine(br *bufio.Reader, limit int) (line []byte, whole bool, err error) {
	whole = true
	for {
		part, err := br.ReadSlice('\n')
		if whole && len(line)+len(part) > limit {
			line, whole = nil, false
		}
		if whole {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, whole, err // io.EOF must stay itself
		}
	}
}

// validID tells whether s can be an article's id in the publish API.
func validID(s string) bool {
	return s != "" && len(s) <= maxNativeID && utf8.ValidString(s) && oneLine(s, maxNativeID) == s
}
