package web_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"testing"
	"time"

	"gazetted/internal/news"
	"gazetted/internal/web"
)

const (
	topic    = "arn:aws:sns:eu-west-1:123456789012:bounces"
	certURL  = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123456789abcdef.pem"
	postmark = "gazetted:canary-postmark"
	mailgun  = "canary-mailgun"
)

// keys are what providers sign with.
type keys struct {
	rsa   *rsa.PrivateKey
	ecdsa *ecdsa.PrivateKey
}

func newKeys(t testing.TB) keys {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return keys{r, e}
}

// providers are the mail providers of a house.
type providers struct {
	*house
	keys
	pem      []byte
	fetched  []string
	fetchErr error
}

// hookHouse is a house whose lists have mailed ana but not dan.
func hookHouse(t testing.TB, k keys) *providers {
	t.Helper()
	p := &providers{keys: k}
	public, err := x509.MarshalPKIXPublicKey(&p.ecdsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p.house = newHouse(t, func(o *web.Options) {
		o.Hooks = web.Hooks{SESTopics: []string{topic}, Postmark: postmark, SendGrid: base64.StdEncoding.EncodeToString(public), Mailgun: mailgun, Fetch: p.fetch}
	})
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sns.amazonaws.com"}, NotBefore: p.clock.Now().Add(-time.Hour), NotAfter: p.clock.Now().Add(30 * 24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &p.rsa.PublicKey, p.rsa)
	p.ok(err)
	p.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	p.people()
	ds, err := p.db.ClaimDeliveries(t.Context(), 100, time.Minute)
	p.ok(err)
	for _, d := range ds {
		ok, err := p.db.MarkDot(t.Context(), d.ID, d.Token)
		p.ok(err)
		if !ok {
			t.Fatal("no dot")
		}
		p.ok(p.db.RecordOutcomes(t.Context(), []news.Outcome{{DeliveryID: d.ID, Token: d.Token, State: news.DeliveryAccepted}}))
	}
	return p
}

func (p *providers) fetch(_ context.Context, url string) ([]byte, error) {
	p.fetched = append(p.fetched, url)
	return p.pem, p.fetchErr
}

// all is everything that a hook could change.
func (p *providers) all() string {
	p.t.Helper()
	sup, err := p.db.Suppressions(p.t.Context(), 0, 0)
	p.ok(err)
	bounces, err := p.db.Bounces(p.t.Context(), 0, 100)
	p.ok(err)
	return fmt.Sprintf("%s\n%+v\n%+v", p.state(), sup, bounces)
}

func (p *providers) hook(provider, body string, change ...request) answer {
	p.t.Helper()
	return p.do(http.MethodPost, "/hooks/"+provider, strings.NewReader(body), append([]request{with("Content-Type", "application/json")}, change...)...)
}

// sns signs a message as Amazon does, in the given version.
func (p *providers) sns(version string, m map[string]string) string {
	p.t.Helper()
	defaults := map[string]string{
		"Type": "Notification", "MessageId": rand.Text(), "TopicArn": topic, "Timestamp": p.clock.Now().Format("2006-01-02T15:04:05.000Z"), "SignatureVersion": version, "SigningCertURL": certURL,
	}
	for k, v := range defaults {
		if _, ok := m[k]; !ok {
			m[k] = v
		}
	}
	fields := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if m["Type"] != "Notification" {
		fields = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	text := ""
	for _, f := range fields {
		if m[f] != "" || f != "Subject" {
			text += f + "\n" + m[f] + "\n"
		}
	}
	hash, sum := crypto.SHA1, sha1.Sum([]byte(text))
	digest := sum[:]
	if version == "2" {
		sum := sha256.Sum256([]byte(text))
		hash, digest = crypto.SHA256, sum[:]
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, p.rsa, hash, digest)
	p.ok(err)
	if _, ok := m["Signature"]; !ok {
		m["Signature"] = base64.StdEncoding.EncodeToString(signature)
	}
	b, err := json.Marshal(m)
	p.ok(err)
	return string(b)
}

func ses(kind, address string) string {
	return `{"notificationType":"Complaint","mail":{"source":"bounces@example.org"},"complaint":{"feedbackId":"` + kind + address + `","complaintFeedbackType":"abuse","complainedRecipients":[{"emailAddress":"` + address + `"}]}}`
}

func sesBounce(kind, status string) string {
	return `{"eventType":"Bounce","mail":{},"bounce":{"bounceType":"` + kind + `","feedbackId":"f1","bouncedRecipients":[{"emailAddress":"ana@example.org","status":"` + status + `","diagnosticCode":"smtp; 550\nno such <b>user</b>"}]}}`
}

func (p *providers) sendgrid(body string, at time.Time) []request {
	p.t.Helper()
	stamp := fmt.Sprint(at.Unix())
	sum := sha256.Sum256([]byte(stamp + body))
	signature, err := ecdsa.SignASN1(rand.Reader, p.ecdsa, sum[:])
	p.ok(err)
	return []request{
		with("X-Twilio-Email-Event-Webhook-Timestamp", stamp),
		with("X-Twilio-Email-Event-Webhook-Signature", base64.StdEncoding.EncodeToString(signature)),
	}
}

func (p *providers) mailgun(key string, at time.Time, event string) string {
	stamp, token := fmt.Sprint(at.Unix()), rand.Text()
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(stamp + token))
	return fmt.Sprintf(`{"signature":{"timestamp":"%s","token":"%s","signature":"%s"},"event-data":%s}`, stamp, token, hex.EncodeToString(mac.Sum(nil)), event)
}

func basic(userAndPassword string) request {
	return with("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(userAndPassword)))
}

const complained = `{"event":"complained","id":"m1","recipient":"ana@example.org"}`

// S14: what is bad, absent, replayed, old or foreign changes nothing.
func TestForgedHooksChangeNothing(t *testing.T) {
	p := hookHouse(t, newKeys(t))
	now := p.clock.Now()
	old, ahead := now.Add(-6*time.Minute), now.Add(6*time.Minute)
	stamp := func(at time.Time) string { return at.Format(time.RFC3339) }
	sg := `[{"event":"spamreport","email":"ana@example.org","sg_event_id":"1"}]`
	pm := `{"RecordType":"SpamComplaint","ID":7,"Email":"ana@example.org"}`
	message := ses("c", "ana@example.org")
	before := p.all()
	for name, tt := range map[string]struct {
		provider, body string
		change         []request
		status         int
	}{
		"ses: no JSON":               {"ses", "hello", nil, 400},
		"ses: no signature":          {"ses", p.sns("1", map[string]string{"Message": message, "Signature": ""}), nil, 403},
		"ses: wrong signature":       {"ses", p.sns("1", map[string]string{"Message": message, "Signature": base64.StdEncoding.EncodeToString(make([]byte, 256))}), nil, 403},
		"ses: changed text":          {"ses", strings.Replace(p.sns("1", map[string]string{"Message": message}), "ana@", "anb@", 1), nil, 403},
		"ses: unknown version":       {"ses", p.sns("3", map[string]string{"Message": message}), nil, 403},
		"ses: foreign topic":         {"ses", p.sns("1", map[string]string{"Message": message, "TopicArn": strings.Replace(topic, "123456789012", "999999999999", 1)}), nil, 403},
		"ses: old":                   {"ses", p.sns("1", map[string]string{"Message": message, "Timestamp": stamp(old)}), nil, 403},
		"ses: in the future":         {"ses", p.sns("1", map[string]string{"Message": message, "Timestamp": stamp(ahead)}), nil, 403},
		"ses: no time":               {"ses", p.sns("1", map[string]string{"Message": message, "Timestamp": ""}), nil, 403},
		"ses: cert elsewhere":        {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": "https://evil.example/SimpleNotificationService-1.pem"}), nil, 403},
		"ses: cert in a bucket":      {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": "https://sns.eu-west-1.amazonaws.com.evil.example/SimpleNotificationService-1.pem"}), nil, 403},
		"ses: cert of other region":  {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": strings.Replace(certURL, "eu-west-1", "us-east-1", 1)}), nil, 403},
		"ses: cert by http":          {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": strings.Replace(certURL, "https", "http", 1)}), nil, 403},
		"ses: cert with a port":      {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": strings.Replace(certURL, ".com/", ".com:444/", 1)}), nil, 403},
		"ses: cert with a user":      {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": strings.Replace(certURL, "https://", "https://sns.eu-west-1.amazonaws.com@", 1)}), nil, 403},
		"ses: cert of another path":  {"ses", p.sns("1", map[string]string{"Message": message, "SigningCertURL": "https://sns.eu-west-1.amazonaws.com/x/SimpleNotificationService-1.pem"}), nil, 403},
		"ses: subscribe elsewhere":   {"ses", p.sns("1", map[string]string{"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://evil.example/?Action=ConfirmSubscription&TopicArn=" + topic}), nil, 403},
		"ses: subscribe other topic": {"ses", p.sns("1", map[string]string{"Type": "SubscriptionConfirmation", "Token": "t", "SubscribeURL": "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=x"}), nil, 403},
		"postmark: nobody":           {"postmark", pm, nil, 401},
		"postmark: wrong":            {"postmark", pm, []request{basic("gazetted:guess")}, 401},
		"sendgrid: nobody":           {"sendgrid", sg, nil, 401},
		"sendgrid: other body":       {"sendgrid", sg, p.sendgrid(sg+" ", now), 403},
		"sendgrid: old":              {"sendgrid", sg, p.sendgrid(sg, old), 403},
		"sendgrid: no time":          {"sendgrid", sg, append(p.sendgrid(sg, now), with("X-Twilio-Email-Event-Webhook-Timestamp", "now")), 403},
		"mailgun: nobody":            {"mailgun", `{"event-data":` + complained + `}`, nil, 401},
		"mailgun: other key":         {"mailgun", p.mailgun("guess", now, complained), nil, 403},
		"mailgun: old":               {"mailgun", p.mailgun(mailgun, old, complained), nil, 403},
		"mailgun: in the future":     {"mailgun", p.mailgun(mailgun, ahead, complained), nil, 403},
	} {
		t.Run(name, func(t *testing.T) {
			a := p.hook(tt.provider, tt.body, tt.change...)
			if a.StatusCode != tt.status || !strings.Contains(a.Header.Get("Content-Type"), "json") {
				t.Errorf("status %d, want %d: %s", a.StatusCode, tt.status, a.body)
			}
			if strings.Contains(a.body, "canary") {
				t.Errorf("a secret is told: %s", a.body)
			}
		})
	}
	if after := p.all(); after != before {
		t.Errorf("something changed:\n%s\nwas\n%s", after, before)
	}
	for _, url := range p.fetched {
		if url != certURL {
			t.Errorf("fetched %s", url)
		}
	}
	if strings.Contains(p.log.String(), "canary") || strings.Contains(p.log.String(), "ana@") {
		t.Errorf("the log tells too much:\n%s", p.log)
	}
}

func TestHooksOfProvidersWithoutSecretsAreNotThere(t *testing.T) {
	h := newHouse(t)
	for _, provider := range []string{"ses", "postmark", "sendgrid", "mailgun", "other"} {
		if a := h.do(http.MethodPost, "/hooks/"+provider, strings.NewReader("{}")); a.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", provider, a.StatusCode)
		}
	}
}

// Each provider's complaint, once; a stranger's changes nothing.
func TestGenuineHooksActOnce(t *testing.T) {
	k := newKeys(t)
	for name, send := range map[string]func(p *providers, address string) (provider, body string, change []request){
		"ses v1": func(p *providers, a string) (string, string, []request) {
			return "ses", p.sns("1", map[string]string{"Message": ses("c", a), "Subject": "Amazon SES"}), nil
		},
		"ses v2": func(p *providers, a string) (string, string, []request) {
			return "ses", p.sns("2", map[string]string{"Message": ses("c", a)}), nil
		},
		"postmark": func(_ *providers, a string) (string, string, []request) {
			return "postmark", `{"RecordType":"SpamComplaint","ID":` + fmt.Sprint(len(a)) + `,"Email":"` + a + `"}`, []request{basic(postmark)}
		},
		"sendgrid": func(p *providers, a string) (string, string, []request) {
			body := `[{"event":"delivered","email":"` + a + `"},{"event":"spamreport","email":"` + a + `","sg_event_id":"e` + a + `"}]`
			return "sendgrid", body, p.sendgrid(body, p.clock.Now())
		},
		"mailgun": func(p *providers, a string) (string, string, []request) {
			return "mailgun", p.mailgun(mailgun, p.clock.Now(), `{"event":"complained","id":"i`+a+`","recipient":"`+a+`"}`), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := hookHouse(t, k)
			before := p.all()
			for _, stranger := range []string{"dan@example.org", "nobody@example.net", "not an address"} { // dan was never mailed
				provider, body, change := send(p, stranger)
				p.want(p.hook(provider, body, change...), 200)
			}
			if after := p.all(); after != before {
				t.Fatalf("a word about a stranger counted:\n%s", after)
			}
			provider, body, change := send(p, "Ana@example.org")
			if a := p.want(p.hook(provider, body, change...), 200); !strings.Contains(a.body, `"acted":1`) {
				t.Errorf("%s", a.body)
			}
			if sub, _ := p.subscription(p.ana); sub.State != news.SubscriptionUnsubscribed {
				t.Errorf("ana is %s", sub.State)
			}
			after := p.all()
			p.want(p.hook(provider, body, change...), 403) // replayed
			if p.all() != after {
				t.Error("a replay changed something")
			}
		})
	}
}

func TestHooksTellBouncesApart(t *testing.T) {
	k := newKeys(t)
	for name, tt := range map[string]struct {
		send func(p *providers) answer
		want news.SubscriptionState
	}{
		"ses hard": {func(p *providers) answer {
			return p.hook("ses", p.sns("2", map[string]string{"Message": sesBounce("Permanent", "5.1.1")}))
		}, news.SubscriptionBounced},
		"ses suppressed": {func(p *providers) answer {
			return p.hook("ses", p.sns("2", map[string]string{"Message": sesBounce("Permanent", "")}))
		}, news.SubscriptionBounced},
		"ses policy": {func(p *providers) answer {
			return p.hook("ses", p.sns("2", map[string]string{"Message": sesBounce("Permanent", "5.7.1")}))
		}, news.SubscriptionActive},
		"ses soft": {func(p *providers) answer {
			return p.hook("ses", p.sns("2", map[string]string{"Message": sesBounce("Transient", "5.1.1")}))
		}, news.SubscriptionActive},
		"ses test": {func(p *providers) answer {
			return p.hook("ses", p.sns("2", map[string]string{"Message": "Successfully validated SNS topic"}))
		}, news.SubscriptionActive},
		"postmark hard": {func(p *providers) answer {
			return p.hook("postmark", `{"RecordType":"Bounce","ID":1,"Type":"HardBounce","Email":"ana@example.org","Details":"550"}`, basic(postmark))
		}, news.SubscriptionBounced},
		"postmark away": {func(p *providers) answer {
			return p.hook("postmark", `{"RecordType":"Bounce","ID":1,"Type":"AutoResponder","Email":"ana@example.org"}`, basic(postmark))
		}, news.SubscriptionActive},
		"sendgrid hard": {func(p *providers) answer {
			body := `[{"event":"bounce","type":"bounce","status":"5.1.1","email":"ana@example.org","sg_event_id":"1","timestamp":1}]`
			return p.hook("sendgrid", body, p.sendgrid(body, p.clock.Now())...)
		}, news.SubscriptionBounced},
		"sendgrid blocked": {func(p *providers) answer {
			body := `[{"event":"bounce","type":"blocked","status":"5.1.1","email":"ana@example.org","sg_event_id":"1"}]`
			return p.hook("sendgrid", body, p.sendgrid(body, p.clock.Now())...)
		}, news.SubscriptionActive},
		"sendgrid unsubscribe": {func(p *providers) answer {
			body := `[{"event":"unsubscribe","email":"ana@example.org","sg_event_id":"1"}]`
			return p.hook("sendgrid", body, p.sendgrid(body, p.clock.Now())...)
		}, news.SubscriptionUnsubscribed},
		"mailgun hard": {func(p *providers) answer {
			return p.hook("mailgun", p.mailgun(mailgun, p.clock.Now(), `{"event":"failed","severity":"permanent","id":"1","recipient":"ana@example.org","delivery-status":{"code":550,"enhanced-code":"5.1.1"}}`))
		}, news.SubscriptionBounced},
		"mailgun bare 550": {func(p *providers) answer {
			return p.hook("mailgun", p.mailgun(mailgun, p.clock.Now(), `{"event":"failed","severity":"permanent","id":"1","recipient":"ana@example.org","delivery-status":{"code":550}}`))
		}, news.SubscriptionActive},
		"mailgun temporary": {func(p *providers) answer {
			return p.hook("mailgun", p.mailgun(mailgun, p.clock.Now(), `{"event":"failed","severity":"temporary","id":"1","recipient":"ana@example.org","delivery-status":{"enhanced-code":"5.1.1"}}`))
		}, news.SubscriptionActive},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := hookHouse(t, k)
			p.want(tt.send(p), 200)
			if sub, _ := p.subscription(p.ana); sub.State != tt.want {
				t.Errorf("ana is %s, want %s", sub.State, tt.want)
			}
			all, err := p.db.Bounces(t.Context(), 0, 10)
			p.ok(err)
			for _, b := range all {
				if strings.ContainsAny(b.Diagnostic, "\r\n") {
					t.Errorf("%q", b.Diagnostic)
				}
			}
		})
	}
}

func TestTopicIsConfirmedOnlyIfConfigured(t *testing.T) {
	p := hookHouse(t, newKeys(t))
	link := "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=" + topic + "&Token=t"
	p.want(p.hook("ses", p.sns("1", map[string]string{"Type": "SubscriptionConfirmation", "Token": "t", "Message": "m", "SubscribeURL": link})), 200)
	if len(p.fetched) != 2 || p.fetched[0] != certURL || p.fetched[1] != link {
		t.Errorf("%q", p.fetched)
	}
	// The certificate is known now; a second one is fetched a few times at most.
	for i := range 50 {
		other := fmt.Sprintf("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%d.pem", i)
		p.hook("ses", p.sns("1", map[string]string{"Message": "m", "SigningCertURL": other}))
	}
	if len(p.fetched) > 15 {
		t.Errorf("%d fetches", len(p.fetched))
	}
}

// What failed here is taken when the provider tries again.
func TestHookThatFailedIsTakenAgain(t *testing.T) {
	p := hookHouse(t, newKeys(t))
	body := p.sns("1", map[string]string{"Message": ses("c", "ana@example.org")})
	p.fetchErr = errors.New("no route")
	p.want(p.hook("ses", body), 503)
	p.fetchErr = nil
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if a := p.hook("ses", body, func(r *http.Request) { *r = *r.WithContext(ctx) }); a.StatusCode == 200 && strings.Contains(a.body, "acted") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := p.want(p.hook("ses", body), 200); !strings.Contains(a.body, `"acted":1`) {
		t.Errorf("%s", a.body)
	}
}

func TestHookOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]web.Hooks{
		"no fetch":   {SESTopics: []string{topic}},
		"no topic":   {SESTopics: []string{"bounces"}, Fetch: func(context.Context, string) ([]byte, error) { return nil, nil }},
		"other host": {SESTopics: []string{"arn:aws:sns:evil.example/:1:x"}, Fetch: func(context.Context, string) ([]byte, error) { return nil, nil }},
		"no key":     {SendGrid: "hello"},
	} {
		_, err := web.New(web.Options{Store: &store{}, Templates: mustTemplates(t), Links: newHouse(t).links, Site: web.Site{Title: "T"}, Hooks: o})
		if err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}

// Whatever is sent without a secret, nothing happens and nothing breaks.
func FuzzHooks(f *testing.F) {
	for _, provider := range []string{"ses", "postmark", "sendgrid", "mailgun"} {
		f.Add(provider, `{"Type":"Notification","TopicArn":"`+topic+`","Timestamp":"2026-03-02T09:00:00Z","Signature":"AAAA","SigningCertURL":"`+certURL+`"}`, "1772442000", "AAAA")
		f.Add(provider, `{"signature":{"timestamp":"1772442000","token":"t","signature":"00"},"event-data":`+complained+`}`, "", "")
		f.Add(provider, `[{"event":"bounce"}]`, "1772442000", "MEQCIA==")
	}
	p := hookHouse(f, newKeys(f))
	f.Fuzz(func(t *testing.T, provider, body, stamp, signature string) {
		p.t = t
		if provider != "ses" && provider != "postmark" && provider != "sendgrid" && provider != "mailgun" {
			return
		}
		a := p.hook(provider, body, with("X-Twilio-Email-Event-Webhook-Timestamp", stamp), with("X-Twilio-Email-Event-Webhook-Signature", signature), basic(stamp))
		if a.StatusCode < 400 || a.StatusCode == 410 || a.StatusCode == 500 {
			t.Fatalf("%d %s", a.StatusCode, a.body)
		}
	})
}
