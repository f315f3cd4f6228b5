package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/jmoiron/sqlx"
)

// querier is what a transaction needs of its connection.
type querier interface {
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// prepared is the one connection that writes to an SQLite file, with the
// statements that it has run so far: parsing SQL took a third of the time of
// sending a mail. Only whoever has the group's turn may use it.
//
// PostgreSQL has none of this: prepared statements break behind a pooler in
// transaction mode.
type prepared struct {
	db    *sqlx.DB
	conn  *sqlx.Conn // nil: to be opened
	stmts map[string]*sqlx.Stmt
	raw   map[string]driver.Stmt // of each
}

// maxPrepared bounds the statements; our SQL has fewer texts than that.
const maxPrepared = 500

func newPrepared(db *sqlx.DB) *prepared {
	return &prepared{db: db, stmts: map[string]*sqlx.Stmt{}, raw: map[string]driver.Stmt{}}
}

// begin starts a transaction that has the write lock from its first moment.
func (p *prepared) begin(ctx context.Context) error {
	if p.conn == nil {
		conn, err := p.db.Connx(ctx)
		if err != nil {
			return err
		}
		p.conn = conn
	}
	_, err := p.ExecContext(ctx, `BEGIN IMMEDIATE`)
	if err != nil {
		err = errors.Join(err, p.reset())
	}
	return err
}

func (p *prepared) commit(ctx context.Context) error {
	_, err := p.ExecContext(ctx, `COMMIT`)
	return err
}

// rollback undoes the transaction. A connection that cannot even do that, or
// on which SQLite has undone the transaction itself, is not used again.
func (p *prepared) rollback(ctx context.Context) {
	if _, err := p.ExecContext(ctx, `ROLLBACK`); err != nil {
		_ = p.reset() // the next transaction opens a new connection
	}
}

// reset closes the connection; the next transaction opens another one.
func (p *prepared) reset() error {
	var errs []error
	for _, stmt := range p.stmts {
		errs = append(errs, stmt.Close())
	}
	clear(p.stmts)
	if p.conn != nil {
		errs = append(errs, p.conn.Raw(func(any) error {
			var errs []error
			for _, stmt := range p.raw {
				errs = append(errs, stmt.Close())
			}
			return errors.Join(errs...)
		}))
		clear(p.raw)
		errs = append(errs, p.conn.Close())
		p.conn = nil
	}
	return errors.Join(errs...)
}

// statement returns the prepared statement of query; nil: it is not kept.
func (p *prepared) statement(ctx context.Context, query string) (*sqlx.Stmt, error) {
	if stmt, ok := p.stmts[query]; ok {
		return stmt, nil
	}
	if len(p.stmts) >= maxPrepared {
		return nil, nil
	}
	stmt, err := p.conn.PreparexContext(ctx, query)
	if err != nil {
		return nil, err
	}
	p.stmts[query] = stmt
	return stmt, nil
}

// each runs a statement n times with the arguments of args(i), and sets
// changed[i] if it changed a row. It goes past database/sql, whose bookkeeping
// takes as long as such a statement.
func (p *prepared) each(ctx context.Context, query string, n int, args func(i int) []any, changed []bool) error {
	return p.conn.Raw(func(c any) error {
		stmt, ok := p.raw[query]
		if !ok {
			var err error
			if stmt, err = c.(driver.ConnPrepareContext).PrepareContext(ctx, query); err != nil {
				return err
			}
			p.raw[query] = stmt
		}
		var named []driver.NamedValue
		for i := range n {
			named = named[:0]
			for j, v := range args(i) {
				named = append(named, driver.NamedValue{Ordinal: j + 1, Value: v})
			}
			result, err := stmt.(driver.StmtExecContext).ExecContext(ctx, named)
			if err != nil {
				return err
			}
			rows, err := result.RowsAffected()
			if err != nil {
				return err
			}
			changed[i] = rows > 0
		}
		return nil
	})
}

// GetContext implements querier.
func (p *prepared) GetContext(ctx context.Context, dest any, query string, args ...any) error {
	stmt, err := p.statement(ctx, query) //nolint:sqlclosecheck // kept for the next transaction; reset closes it
	if err != nil {
		return err
	}
	if stmt == nil {
		return p.conn.GetContext(ctx, dest, query, args...)
	}
	return stmt.GetContext(ctx, dest, args...)
}

// SelectContext implements querier.
func (p *prepared) SelectContext(ctx context.Context, dest any, query string, args ...any) error {
	stmt, err := p.statement(ctx, query) //nolint:sqlclosecheck // kept for the next transaction; reset closes it
	if err != nil {
		return err
	}
	if stmt == nil {
		return p.conn.SelectContext(ctx, dest, query, args...)
	}
	return stmt.SelectContext(ctx, dest, args...)
}

// ExecContext implements querier.
func (p *prepared) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	stmt, err := p.statement(ctx, query) //nolint:sqlclosecheck // kept for the next transaction; reset closes it
	if err != nil {
		return nil, err
	}
	if stmt == nil {
		return p.conn.ExecContext(ctx, query, args...)
	}
	return stmt.ExecContext(ctx, args...)
}
