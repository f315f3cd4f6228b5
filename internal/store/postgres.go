package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"gazetted/internal/news"
)

// Connecting to PostgreSQL. Nothing here or in our SQL lives longer than a
// transaction (no session locks, settings, prepared statements or temporary
// tables), so that a pooler may give each transaction another server.

// Times of a connection.
const (
	// silentFor is how long a server's machine may leave bytes unacknowledged:
	// a cable that was pulled says nothing. A server at work acknowledges.
	silentFor = 25 * time.Second
	// cutAfter is what a cancelled transaction may take to end in order. A server
	// that is frozen, or behind a proxy that is, never ends it.
	cutAfter = 3 * time.Second
)

func (s *Store) openPostgres(ctx context.Context, dsn string, o Options) error {
	full, err := postgresDSN(dsn)
	if err != nil {
		return err
	}
	c, err := pq.NewConnector(full)
	if err != nil {
		return fmt.Errorf("open database %s: %w", redact(dsn), err)
	}
	c.Dialer(postgresDialer())
	s.d, s.dsn = postgresDialect(), full
	raw := sql.OpenDB(connector{c})
	s.writer = sqlx.NewDb(raw, "postgres")
	s.reader = s.writer
	s.conns = o.Readers + 4
	limit(raw, s.conns)
	if err := raw.PingContext(ctx); err != nil {
		return errors.Join(fmt.Errorf("open database %s: %w", redact(dsn), s.d.explain(err)), raw.Close())
	}
	return nil
}

// postgresDSN completes a DSN.
func postgresDSN(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil {
		return "", &news.FieldError{Field: "database", Value: redact(dsn), Want: "a URL such as postgres://USER@HOST/NAME"}
	}
	q := u.Query()
	setDefault := func(key, value string) {
		if !q.Has(key) {
			q.Set(key, value)
		}
	}
	// PgBouncer in transaction mode answers the wrong query to unnamed prepared
	// statements unless parameters travel with the query.
	setDefault("binary_parameters", "yes")
	setDefault("connect_timeout", "10")
	// lib/pq takes several hosts only as parameters.
	if strings.Contains(u.Host, ",") {
		var hosts, ports []string
		for part := range strings.SplitSeq(u.Host, ",") {
			host, port, err := net.SplitHostPort(part)
			if err != nil {
				host, port = part, "5432"
			}
			hosts, ports = append(hosts, host), append(ports, port)
		}
		u.Host = ""
		q.Set("host", strings.Join(hosts, ","))
		q.Set("port", strings.Join(ports, ","))
	}
	if strings.Contains(q.Get("host"), ",") { // of a pair, only one takes writes
		setDefault("target_session_attrs", "primary")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// explainPostgres puts a person's words before what people meet, and tells
// what is nobody's mistake and may pass: news.ErrUnavailable.
func explainPostgres(err error) error {
	if isStandby(err) {
		return fmt.Errorf("%w: the server is a standby, which only reads; name the primary, or both as postgres://USER@ONE,TWO/NAME: %w", news.ErrUnavailable, err)
	}
	if e, ok := errors.AsType[*pq.Error](err); ok {
		switch {
		case e.Code == "53300":
			return fmt.Errorf("%w: the server takes no more connections: %w", news.ErrUnavailable, err)
		case e.Code == "53100":
			return fmt.Errorf("%w: the disk is full: %w", news.ErrUnavailable, err)
		// Connection exceptions, lack of resources, shutting down or starting up.
		case e.Code.Class() == "08", e.Code.Class() == "53", strings.HasPrefix(string(e.Code), "57P"):
			return fmt.Errorf("%w: %w", news.ErrUnavailable, err)
		}
		return err
	}
	if _, ok := errors.AsType[net.Error](err); ok && !errors.Is(err, context.DeadlineExceeded) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: the server does not answer: %w", news.ErrUnavailable, err)
	}
	return err
}

// errReadOnly says that a standby was asked to write.
var errReadOnly = errors.New("the database only reads")

// isStandby tells errors of a server that is a standby, or has become one.
func isStandby(err error) bool {
	e, ok := errors.AsType[*pq.Error](err)
	return errors.Is(err, errReadOnly) || ok && e.Code == "25006" // read_only_sql_transaction
}

// postgresDialer notices a server that has gone without a word.
func postgresDialer() *dialer {
	return &dialer{net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: silentFor / 5 * 2, Interval: silentFor / 5, Count: 3},
		Control:         limitSilence,
	}}
}

