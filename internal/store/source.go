package store

import (
	"context"
	"fmt"
	"time"

	"gazetted/internal/news"
)

type sourceRow struct {
	ID          int64  `db:"id"`
	Name        string `db:"name"`
	Kind        string `db:"kind"`
	Location    string `db:"location"`
	Settings    string `db:"settings"`
	CreatedAt   int64  `db:"created_at"`
	ActivatedAt int64  `db:"activated_at"`
	LastAt      int64  `db:"last_at"`
	NextAt      int64  `db:"next_at"`
	Failures    int    `db:"failures"`
	Error       string `db:"error"`
	Notes       string `db:"notes"`
	Cursor      string `db:"cursor"`
	Secret      string `db:"secret"`
	HookSerial  int64  `db:"hook_serial"`
}

const sourceColumns = `id, name, kind, location, settings, created_at, activated_at, last_at, next_at, failures, error, notes, cursor, secret, hook_serial`

func (r sourceRow) source() (news.Source, error) {
	s := news.Source{
		ID: r.ID, Name: r.Name, Kind: news.SourceKind(r.Kind), Location: r.Location,
		Secret: news.Hide(r.Secret), HookSerial: r.HookSerial, CreatedAt: at(r.CreatedAt), ActivatedAt: at(r.ActivatedAt),
		Look: news.Look{LastAt: at(r.LastAt), NextAt: at(r.NextAt), Failures: r.Failures, Err: r.Error, Cursor: r.Cursor},
	}
	if err := decode(r.Settings, &s.Settings); err != nil {
		return s, err
	}
	return s, decode(r.Notes, &s.Look.Notes)
}

// AddSource stores a new source, due at once. A source of the same kind and
// location that was removed before comes back with its articles known, as an
// archive: nothing of it is mailed a second time. A taken name is ErrExists.
func (s *Store) AddSource(ctx context.Context, src news.Source) (news.Source, error) {
	if src.Settings.Poll == 0 {
		src.Settings.Poll = news.Duration(news.DefaultPoll)
	}
	if err := src.Validate(); err != nil {
		return news.Source{}, err
	}
	var out news.Source
	err := s.write(ctx, "add source", func(t *tx) error {
		settings, err := encode(src.Settings)
		if err != nil {
			return err
		}
		activated := int64(0)
		if src.Kind == news.SourcePush { // what is pushed is news from the first one on
			activated = ms(t.now)
		}
		id, err := t.removedSource(src)
		if err != nil {
			return err
		}
		if id != 0 {
			_, err = t.exec(`UPDATE sources SET name = $1, settings = $2, activated_at = $3, removed_at = 0, next_at = $4, leased_until = 0,
				failures = 0, error = '', notes = '[]', cursor = '', secret = $5, hook_serial = hook_serial + 1 WHERE id = $6`,
				src.Name, settings, activated, ms(t.now), src.Secret.Reveal(), id)
		} else {
			id, err = t.insert(`INSERT INTO sources (name, kind, location, settings, created_at, activated_at, next_at, secret)
				VALUES ($1, $2, $3, $4, $5, $6, $5, $7) RETURNING id`, src.Name, string(src.Kind), src.Location, settings, ms(t.now), activated, src.Secret.Reveal())
		}
		if err != nil {
			return fmt.Errorf("name %q: %w", src.Name, err)
		}
		t.wake(news.WakeSources)
		out, err = t.source(`WHERE id = $1`, id)
		return err
	})
	return out, err
}

// removedSource finds the removed row that src brings back; 0: none. A push
// source has no location: it comes back by its name.
func (t *tx) removedSource(src news.Source) (int64, error) {
	var ids []int64
	err := t.all(&ids, `SELECT id FROM sources WHERE removed_at > 0 AND kind = $1 AND location = $2 AND (location <> '' OR name = $3 || '~' || id)
		ORDER BY id DESC LIMIT 1`, string(src.Kind), src.Location, src.Name)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	return ids[0], nil
}

func (t *tx) source(where string, args ...any) (news.Source, error) {
	var r sourceRow
	if err := t.get(&r, `SELECT `+sourceColumns+` FROM sources `+where, args...); err != nil {
		return news.Source{}, err
	}
	return r.source()
}

func (t *tx) sources() ([]news.Source, error) {
	var rows []sourceRow
	if err := t.all(&rows, `SELECT `+sourceColumns+` FROM sources WHERE removed_at = 0 ORDER BY name`); err != nil {
		return nil, err
	}
	out := make([]news.Source, 0, len(rows))
	for _, r := range rows {
		src, err := r.source()
		if err != nil {
			return nil, err
		}
		out = append(out, src)
	}
	return out, nil
}

// Sources lists all sources by name.
func (s *Store) Sources(ctx context.Context) ([]news.Source, error) {
	var out []news.Source
	err := s.read(ctx, "list sources", func(t *tx) error {
		var err error
		out, err = t.sources()
		return err
	})
	return out, err
}

// SourceByName returns one source, or news.ErrNotFound.
func (s *Store) SourceByName(ctx context.Context, name string) (news.Source, error) {
	var out news.Source
	err := s.read(ctx, "read source "+name, func(t *tx) (err error) {
		out, err = t.source(`WHERE name = $1 AND removed_at = 0`, name)
		return err
	})
	return out, err
}

