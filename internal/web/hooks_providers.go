package web

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gazetted/internal/news"
)

// Postmark proves itself by a password alone: it signs nothing and no time.
// What it sends is told apart by its ids.

// postmarkEvent is a Bounce or SpamComplaint.
type postmarkEvent struct {
	RecordType string
	ID         json.Number
	Type       string
	Email      string
	Details    string
}

func (s *Server) hookPostmark() handler {
	return s.hook("postmark", s.hooks.Postmark != "", s.hooks.readPostmark)
}

func (h *hooks) readPostmark(r *http.Request, body []byte) ([]byte, []hookEvent, error) {
	user, password, ok := r.BasicAuth()
	got, want := sha256.Sum256([]byte(user+":"+password)), sha256.Sum256([]byte(h.Postmark))
	if !ok || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, nil, &hookRefusal{http.StatusUnauthorized, "user name or password is wrong"}
	}
	var e postmarkEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, nil, statusError(http.StatusBadRequest)
	}
	kind, ok := postmarkKind(&e)
	if !ok {
		return body, nil, nil
	}
	return body, []hookEvent{{kind: kind, id: string(e.ID), address: e.Email, diagnostic: strings.TrimSpace(e.Type + " " + e.Details)}}, nil
}

// postmarkKind reads Postmark's types of bounce. Those that are not here, such
// as automatic replies and challenges, are no bounces.
func postmarkKind(e *postmarkEvent) (news.BounceKind, bool) {
	if e.RecordType == "SpamComplaint" {
		return news.BounceComplaint, true
	}
	if e.RecordType != "Bounce" {
		return "", false
	}
	switch e.Type {
	case "HardBounce", "BadEmailAddress":
		return news.BounceHard, true
	case "SpamComplaint":
		return news.BounceComplaint, true
	case "Unsubscribe":
		return news.BounceUnsubscribe, true
	case "Transient", "SoftBounce", "DnsError", "Blocked", "SpamNotification", "DMARCPolicy", "ManuallyDeactivated", "Unknown":
		return news.BounceSoft, true
	default:
		return "", false
	}
}

// sendGridKey reads the key as SendGrid shows it.
func sendGridKey(text string) (*ecdsa.PublicKey, error) {
	bad := &news.FieldError{Field: "hooks.sendgrid_key_file", Value: "…", Want: "the verification key of the signed event webhook, as SendGrid shows it"}
	der, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		return nil, bad
	}
	any, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, bad
	}
	key, ok := any.(*ecdsa.PublicKey)
	if !ok {
		return nil, bad
	}
	return key, nil
}

// sendGridEvent is one of a batch.
type sendGridEvent struct {
	Event   string `json:"event"`
	Type    string `json:"type"`
	Email   string `json:"email"`
	Status  string `json:"status"`
	Reason  string `json:"reason"`
	EventID string `json:"sg_event_id"`
	SMTPID  string `json:"smtp-id"`
}

func (s *Server) hookSendGrid() handler {
	return s.hook("sendgrid", s.hooks.sendGrid != nil, s.hooks.readSendGrid)
}

// readSendGrid checks the ECDSA signature over timestamp and body.
func (h *hooks) readSendGrid(r *http.Request, body []byte) ([]byte, []hookEvent, error) {
	stamp := r.Header.Get("X-Twilio-Email-Event-Webhook-Timestamp")
	signature, err := base64.StdEncoding.DecodeString(r.Header.Get("X-Twilio-Email-Event-Webhook-Signature"))
	if err != nil || len(signature) == 0 || stamp == "" {
		return nil, nil, &hookRefusal{http.StatusUnauthorized, "there is no signature"}
	}
	if err := h.freshUnix(stamp); err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256(append([]byte(stamp), body...))
	if !ecdsa.VerifyASN1(h.sendGrid, sum[:], signature) {
		return nil, nil, refused("the signature is wrong")
	}
	var all []sendGridEvent
	if err := json.Unmarshal(body, &all); err != nil {
		return nil, nil, statusError(http.StatusBadRequest)
	}
	var out []hookEvent
	for _, e := range all {
		if kind, ok := sendGridKind(&e); ok {
			out = append(out, hookEvent{kind: kind, id: e.EventID, address: e.Email, messageID: e.SMTPID, enhanced: e.Status, diagnostic: e.Reason})
		}
	}
	// An ECDSA signature has more than one form: what was signed is the identity.
	return append([]byte(stamp), body...), out, nil
}

