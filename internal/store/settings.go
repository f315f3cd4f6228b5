package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strconv"
	"time"

	"gazetted/internal/news"
)

// Secrets returns the signing keys, oldest first, and makes the first one.
func (s *Store) Secrets(ctx context.Context) ([]news.Secret, error) {
	var key [32]byte
	if _, err := io.ReadFull(s.rand, key[:]); err != nil {
		return nil, fmt.Errorf("make secret: %w", err)
	}
	out, err := s.secrets(ctx)
	if err != nil || len(out) > 0 {
		return out, err
	}
	if err := s.write(ctx, "make secret", func(t *tx) error {
		_, err := t.exec(`INSERT INTO secrets (id, key, created_at) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING`,
			base64.StdEncoding.EncodeToString(key[:]), ms(t.now))
		return err
	}); err != nil {
		return nil, err
	}
	return s.secrets(ctx)
}

func (s *Store) secrets(ctx context.Context) (out []news.Secret, err error) {
	err = s.read(ctx, "read secrets", func(t *tx) error {
		out, err = t.secrets()
		return err
	})
	return out, err
}

func (t *tx) secrets() ([]news.Secret, error) {
	var rows []struct {
		ID        int64  `db:"id"`
		Key       string `db:"key"`
		CreatedAt int64  `db:"created_at"`
	}
	if err := t.all(&rows, `SELECT id, key, created_at FROM secrets ORDER BY id`); err != nil {
		return nil, err
	}
	out := make([]news.Secret, 0, len(rows))
	for _, r := range rows {
		key, err := base64.StdEncoding.DecodeString(r.Key)
		if err != nil {
			return nil, fmt.Errorf("secret %d is damaged", r.ID) // never its text
		}
		out = append(out, news.Secret{ID: byte(r.ID), Key: key, CreatedAt: at(r.CreatedAt)})
	}
	return out, nil
}

// SetPaused stops or resumes all sending. Watching and feeds go on. To resume
// also accepts the server that the database has moved to. A restored database is
// not resumed so, but news.ErrRestored: see ConfirmRestored.
func (s *Store) SetPaused(ctx context.Context, paused bool) error {
	return s.write(ctx, "pause", func(t *tx) error {
		if m, err := t.restoredMark(); err != nil {
			return err
		} else if m != nil && !paused {
			return news.ErrRestored
		}
		t.wake(news.WakeLists)
		t.wake(news.WakeOutbox)
		if !paused {
			if err := t.acceptServer(); err != nil {
				return err
			}
		}
		return t.setting("paused", strconv.FormatBool(paused))
	})
}

// Paused tells whether all sending is stopped.
func (s *Store) Paused(ctx context.Context) (bool, error) {
	var paused bool
	err := s.read(ctx, "read pause", func(t *tx) (err error) {
		paused, err = t.paused()
		return err
	})
	return paused, err
}

// paused tells whether nothing at all may be sent, for whatever reason.
func (t *tx) paused() (bool, error) {
	h, err := t.halted()
	return h != "", err
}

type keyRow struct {
	ID         int64  `db:"id"`
	Name       string `db:"name"`
	Scope      string `db:"scope"`
	Hash       string `db:"hash"`
	CreatedAt  int64  `db:"created_at"`
	LastUsedAt int64  `db:"last_used_at"`
}

func (r keyRow) key() news.APIKey {
	return news.APIKey{ID: r.ID, Name: r.Name, Scope: news.KeyScope(r.Scope), Hash: r.Hash, CreatedAt: at(r.CreatedAt), LastUsedAt: at(r.LastUsedAt)}
}

// AddKey stores a publish key by its hash. A taken name is news.ErrExists.
func (s *Store) AddKey(ctx context.Context, k news.APIKey) error {
	if err := news.ValidateName("name", k.Name); err != nil {
		return err
	}
	if err := k.Scope.Validate(); err != nil {
		return err
	}
	return s.write(ctx, "add key "+k.Name, func(t *tx) error {
		_, err := t.exec(`INSERT INTO api_keys (name, scope, hash, created_at) VALUES ($1, $2, $3, $4)`, k.Name, string(k.Scope), k.Hash, ms(t.now))
		return err
	})
}

// keyUsedEvery is how exactly it is kept when a key was last used: a busy key
// must not cost a write per request.
const keyUsedEvery = time.Minute

// KeyByHash finds a key and notes that it was used, to the minute. None is
// news.ErrNotFound, which writes nothing.
func (s *Store) KeyByHash(ctx context.Context, hash string) (news.APIKey, error) {
	var r keyRow
	var now time.Time
	err := s.read(ctx, "read key", func(t *tx) error {
		now = t.now
		return t.get(&r, `SELECT id, name, scope, hash, created_at, last_used_at FROM api_keys WHERE hash = $1`, hash)
	})
	if err != nil || ms(now) < r.LastUsedAt+keyUsedEvery.Milliseconds() && r.LastUsedAt > 0 {
		return r.key(), err
	}
	err = s.write(ctx, "note use of key", func(t *tx) error {
		r.LastUsedAt = ms(t.now)
		_, err := t.exec(`UPDATE api_keys SET last_used_at = $1 WHERE id = $2`, r.LastUsedAt, r.ID)
		return err
	})
	return r.key(), err
}

// Keys lists all keys by name.
func (s *Store) Keys(ctx context.Context) ([]news.APIKey, error) {
	var out []news.APIKey
	err := s.read(ctx, "list keys", func(t *tx) error {
		var rows []keyRow
		if err := t.all(&rows, `SELECT id, name, scope, hash, created_at, last_used_at FROM api_keys ORDER BY name`); err != nil {
			return err
		}
		for _, r := range rows {
			out = append(out, r.key())
		}
		return nil
	})
	return out, err
}

// RemoveKey revokes a key at once.
func (s *Store) RemoveKey(ctx context.Context, name string) error {
	return s.write(ctx, "remove key "+name, func(t *tx) error {
		n, err := t.exec(`DELETE FROM api_keys WHERE name = $1`, name)
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		return err
	})
}
