package mail

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Stage is how far a message had come when the relay's word came, or did not.
type Stage string

// The stages, in their order.
const (
	StageConnect Stage = "connect" // dialing, TLS from the start, the greeting
	StageHello   Stage = "hello"   // EHLO, STARTTLS
	StageAuth    Stage = "auth"
	StageMail    Stage = "mail"
	StageRcpt    Stage = "rcpt"
	StageData    Stage = "data" // the command
	StageBody    Stage = "body" // before the final dot
	StageDot     Stage = "dot"
)

// ReplyError is a relay's refusal, or its silence: then Code is 0 and Err says
// what happened instead.
type ReplyError struct {
	Stage    Stage
	Code     int    // RFC 5321 §4.2; 0: no reply
	Enhanced string // RFC 3463, e.g. 5.1.1; empty if the relay gave none
	Text     string // one line, shortened; never decides anything (RFC 5321 §4.2)
	Err      error  // the cause where there was no reply
}

// Error renders `rcpt: 550 5.1.1 no such user` or `connect: connection refused`.
func (e *ReplyError) Error() string {
	if e.Code == 0 {
		return fmt.Sprintf("%s: %v", e.Stage, e.Err)
	}
	return strings.TrimSpace(fmt.Sprintf("%s: %d %s", e.Stage, e.Code, strings.TrimSpace(e.Enhanced+" "+e.Text)))
}

// Unwrap returns the cause where there was no reply.
func (e *ReplyError) Unwrap() error { return e.Err }

// Verdict is what follows from a reply, or from its absence.
type Verdict string

// The verdicts.
const (
	Accepted    Verdict = "accepted"
	Deferred    Verdict = "deferred"     // this recipient later; the attempt counts
	Refused     Verdict = "refused"      // this recipient never
	RelayFault  Verdict = "relay_fault"  // try again, perhaps elsewhere; nobody is charged
	ConfigFault Verdict = "config_fault" // only the operator can mend it; nobody is charged
	SenderFault Verdict = "sender_fault" // the relay does not take this sender or message from us; nobody is charged
	Uncertain   Verdict = "uncertain"    // the relay may have taken it
)

// Bounce refines Refused and, of a recipient, Deferred.
type Bounce string

// The classes of bounce.
const (
	BounceNone    Bounce = ""
	BounceHard    Bounce = "hard"    // there is no such mailbox: suppress the address
	BounceSoft    Bounce = "soft"    // full, or this message is not wanted there
	BouncePolicy  Bounce = "policy"  // the relay or the receiver does not want us
	BounceContent Bounce = "content" // the message was refused, not the recipient
)

// kind is what a bounce report with the same words would be (news.ClassifyBounce):
// a policy is soft there, too. What was refused for its content, or before the
// relay knew the recipient, says nothing about them.
func (b Bounce) kind() news.BounceKind {
	switch b {
	case BounceHard:
		return news.BounceHard
	case BounceSoft, BouncePolicy:
		return news.BounceSoft
	default:
		return ""
	}
}

// Judgement is the meaning of one result.
type Judgement struct {
	Verdict Verdict
	Bounce  Bounce
}

// Judge reads the table of replies: the stage and the first digit decide, the
// enhanced code only refines. Nil is Accepted. An error that is no *ReplyError
// never met the relay.
func Judge(err error) Judgement {
	if err == nil {
		return Judgement{Verdict: Accepted}
	}
	e, ok := errors.AsType[*ReplyError](err)
	if !ok {
		return Judgement{Verdict: RelayFault}
	}
	switch {
	case e.Code == 0 && e.Stage == StageDot:
		return Judgement{Verdict: Uncertain}
	// A reply that is none of these classes is a relay out of step. After the
	// dot it tells nothing.
	case e.Code != 0 && (e.Code < 400 || e.Code > 599) && e.Stage == StageDot:
		return Judgement{Verdict: Uncertain}
	case e.Code < 400 || e.Code > 599:
		return Judgement{Verdict: RelayFault}
	// The relay wants a login that we do not have or that is wrong (RFC 4954 §6).
	case e.Code == 530 || e.Code == 534 || e.Code == 535 || e.Code == 538:
		return Judgement{Verdict: ConfigFault}
	// 421 ends the connection (RFC 5321 §3.8); of the recipient it says nothing.
	case e.Code == 421:
		return Judgement{Verdict: RelayFault}
	}
	switch e.Stage {
	case StageConnect, StageHello:
		return Judgement{Verdict: RelayFault} // never a bounce
	case StageAuth:
		if e.Code >= 500 {
			return Judgement{Verdict: ConfigFault}
		}
		return Judgement{Verdict: RelayFault}
	case StageRcpt:
		return judgeRecipient(e)
	}
	switch {
	case e.Code < 500: // after the dot, too: the relay must not deliver (RFC 5321 §4.2.5)
		return Judgement{Verdict: Deferred}
	case e.Stage == StageMail:
		return Judgement{Verdict: SenderFault}
	default:
		return Judgement{Verdict: Refused, Bounce: BounceContent}
	}
}