func sendGridKind(e *sendGridEvent) (news.BounceKind, bool) {
	switch e.Event {
	case "bounce":
		if e.Type == "blocked" {
			return news.BounceSoft, true
		}
		return news.ClassifyBounce(e.Status, 0), true
	case "dropped": // it is on a list of SendGrid's; if that goes on, it is no use
		return news.BounceSoft, true
	case "spamreport":
		return news.BounceComplaint, true
	case "unsubscribe", "group_unsubscribe":
		return news.BounceUnsubscribe, true
	default:
		return "", false
	}
}

// mailgunHook is what Mailgun posts. Only timestamp and token are signed, so
// that a token must not come twice.
type mailgunHook struct {
	Signature struct {
		Timestamp string `json:"timestamp"`
		Token     string `json:"token"`
		Signature string `json:"signature"`
	} `json:"signature"`
	Event struct {
		ID        string `json:"id"`
		Event     string `json:"event"`
		Severity  string `json:"severity"`
		Reason    string `json:"reason"`
		Recipient string `json:"recipient"`
		Envelope  struct {
			Sender string `json:"sender"`
		} `json:"envelope"`
		Message struct {
			Headers struct {
				MessageID string `json:"message-id"`
			} `json:"headers"`
		} `json:"message"`
		Status struct {
			Code        int    `json:"code"`
			Enhanced    string `json:"enhanced-code"`
			Message     string `json:"message"`
			Description string `json:"description"`
		} `json:"delivery-status"`
	} `json:"event-data"`
}

func (s *Server) hookMailgun() handler {
	return s.hook("mailgun", s.hooks.Mailgun != "", s.hooks.readMailgun)
}

func (h *hooks) readMailgun(_ *http.Request, body []byte) ([]byte, []hookEvent, error) {
	var m mailgunHook
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, nil, statusError(http.StatusBadRequest)
	}
	sign := m.Signature
	signature, err := hex.DecodeString(sign.Signature)
	if err != nil || len(signature) == 0 || sign.Token == "" || len(sign.Token) > 200 {
		return nil, nil, &hookRefusal{http.StatusUnauthorized, "there is no signature"}
	}
	if err := h.freshUnix(sign.Timestamp); err != nil {
		return nil, nil, err
	}
	mac := hmac.New(sha256.New, []byte(h.Mailgun))
	mac.Write([]byte(sign.Timestamp + sign.Token))
	if !hmac.Equal(mac.Sum(nil), signature) {
		return nil, nil, refused("the signature is wrong")
	}
	key := []byte(sign.Timestamp + " " + sign.Token)
	kind, ok := mailgunKind(&m)
	if !ok {
		return key, nil, nil
	}
	e := &m.Event
	return key, []hookEvent{{
		kind: kind, id: e.ID, address: e.Recipient, sender: e.Envelope.Sender, messageID: e.Message.Headers.MessageID,
		code: e.Status.Code, enhanced: e.Status.Enhanced, diagnostic: strings.TrimSpace(e.Status.Message + " " + e.Status.Description),
	}}, nil
}

// mailgunKind reads Mailgun's events. A temporary failure is still being tried.
func mailgunKind(m *mailgunHook) (news.BounceKind, bool) {
	switch m.Event.Event {
	case "failed":
		switch {
		case m.Event.Severity != "permanent":
			return "", false
		case m.Event.Reason == "suppress-bounce": // on its own list of dead addresses
			return news.BounceHard, true
		case m.Event.Reason == "suppress-complaint":
			return news.BounceComplaint, true
		}
		return news.ClassifyBounce(m.Event.Status.Enhanced, m.Event.Status.Code), true
	case "complained":
		return news.BounceComplaint, true
	case "unsubscribed":
		return news.BounceUnsubscribe, true
	default:
		return "", false
	}
}

// freshUnix is fresh for seconds since 1970.
func (h *hooks) freshUnix(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 || n > 1<<40 {
		return refused(fmt.Sprintf("there is no timestamp in seconds, but %.20q", text))
	}
	return h.fresh(time.Unix(n, 0))
}