// RemoveSource stops watching and takes the source's articles out of all
// feeds. They stay known: adding the source again mails none of them.
func (s *Store) RemoveSource(ctx context.Context, name string) error {
	return s.write(ctx, "remove source "+name, func(t *tx) error {
		src, err := t.source(`WHERE name = $1 AND removed_at = 0`, name)
		if err != nil {
			return err
		}
		var ids []int64
		if err := t.all(&ids, `SELECT id FROM articles WHERE source_id = $1 AND state <> 'withdrawn'`, src.ID); err != nil {
			return err
		}
		touched := touchedTerms{}
		for _, id := range ids {
			if err := t.withdraw(id, touched); err != nil {
				return err
			}
		}
		if err := t.feedsChanged(touched, len(ids) > 0); err != nil {
			return err
		}
		t.wake(news.WakeSources)
		_, err = t.exec(`UPDATE sources SET name = name || '~' || id, removed_at = $1, secret = '' WHERE id = $2`, ms(t.now), src.ID)
		return err
	})
}

// PollNow makes the source due at once.
func (s *Store) PollNow(ctx context.Context, name string) error {
	return s.write(ctx, "poll source "+name, func(t *tx) error {
		n, err := t.exec(`UPDATE sources SET next_at = $1 WHERE name = $2 AND removed_at = 0`, ms(t.now), name)
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		t.wake(news.WakeSources)
		return err
	})
}

// PollSoon makes the source due at once, or gap after its last look. However
// often it is called, the source is not looked at more often.
func (s *Store) PollSoon(ctx context.Context, sourceID int64, gap time.Duration) error {
	return s.write(ctx, "poll source", func(t *tx) error {
		src, err := t.source(`WHERE id = $1 AND removed_at = 0`, sourceID)
		if err != nil {
			return err
		}
		due := t.now
		if after := src.Look.LastAt.Add(gap); after.After(due) && !after.After(due.Add(gap)) { // a clock that was set back holds nothing up
			due = after
		}
		if !src.Look.NextAt.After(due) {
			return nil
		}
		t.wake(news.WakeSources)
		_, err = t.exec(`UPDATE sources SET next_at = $1 WHERE id = $2`, ms(due), sourceID)
		return err
	})
}

// SetSourceSecret replaces the key or password that a source is read with, and
// makes it due.
func (s *Store) SetSourceSecret(ctx context.Context, name string, secret news.Hidden) error {
	return s.write(ctx, "set secret of source "+name, func(t *tx) error {
		n, err := t.exec(`UPDATE sources SET secret = $1, next_at = $2 WHERE name = $3 AND removed_at = 0`, secret.Reveal(), ms(t.now), name)
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		t.wake(news.WakeSources)
		return err
	})
}

// RenewHook makes the addresses of a source's hook that were given out so far
// invalid, and returns the source as it is then.
func (s *Store) RenewHook(ctx context.Context, name string) (news.Source, error) {
	var out news.Source
	err := s.write(ctx, "renew hook of source "+name, func(t *tx) error {
		n, err := t.exec(`UPDATE sources SET hook_serial = hook_serial + 1 WHERE name = $1 AND removed_at = 0`, name)
		if err == nil && n == 0 {
			err = news.ErrNotFound
		}
		if err != nil {
			return err
		}
		out, err = t.source(`WHERE name = $1 AND removed_at = 0`, name)
		return err
	})
	return out, err
}

// ClaimSource returns a due source that nobody else looks at, and keeps others
// from it until FinishLook or until lease has passed. ok is false if none is due.
// A source whose last look lies ahead is due: the clock was set back since, and
// the next look may lie as far ahead.
func (s *Store) ClaimSource(ctx context.Context, lease time.Duration) (src news.Source, ok bool, err error) {
	err = s.write(ctx, "claim source", func(t *tx) error {
		var ids []int64
		if err := t.all(&ids, `SELECT id FROM sources WHERE removed_at = 0 AND kind <> 'push' AND (next_at <= $1 OR last_at > $2)
			AND (leased_until <= $3 OR leased_until > $4) ORDER BY next_at, id LIMIT 1`+t.d.skipLocked,
			ms(t.now), ms(t.now.Add(clockBack)), ms(t.lease), ms(t.lease.Add(2*lease))); err != nil || len(ids) == 0 {
			return err
		}
		if _, err := t.exec(`UPDATE sources SET leased_until = $1 WHERE id = $2`, ms(t.lease.Add(lease)), ids[0]); err != nil {
			return err
		}
		ok = true
		src, err = t.source(`WHERE id = $1`, ids[0])
		return err
	})
	return src, ok, err
}

// MoveSource gives a source another location, of the same kind.
func (s *Store) MoveSource(ctx context.Context, sourceID int64, location string) error {
	return s.write(ctx, "move source", func(t *tx) error {
		_, err := t.exec(`UPDATE sources SET location = $1 WHERE id = $2`, clean(location), sourceID)
		return err
	})
}

// maxNotes bounds what is kept of a look's complaints.
const maxNotes = 20

// FinishLook records a look and ends the claim. activate ends the first run:
// what is found from now on is news.
func (s *Store) FinishLook(ctx context.Context, sourceID int64, look news.Look, activate bool) error {
	if len(look.Notes) > maxNotes {
		look.Notes = look.Notes[:maxNotes]
	}
	return s.write(ctx, "finish look", func(t *tx) error {
		notes, err := encode(look.Notes)
		if err != nil {
			return err
		}
		_, err = t.exec(`UPDATE sources SET last_at = $1, next_at = $2, failures = $3, error = $4, notes = $5, cursor = $6, leased_until = 0
			WHERE id = $7`, ms(look.LastAt), ms(look.NextAt), look.Failures, clean(look.Err), clean(notes), look.Cursor, sourceID)
		if err == nil && activate {
			_, err = t.exec(`UPDATE sources SET activated_at = $1 WHERE id = $2 AND activated_at = 0`, ms(t.now), sourceID)
		}
		return err
	})
}
