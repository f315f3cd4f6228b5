package store

import (
	"context"
	"slices"
	"strings"

	"gazetted/internal/news"
)

// pausedRelay stands before the names of paused relays among the settings.
const pausedRelay = "paused relay: "

// SetRelayPaused stops or resumes sending through the relay of that name.
// Nobody checks that there is one: relays are named by the configuration of
// each daemon.
func (s *Store) SetRelayPaused(ctx context.Context, name string, paused bool) error {
	if name = clean(name); name == "" || len(name) > maxRelayName {
		return &news.FieldError{Field: "relay", Value: name, Want: "the name of a relay"}
	}
	return s.write(ctx, "pause relay "+name, func(t *tx) error {
		t.wake(news.WakeOutbox)
		if !paused {
			_, err := t.exec(`DELETE FROM settings WHERE name = $1`, pausedRelay+name)
			return err
		}
		_, err := t.exec(`INSERT INTO settings (name, value) VALUES ($1, 'true') ON CONFLICT (name) DO NOTHING`, pausedRelay+name)
		return err
	})
}

// PausedRelays names the relays that are paused, sorted.
func (s *Store) PausedRelays(ctx context.Context) ([]string, error) {
	var names []string
	err := s.read(ctx, "read paused relays", func(t *tx) (err error) {
		names, err = t.pausedRelays()
		return err
	})
	return names, err
}

func (t *tx) pausedRelays() ([]string, error) {
	var names []string
	if err := t.all(&names, `SELECT name FROM settings WHERE name LIKE $1`, pausedRelay+"%"); err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = strings.TrimPrefix(names[i], pausedRelay)
	}
	slices.Sort(names)
	return names, nil
}
