package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"

	"gazetted/internal/news"
	"gazetted/migrations"
)

// provider knows the steps of this binary for this database.
func (s *Store) provider() (*goose.Provider, error) {
	var steps fs.FS
	dialect := goose.DialectSQLite3
	if s.d.name == "postgres" {
		steps, dialect = migrations.Postgres(), goose.DialectPostgres
	} else {
		steps = migrations.SQLite()
	}
	return goose.NewProvider(dialect, s.writer.DB, steps, goose.WithDisableGlobalRegistry(true))
}

// Migrate brings the schema up to this binary's. It refuses a PostgreSQL
// standby, and what CheckSchema refuses. Steps that another process applies at
// the same time are waited for.
func (s *Store) Migrate(ctx context.Context) error {
	unlock, err := s.lockSchema(ctx)
	if err != nil {
		return fmt.Errorf("migrate: %w", s.d.explain(err))
	}
	defer unlock()
	have, want, err := s.Schema(ctx)
	if err != nil {
		return err
	}
	if have >= want {
		return s.CheckSchema(ctx)
	}
	for {
		p, err := s.provider()
		if err != nil {
			return fmt.Errorf("migrate: %w", err)
		}
		if _, err = p.Up(ctx); err == nil {
			return nil
		}
		// On SQLite another process may have applied the same step between our look
		// and our attempt: then all is well, or the next step is to be tried.
		now, _, schemaErr := s.Schema(ctx)
		switch {
		case schemaErr == nil && now == want:
			return nil
		case schemaErr == nil && now > have:
			have = now
		default:
			return fmt.Errorf("migrate: %w", s.d.explain(err))
		}
	}
}

// lockSchema lets replicas that start together migrate one after the other. The
// lock is that of an open transaction, which a pooler leaves alone; one of a
// session would come to lie on whatever server it gives next.
func (s *Store) lockSchema(ctx context.Context) (unlock func(), err error) {
	if s.d.name != "postgres" {
		return func() {}, nil
	}
	raw, err := s.writer.BeginTxx(ctx, nil)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{
		`SET LOCAL idle_in_transaction_session_timeout = 0`,
		`SELECT pg_advisory_xact_lock(hashtextextended('gazetted schema ' || coalesce(current_schema(), ''), 0))`,
	} {
		if _, err := raw.ExecContext(ctx, q); err != nil {
			return nil, errors.Join(err, raw.Rollback())
		}
	}
	return func() { _ = raw.Rollback() }, nil // the lock goes with its connection, if that was lost
}

// Schema returns the version of the database and the newest that this binary
// knows; 0 is a database without our tables. It only reads.
func (s *Store) Schema(ctx context.Context) (have, want int64, err error) {
	err = s.read(ctx, "read schema version", func(t *tx) (err error) {
		have, err = t.schemaVersion()
		return err
	})
	return have, s.schema, err
}

// schemaVersion is 0 for a database without our tables.
func (t *tx) schemaVersion() (version int64, err error) {
	var tables int
	if err := t.get(&tables, t.d.versionTable); err != nil || tables == 0 {
		return 0, err
	}
	err = t.get(&version, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`)
	return version, err
}

// newestSchema is the schema of this binary, for SQLite; both databases have
// the same steps.
func newestSchema() (int64, error) {
	files, err := fs.Glob(migrations.SQLite(), "*.sql")
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	return goose.NumericComponent(files[len(files)-1])
}

// CheckSchema is nil if this binary may work on the database: it has the
// binary's schema, or a newer one that was made for older binaries, too (see
// oldest_schema in the migrations), as while replicas are replaced one by one.
// Else it is ErrOlderSchema or ErrNewerSchema.
func (s *Store) CheckSchema(ctx context.Context) error {
	have, want, err := s.Schema(ctx)
	switch {
	case err != nil:
		return err
	case have < want:
		return fmt.Errorf("schema %d, this binary needs %d: %w", have, want, ErrOlderSchema)
	case have == want:
		return nil
	}
	h, err := s.Halted(ctx)
	if err == nil && h == news.HaltSchema {
		err = fmt.Errorf("schema %d, this binary knows %d: %w", have, want, ErrNewerSchema)
	}
	return err
}

// newestStep is the schema of this binary.
func (s *Store) newestStep() (int64, error) {
	p, err := s.provider()
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	newest := int64(0)
	for _, step := range p.ListSources() {
		newest = max(newest, step.Version)
	}
	return newest, nil
}