// dialer fits what lib/pq asks for.
type dialer struct{ net.Dialer }

// DialTimeout implements pq.Dialer.
func (d *dialer) DialTimeout(network, address string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return d.DialContext(ctx, network, address)
}

// DialContext tells the connection that asks for it its socket.
func (d *dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := d.Dialer.DialContext(ctx, network, address)
	if socket, ok := ctx.Value(socketKey{}).(*net.Conn); ok && err == nil {
		*socket = c
	}
	return c, err
}

type socketKey struct{}

// connector makes connections that end soon after the context of their
// transaction. lib/pq asks the server to cancel, and then waits for its answer
// for ever.
type connector struct{ driver.Connector }

// Connect implements driver.Connector.
func (c connector) Connect(ctx context.Context) (driver.Conn, error) {
	var socket net.Conn
	inner, err := c.Connector.Connect(context.WithValue(ctx, socketKey{}, &socket))
	if err != nil {
		return nil, err
	}
	whole, ok := inner.(pqConn)
	if !ok || socket == nil {
		return nil, errors.Join(errors.New("lib/pq is not the version that this was written for"), inner.Close())
	}
	return &conn{pqConn: whole, socket: socket}, nil
}

// pqConn is all that database/sql finds in a connection of lib/pq.
type pqConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.QueryerContext
	driver.ExecerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
	driver.NamedValueChecker
}

type conn struct {
	pqConn
	socket  net.Conn
	gone    atomic.Bool // the socket was cut
	watched bool        // by the transaction under way
}

// IsValid implements driver.Validator.
func (c *conn) IsValid() bool { return !c.gone.Load() && c.pqConn.IsValid() }

// QueryContext implements driver.QueryerContext.
func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if !c.watched {
		defer c.cutBehind(ctx)()
	}
	return c.pqConn.QueryContext(ctx, query, args)
}

// ExecContext implements driver.ExecerContext.
func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if !c.watched {
		defer c.cutBehind(ctx)()
	}
	return c.pqConn.ExecContext(ctx, query, args)
}

// BeginTx implements driver.ConnBeginTx.
func (c *conn) BeginTx(ctx context.Context, o driver.TxOptions) (driver.Tx, error) {
	cut := c.cutBehind(ctx)
	stop := func() { cut(); c.watched = false }
	c.watched = true
	inner, err := c.pqConn.BeginTx(ctx, o)
	if err != nil {
		stop()
		// "cannot set transaction read-write mode during recovery" has the code of
		// what PostgreSQL cannot do at all: BEGIN asks for nothing else.
		if e, ok := errors.AsType[*pq.Error](err); ok && e.Code == "0A000" {
			err = fmt.Errorf("%w: %w", errReadOnly, err)
		}
		return nil, err
	}
	return &connTx{Tx: inner, ctx: ctx, stop: stop}, nil
}

// cutBehind cuts the connection some time after ctx has ended, unless stopped.
func (c *conn) cutBehind(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	over, end := context.WithCancel(context.WithoutCancel(ctx))
	unset := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(cutAfter)
		defer timer.Stop()
		select {
		case <-timer.C:
			c.gone.Store(true)
			_ = c.socket.SetDeadline(time.Unix(1, 0)) // whoever waits for it is told
		case <-over.Done():
		}
	})
	return func() { unset(); end() }
}

type connTx struct {
	driver.Tx
	ctx  context.Context
	stop func()
}

// Commit implements driver.Tx. A commit that was cancelled while it waited for
// its synchronous standby is reported as a success with a warning: it is on
// this server alone, and lost if the standby takes over.
func (t *connTx) Commit() error {
	defer t.stop()
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return t.ctx.Err()
}

// Rollback implements driver.Tx.
func (t *connTx) Rollback() error {
	defer t.stop()
	return t.Tx.Rollback()
}
