package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/daemon"
	"gazetted/internal/store"
)

func (a *app) pauseCommand() *cobra.Command {
	c := a.pauseTo("pause", true)
	c.Short = "Stop sending: everything, one list, or one relay; watching and feeds go on"
	c.Long = `Stops sending: everything (also without a flag), one list, or one relay. No mail
that was still to come begins its final dot after the command returns; those at
their final dot end. Watching and feeds go on. While everything or a list is
paused its editions do not close: after a resume one edition carries what was
missed. While a relay is paused the others take its mail.

The three pauses do not know of one another: resume takes back just one.`
	c.Example = `  gazetted pause
  gazetted pause --list world
  gazetted pause --relay smtp.example.org`
	return c
}

func (a *app) resumeCommand() *cobra.Command {
	c := a.pauseTo("resume", false)
	c.Short = "Send again: everything, one list, or one relay"
	c.Long = `Takes back one pause: of everything (also without a flag), of one list, or of one
relay. See gazetted status for what is paused.

A database that was restored from a backup is paused until --restored, which
wants two decisions, because the backup does not know what was sent after it was
made:
  --open hold       keep the mails that were open in the backup for you to decide
                    about (gazetted uncertain); nobody gets one twice
  --open send       send them; those who had one get it again
  --slots skip      take everything published up to now for sent; what was not
                    sent is not mailed any more, and nobody gets an article twice
  --slots catch-up  let each list catch up as its policy says; its readers may get
                    articles again`
	c.Example = `  gazetted resume
  gazetted resume --list world
  gazetted resume --restored --open hold --slots skip`
	flags := resumeFlags{}
	c.Flags().BoolVar(&flags.restored, "restored", false, "a database that was restored from a backup; needs --open and --slots")
	c.Flags().StringVar(&flags.open, "open", "", "mails that were open in the backup: `hold` or send")
	c.Flags().StringVar(&flags.slots, "slots", "", "slots that have passed since the backup: `skip` or catch-up")
	c.MarkFlagsMutuallyExclusive("restored", "all", "list", "relay")
	plain := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if !flags.restored {
			if c.Flags().Changed("open") || c.Flags().Changed("slots") {
				return &usageError{errors.New("--open and --slots belong to --restored"), c.CommandPath()}
			}
			return plain(c, args)
		}
		return a.withStore(c.Context(), func(s *store.Store) error { return a.resumeRestored(c.Context(), s, flags) })
	}
	c.Use = "resume [--all | --list NAME | --relay NAME | --restored]"
	return c
}

func (a *app) pauseTo(use string, paused bool) *cobra.Command {
	all := false
	var list, relay string
	c := &cobra.Command{
		Use: use + " [--all | --list NAME | --relay NAME]", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			given := 0
			for _, name := range []string{"all", "list", "relay"} {
				if c.Flags().Changed(name) {
					given++
				}
			}
			if given > 1 {
				return &usageError{errors.New("give one of --all, --list and --relay"), c.CommandPath()}
			}
			return a.withStore(c.Context(), func(s *store.Store) error {
				switch {
				case c.Flags().Changed("list"):
					return a.pauseList(c.Context(), s, list, paused)
				case c.Flags().Changed("relay"):
					return a.pauseRelay(c.Context(), s, relay, paused)
				}
				return a.pauseAll(c.Context(), s, paused)
			})
		},
	}
	c.Flags().BoolVar(&all, "all", false, "everything: what is meant without a flag")
	c.Flags().StringVar(&list, "list", "", "only the list `NAME`")
	c.Flags().StringVar(&relay, "relay", "", "only what goes through the relay `NAME` of the configuration")
	return c
}

func (a *app) pauseAll(ctx context.Context, s *store.Store, paused bool) error {
	if err := s.SetPaused(ctx, paused); err != nil {
		return err
	}
	if paused {
		a.say("paused: no mail leaves until `gazetted resume`")
	} else {
		a.say("resumed")
	}
	return a.pauses(ctx, s, paused)
}

func (a *app) pauseList(ctx context.Context, s *store.Store, name string, paused bool) error {
	l, err := s.ListByName(ctx, name)
	if err != nil {
		return err
	}
	l.Paused = paused
	if err := s.SetList(ctx, l); err != nil {
		return err
	}
	if paused {
		a.say("paused list %s until `gazetted resume --list %s`", l.Name, l.Name)
	} else {
		a.say("resumed list %s", l.Name)
	}
	return a.pauses(ctx, s, paused)
}

func (a *app) pauseRelay(ctx context.Context, s *store.Store, name string, paused bool) error {
	if err := s.SetRelayPaused(ctx, name, paused); err != nil {
		return err
	}
	if paused {
		a.say("paused relay %s until `gazetted relay resume %s`", name, name)
	} else {
		a.say("resumed relay %s", name)
	}
	cfg, err := a.loadConfig()
	if err != nil {
		return err
	}
	if names := relayNames(cfg); !slices.Contains(names, name) {
		a.say("note: this configuration has no relay of that name, only %s", strings.Join(names, ", "))
	}
	return a.pauses(ctx, s, paused)
}

// relayNames are the relays as logs and tables call them.
func relayNames(cfg daemon.Config) []string {
	if cfg.Mail.Transport == "capture" {
		return []string{"capture"}
	}
	names := make([]string, len(cfg.Mail.Relays))
	for i, r := range cfg.Mail.Relays {
		names[i] = r.RelayName()
	}
	return names
}

// pauses tells scripts what is paused now, and people what a resume has not
// resumed.
func (a *app) pauses(ctx context.Context, s *store.Store, paused bool) error {
	all, lists, relays, err := s.Pauses(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(struct {
			All    bool     `json:"paused"`
			Lists  []string `json:"paused_lists"`
			Relays []string `json:"paused_relays"`
		}{all, some(lists), some(relays)})
	}
	var still []string
	if all {
		still = append(still, "everything")
	}
	for _, name := range lists {
		still = append(still, "list "+name)
	}
	for _, name := range relays {
		still = append(still, "relay "+name)
	}
	if !paused && len(still) > 0 {
		a.say("still paused: %s", strings.Join(still, ", "))
	}
	return nil
}