func judgeRecipient(e *ReplyError) Judgement {
	subject, detail := enhancedParts(e.Enhanced)
	switch {
	case e.Code < 500 && subject == 5: // the protocol's (RFC 3463 §3.6), such as too many recipients
		return Judgement{Verdict: Deferred}
	case e.Code < 500:
		return Judgement{Verdict: Deferred, Bounce: BounceSoft}
	// Many servers say 552 for "too many recipients"; RFC 5321 §4.5.3.1.10 has
	// it treated as 452. A full mailbox is told apart by its enhanced code.
	case e.Code == 552 && subject != 2:
		return Judgement{Verdict: Deferred}
	case subject == 1 && (detail == 7 || detail == 8): // the sender's address (RFC 3463 §3.2)
		return Judgement{Verdict: SenderFault}
	// RFC 3463 §3.2: the address is bad; 5.2.1 mailbox disabled (§3.3);
	// 556: the domain takes no mail (RFC 7504 §4).
	case subject == 1, subject == 2 && detail == 1, e.Code == 556:
		return Judgement{Verdict: Refused, Bounce: BounceHard}
	case subject == 7:
		return Judgement{Verdict: Refused, Bounce: BouncePolicy}
	// 550 alone may be an unknown user or a policy; suppressing on a guess would
	// silence a reader for ever.
	default:
		return Judgement{Verdict: Refused, Bounce: BounceSoft}
	}
}

// enhancedParts returns subject and detail of 5.1.1; zeros if there is none.
func enhancedParts(enhanced string) (subject, detail int) {
	var class int
	if n, err := fmt.Sscanf(enhanced, "%d.%d.%d", &class, &subject, &detail); n != 3 || err != nil {
		return 0, 0
	}
	return subject, detail
}

// cutEnhanced takes the enhanced status code from the front of a reply's text
// (RFC 2034 §3). Its class must agree with the code's first digit (§4).
func cutEnhanced(code int, text string) (enhanced, rest string) {
	first, rest, _ := strings.Cut(text, " ")
	if len(first) < 5 || len(first) > 9 || first[0] != byte('0'+code/100) {
		return "", text
	}
	parts := strings.Split(first, ".")
	if len(parts) != 3 {
		return "", text
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return "", text
		}
	}
	return first, rest
}

// Backoff says when a deferred delivery is tried again.
type Backoff struct {
	// First is the pause after the first attempt; 0: five minutes, which is
	// what greylisting relays ask for (RFC 6647 §4.5: 1 minute to a day).
	First time.Duration
	// Max bounds the pause; 0: four hours. A digest is stale sooner than a letter.
	Max time.Duration
}

// Defaults of Backoff.
const (
	DefaultFirstBackoff = 5 * time.Minute
	DefaultMaxBackoff   = 4 * time.Hour
)

// After returns the pause after so many attempts (1 or more): doubling, with
// up to a quarter more by random (0 to 1), so that what failed together does
// not come back together. It is never less than First.
func (b Backoff) After(attempts int, random float64) time.Duration {
	first, limit := b.First, b.Max
	if first <= 0 {
		first = DefaultFirstBackoff
	}
	if limit <= 0 {
		limit = DefaultMaxBackoff
	}
	d := first
	for i := 1; i < attempts && d < limit; i++ {
		d *= 2
	}
	d = max(min(d, limit), first)
	return d + time.Duration(float64(d)/4*random)
}
