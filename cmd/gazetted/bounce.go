package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/mail"
	"gazetted/internal/store"
)

// Exit codes that mail servers read from a pipe (sysexits.h).
const (
	exitData      = 65 // EX_DATAERR: this is no bounce of ours
	exitTemporary = 75 // EX_TEMPFAIL: keep it and try again
)

// maxPipe bounds the time for a message on standard input.
const maxPipe = 2 * time.Minute

// exitError ends the command with a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

// ExitCode is what the process ends with.
func (e *exitError) ExitCode() int { return e.code }

func (a *app) bounceCommand() *cobra.Command {
	var to []string
	c := &cobra.Command{
		Use: "bounce [FILE|-] [--to ADDR]", Short: "Take in a mail that came back, or one that unsubscribes", Args: cobra.MaximumNArgs(1),
		Long: `Reads one mail (- or nothing: from standard input) and does what follows from
it: a notification that a mailbox does not exist suppresses the address, a
complaint too, a mail to an unsubscribe address ends that subscription. It is
believed only if it holds what nobody but we can have signed: the envelope
sender of one of our mails, or its Message-ID. All else is counted and ignored.

It is made for the pipe of a mail server, which reads its exit code: 0 it was
handled, 65 it is no bounce of ours, 75 try again later. The server must hand
over its envelope recipient in a Delivered-To or X-Original-To field, or by --to.

A running daemon can collect them itself: see the [bounce] section of the
configuration.`,
		Example: `  gazetted bounce mail.eml
  # Postfix, master.cf (with "bounces unix - n n - - pipe" before it):
  #   flags=DRX user=gazetted argv=gazetted bounce - --to ${recipient}`,
		RunE: func(c *cobra.Command, args []string) error {
			err := a.takeBounce(c.Context(), args, to)
			var coded *exitError
			if err != nil && !errors.As(err, &coded) {
				err = &exitError{exitTemporary, err}
			}
			return err
		},
	}
	c.Flags().StringArrayVar(&to, "to", nil, "envelope recipient `ADDR` of the mail; repeat for more")
	c.AddCommand(a.bounceLs())
	return c
}

func (a *app) takeBounce(ctx context.Context, args, to []string) error {
	in := a.stdin
	if len(args) == 1 && args[0] != "-" {
		f, err := os.Open(args[0])
		if err != nil {
			return &exitError{1, fmt.Errorf("read mail: %w", err)}
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	return a.withDaemon(ctx, func(d *daemon.Daemon) error {
		rec, err := readBounce(ctx, d.Bounces, in, to)
		if err != nil {
			return err
		}
		if a.json {
			if err := a.printJSON(rec); err != nil {
				return err
			}
		}
		switch {
		case !rec.Ignored.Handled():
			return &exitError{exitData, fmt.Errorf("ignored: %s", rec.Ignored)}
		case rec.Ignored != mail.IgnoredNot:
			a.say("ignored: %s", rec.Ignored)
		default:
			a.say("%s", tookBounce(rec))
		}
		return nil
	})
}

// tookBounce says what a mail was taken for.
func tookBounce(rec mail.Received) string {
	about := fmt.Sprintf("mail %d", rec.Bounce.DeliveryID)
	if rec.Bounce.DeliveryID == 0 {
		about = fmt.Sprintf("subscription %d", rec.Bounce.SubscriptionID)
	}
	done := "recorded"
	if rec.Acted {
		done = "acted upon"
	}
	return fmt.Sprintf("%s, %s: %s", rec.Bounce.Kind, about, done)
}

// readBounce gives up on a sender who never ends: reading a pipe cannot be cut
// short, so it is left behind.
func readBounce(ctx context.Context, b *mail.Bounces, in io.Reader, to []string) (mail.Received, error) {
	ctx, cancel := context.WithTimeout(ctx, maxPipe)
	defer cancel()
	type result struct {
		rec mail.Received
		err error
	}
	done := make(chan result, 1)
	go func() {
		rec, err := b.Read(ctx, in, to...)
		done <- result{rec, err}
	}()
	select {
	case r := <-done:
		return r.rec, r.err
	case <-ctx.Done():
		return mail.Received{}, fmt.Errorf("read mail: %w", ctx.Err())
	}
}

func (a *app) bounceLs() *cobra.Command {
	limit := 50
	c := &cobra.Command{
		Use: "ls", Short: "List what came back, the latest first, and count what was ignored", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error { return a.listBounces(c.Context(), s, limit) })
		},
	}
	c.Flags().IntVar(&limit, "limit", limit, "how many at most")
	return c
}

func (a *app) listBounces(ctx context.Context, s *store.Store, limit int) error {
	all, err := s.Bounces(ctx, 0, limit)
	if err != nil {
		return err
	}
	ignored, err := s.IgnoredBounces(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(map[string]any{"bounces": some(all), "ignored": some(ignored)})
	}
	var rows [][]string
	for _, b := range all {
		rows = append(rows, []string{number(int(b.ID)), clock(b.At), string(b.Kind), b.Recipient, number(int(b.DeliveryID)), b.Enhanced, b.Via, string(b.Effect), short(b.Diagnostic, 60)})
	}
	if err := a.print(nil, []string{"id", "at", "kind", "address", "mail", "status", "via", "effect", "why"}, rows); err != nil {
		return err
	}
	for _, x := range ignored {
		a.say("%d ignored (%s: %s), the last at %s", x.Count, x.Via, x.Reason, clock(x.LastAt))
	}
	return nil
}
