package web

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1" // Amazon's signature version 1, which is still the default
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"gazetted/internal/news"
)

// snsMessage is what Amazon SNS posts. SES's own notification is the text of it.
type snsMessage struct {
	Type             string
	MessageId        string //nolint:staticcheck // Amazon's spelling
	TopicArn         string
	Subject          string
	Message          string
	Timestamp        string
	SignatureVersion string
	Signature        string
	SigningCertURL   string
	SubscribeURL     string
	Token            string
}

// sesNotification is what SES says of one mail. Feedback notifications name
// their type in the one field, event publishing in the other.
type sesNotification struct {
	NotificationType string `json:"notificationType"`
	EventType        string `json:"eventType"`
	Mail             struct {
		Source        string `json:"source"`
		CommonHeaders struct {
			MessageID string `json:"messageId"`
		} `json:"commonHeaders"`
	} `json:"mail"`
	Bounce struct {
		Type       string         `json:"bounceType"`
		FeedbackID string         `json:"feedbackId"`
		Recipients []sesRecipient `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		FeedbackID string         `json:"feedbackId"`
		Type       string         `json:"complaintFeedbackType"`
		Recipients []sesRecipient `json:"complainedRecipients"`
	} `json:"complaint"`
}

type sesRecipient struct {
	Address    string `json:"emailAddress"`
	Status     string `json:"status"`
	Diagnostic string `json:"diagnosticCode"`
}

func (s *Server) hookSES() handler {
	return s.hook("ses", len(s.hooks.SESTopics) > 0, s.hooks.readSES)
}

// readSES checks in this order: a topic that is configured, age, signature. A
// valid signature alone proves nothing: everybody can have a topic.
func (h *hooks) readSES(r *http.Request, body []byte) ([]byte, []hookEvent, error) {
	var m snsMessage
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, nil, statusError(http.StatusBadRequest)
	}
	if !slices.Contains(h.SESTopics, m.TopicArn) {
		return nil, nil, refused("this topic is not configured")
	}
	at, err := time.Parse(time.RFC3339, m.Timestamp)
	if err != nil {
		return nil, nil, refused("there is no timestamp")
	}
	if err := h.fresh(at); err != nil {
		return nil, nil, err
	}
	if err := h.checkSNS(r.Context(), &m); err != nil {
		return nil, nil, err
	}
	switch m.Type {
	case "SubscriptionConfirmation":
		return []byte(m.MessageId), nil, h.confirmTopic(r.Context(), &m)
	case "Notification":
		return []byte(m.MessageId), sesEvents(&m), nil
	default:
		return []byte(m.MessageId), nil, nil
	}
}

// sesEvents reads SES's notification. What is none, such as Amazon's own test,
// has no events.
func sesEvents(m *snsMessage) []hookEvent {
	var n sesNotification
	if err := json.Unmarshal([]byte(m.Message), &n); err != nil {
		return nil
	}
	var out []hookEvent
	add := func(kind news.BounceKind, id string, r sesRecipient) {
		out = append(out, hookEvent{
			kind: kind, id: fmt.Sprintf("%s %d", id, len(out)), address: r.Address, sender: n.Mail.Source, messageID: n.Mail.CommonHeaders.MessageID,
			enhanced: r.Status, diagnostic: r.Diagnostic,
		})
	}
	switch kind := n.NotificationType + n.EventType; kind {
	case "Bounce":
		for _, r := range n.Bounce.Recipients {
			kind := news.BounceSoft
			// Without a status it is Amazon's own list of dead addresses.
			if n.Bounce.Type == "Permanent" && (r.Status == "" || news.ClassifyBounce(r.Status, 0) == news.BounceHard) {
				kind = news.BounceHard
			}
			add(kind, n.Bounce.FeedbackID, r)
		}
	case "Complaint":
		if n.Complaint.Type == "not-spam" {
			return nil
		}
		for _, r := range n.Complaint.Recipients {
			add(news.BounceComplaint, n.Complaint.FeedbackID, r)
		}
	}
	return out
}

// topicRegion reads the region of arn:aws:sns:REGION:ACCOUNT:NAME.
func topicRegion(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "sns" || parts[4] == "" || parts[5] == "" || !isRegion(parts[3]) {
		return "", &news.FieldError{Field: "hooks.ses_topics", Value: arn, Want: "an ARN such as arn:aws:sns:us-east-1:123456789012:bounces"}
	}
	return parts[3], nil
}

func isRegion(s string) bool {
	return len(s) >= 3 && len(s) <= 30 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// snsURL accepts a URL of SNS itself in the topic's region, and of nobody else:
// https://sns.REGION.amazonaws.com/…
func snsURL(text, arn string) (*url.URL, error) {
	region, err := topicRegion(arn)
	if err != nil {
		return nil, refused("this topic is not configured")
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host != "sns."+region+".amazonaws.com" || u.User != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, refused("a link does not lead to Amazon SNS in the topic's region")
	}
	return u, nil
}

// checkSNS verifies the signature with Amazon's certificate.
func (h *hooks) checkSNS(ctx context.Context, m *snsMessage) error {
	signature, err := base64.StdEncoding.DecodeString(m.Signature)
	if err != nil || len(signature) == 0 {
		return refused("there is no signature")
	}
	u, err := snsURL(m.SigningCertURL, m.TopicArn)
	if err != nil {
		return err
	}
	// Only Amazon's own files: an open redirect below that host would do harm.
	if !strings.HasPrefix(u.Path, "/SimpleNotificationService-") || !strings.HasSuffix(u.Path, ".pem") || strings.Count(u.Path, "/") != 1 || u.RawQuery != "" {
		return refused("a link does not lead to a certificate of Amazon SNS")
	}
	key, err := h.certs.key(ctx, u.String(), h.now())
	if err != nil {
		return err
	}
	text := []byte(m.signedText())
	switch m.SignatureVersion {
	case "1":
		sum := sha1.Sum(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA1, sum[:], signature)
	case "2":
		sum := sha256.Sum256(text)
		err = rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature)
	default:
		err = rsa.ErrVerification
	}
	if err != nil {
		return refused("the signature is wrong")
	}
	return nil
}

// signedText is what SNS signs: names and values in this order, each on a line.
func (m *snsMessage) signedText() string {
	pairs := [][2]string{{"Message", m.Message}, {"MessageId", m.MessageId}}
	if m.Type == "Notification" {
		if m.Subject != "" {
			pairs = append(pairs, [2]string{"Subject", m.Subject})
		}
	} else {
		pairs = append(pairs, [2]string{"SubscribeURL", m.SubscribeURL})
	}
	pairs = append(pairs, [2]string{"Timestamp", m.Timestamp})
	if m.Type != "Notification" {
		pairs = append(pairs, [2]string{"Token", m.Token})
	}
	pairs = append(pairs, [2]string{"TopicArn", m.TopicArn}, [2]string{"Type", m.Type})
	var b strings.Builder
	for _, p := range pairs {
		b.WriteString(p[0] + "\n" + p[1] + "\n")
	}
	return b.String()
}

// confirmTopic tells Amazon that the topic is wanted: it was configured here.
func (h *hooks) confirmTopic(ctx context.Context, m *snsMessage) error {
	u, err := snsURL(m.SubscribeURL, m.TopicArn)
	if err != nil {
		return err
	}
	if q := u.Query(); q.Get("Action") != "ConfirmSubscription" || q.Get("TopicArn") != m.TopicArn {
		return refused("a link does not confirm this topic")
	}
	if _, err := h.Fetch(ctx, u.String()); err != nil {
		return fmt.Errorf("confirm topic: %w", err)
	}
	return nil
}

// maxCertificates bounds what is kept: Amazon changes its own about once a year.
const maxCertificates = 16

// certificates are Amazon's, fetched once. Fetches are limited: whoever knows a
// topic's name can make us want one.
type certificates struct {
	fetch func(ctx context.Context, url string) ([]byte, error)

	mu    sync.Mutex
	limit *rate.Limiter
	known map[string]*certificate
}

type certificate struct {
	key    *rsa.PublicKey
	until  time.Time
	usedAt time.Time
}

// key returns the public key of the certificate at a checked URL.
func (c *certificates) key(ctx context.Context, link string, now time.Time) (*rsa.PublicKey, error) {
	c.mu.Lock()
	have := c.known[link]
	if have != nil && now.Before(have.until) {
		have.usedAt = now
		c.mu.Unlock()
		return have.key, nil
	}
	allowed := c.limit.AllowN(now, 1)
	c.mu.Unlock()
	if !allowed {
		return nil, statusError(http.StatusServiceUnavailable) // SNS tries again
	}
	raw, err := c.fetch(ctx, link)
	if err != nil {
		return nil, errors.Join(statusError(http.StatusServiceUnavailable), fmt.Errorf("fetch certificate: %w", err))
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, refused("there is no certificate")
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil || now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return nil, refused("the certificate is not valid now")
	}
	key, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok || key.Size() < 256 {
		return nil, refused("the certificate is not Amazon's")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxCertificates {
		oldest := ""
		for l, k := range c.known {
			if oldest == "" || k.usedAt.Before(c.known[oldest].usedAt) {
				oldest = l
			}
		}
		delete(c.known, oldest)
	}
	c.known[link] = &certificate{key: key, until: cert.NotAfter, usedAt: now}
	return key, nil
}
