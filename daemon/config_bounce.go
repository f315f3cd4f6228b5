package daemon

import (
	"strings"

	"gazetted/internal/mail"
	"gazetted/internal/news"
)

// BounceConfig says where mail that comes back is collected, and when soft
// bounces are enough. `gazetted bounce` takes it from a pipe without any of it.
type BounceConfig struct {
	Maildir      string        `toml:"maildir" doc:"A Maildir that a mail server on this machine delivers bounces into. Empty: none." example:"bounces"`
	IMAPHost     string        `toml:"imap_host" doc:"Server of an IMAP mailbox that bounces come to. Empty: none." example:"imap.example.org"`
	IMAPPort     int           `toml:"imap_port" doc:"Its port. 0: 993, or 143 unless imap_tls is \"tls\"."`
	IMAPTLS      string        `toml:"imap_tls" doc:"tls (from the first byte), starttls (required), or none."`
	IMAPUsername string        `toml:"imap_username" doc:"Account of the mailbox." example:"bounces@example.org"`
	IMAPPassword string        `toml:"imap_password_file" doc:"File whose first line is the password." example:"imap-password"`
	IMAPFolder   string        `toml:"imap_folder" doc:"Folder to read. Its unseen mail is marked as seen; what was no bounce is flagged, too."`
	Poll         news.Duration `toml:"poll" doc:"How often the Maildir and the mailbox are looked into."`
	SoftLimit    int           `toml:"soft_limit" doc:"How many mails must bounce softly (mailbox full, server unreachable) before a reader's subscriptions end."`
	SoftDays     int           `toml:"soft_days" doc:"Over how many days at least, without a mail that arrived in between."`
}

// HooksConfig holds what mail providers prove themselves with. A provider
// without it is answered 404.
type HooksConfig struct {
	SESTopics       []string `toml:"ses_topics" doc:"ARNs of the Amazon SNS topics that SES publishes bounces and complaints to, for POST /hooks/ses." example:"arn:aws:sns:eu-west-1:123456789012:bounces"`
	PostmarkFile    string   `toml:"postmark_password_file" doc:"File whose first line is USER:PASSWORD of the basic authentication of Postmark's webhooks, for POST /hooks/postmark." example:"postmark-password"`
	SendGridKeyFile string   `toml:"sendgrid_key_file" doc:"File whose first line is the verification key of SendGrid's signed event webhook, for POST /hooks/sendgrid." example:"sendgrid-key"`
	MailgunKeyFile  string   `toml:"mailgun_key_file" doc:"File whose first line is Mailgun's HTTP webhook signing key, for POST /hooks/mailgun." example:"mailgun-key"`
}

func defaultBounce() BounceConfig {
	return BounceConfig{
		IMAPTLS: "tls", IMAPFolder: "INBOX", Poll: news.Duration(mail.DefaultBouncePoll), SoftLimit: news.DefaultSoftLimit, SoftDays: int(news.DefaultSoftOver.Hours() / 24),
	}
}

// checkBounces reports the faults of all that concerns mail that comes back.
func (c *Config) checkBounces(fault func(key, value, want string)) {
	for _, a := range []struct {
		key, value string
		purpose    news.Purpose
	}{{"mail.bounce_address", c.Mail.BounceAddress, news.PurposeBounce}, {"mail.unsubscribe_address", c.Mail.UnsubscribeAddress, news.PurposeMailUnsubscribe}} {
		if a.value == "" {
			continue
		}
		if _, err := mail.NewSignedAddress(a.key, a.value, a.purpose, nil); err != nil {
			fault(a.key, a.value, "an ASCII address with at most 16 characters before the @ and no +, such as bounces@example.org")
		}
	}
	if b := c.Bounce; b.IMAPHost != "" && b.IMAPUsername == "" {
		fault("bounce.imap_username", "", "the account of the mailbox, because bounce.imap_host is set")
	}
	if poll := c.Bounce.Poll; poll <= 0 {
		fault("bounce.poll", poll.String(), "a time such as 1m")
	}
	for _, arn := range c.Hooks.SESTopics {
		if parts := strings.Split(arn, ":"); len(parts) != 6 || parts[0] != "arn" || parts[1] != "aws" || parts[2] != "sns" {
			fault("hooks.ses_topics", arn, "ARNs such as arn:aws:sns:eu-west-1:123456789012:bounces")
		}
	}
}
