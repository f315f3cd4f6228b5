package mail

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/emersion/go-message"
)

// Limits of what is read of an incoming message. A report with its returned
// mail is seldom above 100 KB; what comes after the limit is not needed.
const (
	maxIncoming     = 4 << 20
	maxHeaderBlock  = 64 << 10
	maxReportPart   = 64 << 10
	maxReportParts  = 30
	maxReportDepth  = 5
	maxReportBlocks = 100
	maxReportFields = 100 // in one block
	maxRecipients   = 50
)

// incoming is what a message says, before any of it is believed.
type incoming struct {
	identity   string   // the same for the same message
	recipients []string // that it was addressed to, as far as its header tells
	sender     string   // Return-Path without brackets; "" if null or unknown
	null       bool     // Return-Path is <>
	autoReply  bool     // RFC 3834
	dsn        *dsn
	arf        *arf
	returned   returned
}

// returned is the header of our mail, as a report sends it back.
type returned struct {
	messageID, to, returnPath string
}

// errMalformed says that the bytes are no message.
var errMalformed = errors.New("not a message")

// parseIncoming reads a message. What cannot be read is errMalformed; a message
// that breaks off, or is odd in its later parts, gives what came before.
func parseIncoming(ctx context.Context, r io.Reader) (*incoming, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxIncoming))
	if err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read message: %w", err)
	}
	// The envelope line that pipes and mailboxes put first.
	if bytes.HasPrefix(raw, []byte("From ")) {
		_, raw, _ = bytes.Cut(raw, []byte("\n"))
	}
	e, err := message.ReadWithOptions(bytes.NewReader(raw), &message.ReadOptions{MaxHeaderBytes: maxHeaderBlock})
	if e == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
		return nil, errMalformed
	}
	in := &incoming{sender: bareAddress(e.Header.Get("Return-Path")), autoReply: isAutoReply(&e.Header)}
	in.null = in.sender == "" && e.Header.Has("Return-Path")
	id := []byte(e.Header.Get("Message-Id"))
	if len(id) == 0 {
		id = raw
	}
	sum := sha256.Sum256(id)
	in.identity = hex.EncodeToString(sum[:16])
	for _, field := range []string{"Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc"} {
		for all := e.Header.FieldsByKey(field); all.Next(); {
			in.addressed(all.Value())
		}
	}
	w := &reportWalk{ctx: ctx, in: in}
	w.entity(e, 0)
	return in, ctx.Err()
}

// addressed keeps what could be an address of ours with a token.
func (in *incoming) addressed(value string) {
	for word := range strings.FieldsFuncSeq(cutBytes(value, maxHeaderBlock), func(r rune) bool { return strings.ContainsRune(" \t\r\n,;:<>\"()", r) }) {
		if len(in.recipients) < maxRecipients && strings.Contains(word, "+") && strings.Contains(word, "@") {
			in.recipients = append(in.recipients, word)
		}
	}
}

// isAutoReply tells answers of programs from letters of people: RFC 3834 §5,
// and what was in use before it.
func isAutoReply(h *message.Header) bool {
	if v, _, _ := strings.Cut(h.Get("Auto-Submitted"), ";"); strings.TrimSpace(v) != "" && !strings.EqualFold(strings.TrimSpace(v), "no") {
		return true
	}
	switch strings.ToLower(strings.TrimSpace(h.Get("Precedence"))) {
	case "bulk", "junk", "list", "auto_reply":
		return true
	}
	return h.Has("X-Autoreply") || h.Has("X-Autorespond") || h.Has("X-Auto-Reply")
}

// bareAddress takes the brackets off.
func bareAddress(s string) string {
	s = strings.TrimSpace(cutBytes(s, 1000))
	if i := strings.LastIndexByte(s, '<'); i >= 0 {
		s, _, _ = strings.Cut(s[i+1:], ">")
	}
	return strings.TrimSpace(s)
}

// reportWalk looks for the parts of a report, within limits.
type reportWalk struct {
	ctx   context.Context
	in    *incoming
	parts int
}

// entity looks at one part. The mail that was sent back is never descended
// into: a report within it is not about us.
func (w *reportWalk) entity(e *message.Entity, depth int) {
	w.parts++
	if w.parts > maxReportParts || depth > maxReportDepth || w.ctx.Err() != nil {
		return
	}
	kind, _, err := e.Header.ContentType()
	if err != nil {
		return
	}
	switch kind = strings.ToLower(kind); kind {
	case "message/delivery-status", "message/global-delivery-status":
		if w.in.dsn == nil {
			w.in.dsn = parseDSN(reportFields(e.Body))
		}
	case "message/feedback-report":
		if w.in.arf == nil {
			w.in.arf = parseARF(reportFields(e.Body))
		}
	case "message/rfc822", "text/rfc822-headers", "message/global", "message/global-headers":
		if w.in.returned == (returned{}) {
			w.in.returned = parseReturned(e.Body)
		}
	default:
		w.children(e, depth)
	}
}

func (w *reportWalk) children(e *message.Entity, depth int) {
	parts := e.MultipartReader()
	if parts == nil {
		return
	}
	for w.parts < maxReportParts {
		part, err := parts.NextPart()
		if part == nil || err != nil && !message.IsUnknownCharset(err) && !message.IsUnknownEncoding(err) {
			return
		}
		w.entity(part, depth+1)
	}
}

func parseReturned(r io.Reader) returned {
	var out returned
	blocks := reportFields(r)
	if len(blocks) == 0 {
		return out
	}
	for _, f := range blocks[0] { // what follows is the body
		switch f.name {
		case "message-id":
			out.messageID = bareAddress(f.value)
		case "to":
			out.to = bareAddress(f.value)
		case "return-path":
			out.returnPath = bareAddress(f.value)
		}
	}
	return out
}

// reportField is one field of a report; the name is in lower case.
type reportField struct{ name, value string }

// reportFields reads blocks of fields, parted by empty lines (RFC 3464 §2.1.1),
// within limits. It takes what it can: lines that are no field are passed over.
func reportFields(r io.Reader) [][]reportField {
	var blocks [][]reportField
	var block []reportField
	lines := bufio.NewScanner(io.LimitReader(r, maxReportPart))
	lines.Buffer(nil, maxReportPart+1)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), "\r")
		switch {
		case line == "":
			if len(block) > 0 {
				blocks, block = append(blocks, block), nil
			}
			if len(blocks) == maxReportBlocks {
				return blocks
			}
		case line[0] == ' ' || line[0] == '\t':
			if len(block) > 0 {
				last := &block[len(block)-1]
				last.value += " " + strings.TrimSpace(line)
			}
		default:
			name, value, ok := strings.Cut(line, ":")
			if ok && len(block) < maxReportFields {
				block = append(block, reportField{name: strings.ToLower(strings.TrimSpace(name)), value: strings.TrimSpace(value)})
			}
		}
	}
	if len(block) > 0 {
		blocks = append(blocks, block)
	}
	return blocks
}
