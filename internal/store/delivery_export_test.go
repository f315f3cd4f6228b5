package store

import (
	"context"
	"fmt"
	"strings"
)

// Query is a statement with arguments, for tests of query plans.
type Query struct {
	SQL  string
	Args []any
}

// groupArgs are those of inGroup.
func groupArgs(more ...any) []any {
	return append([]any{int64(1), "daily", "", "[]", "", int64(0), int64(7)}, more...)
}

// OutboxQueries are the statements that run again and again over the largest tables.
func (s *Store) OutboxQueries() map[string]Query {
	return map[string]Query{
		"due lists":  {SQL: dueListsQuery, Args: []any{"edition", int64(1)}},
		"due":        {SQL: dueQuery + dueOrder + s.d.skipLocked, Args: []any{"edition", int64(1), int64(1), 500}},
		"readers":    {SQL: readersQuery + s.d.inInts("$1"), Args: []any{"[1,2,3]"}},
		"leased":     {SQL: leasedQuery + s.d.skipLocked, Args: []any{int64(1), int64(2)}},
		"finishable": {SQL: finishable},
		"accept":     {SQL: acceptOne, Args: []any{int64(1), "t", int64(1), "", int64(0), "", ""}},
		"dot":        {SQL: dotOne, Args: []any{int64(1), "t", int64(1), ""}},
		"batch":      {SQL: batchQuery(s.d), Args: groupArgs(5000)},
		"queue":      {SQL: queueQuery(s.d), Args: groupArgs(int64(99), int64(1), int64(1), int64(1), int64(1))},
		"move":       {SQL: moveQuery, Args: []any{int64(1), int64(1 << 40), int64(1), int64(7), int64(99)}},
		"tally":      {SQL: tallyQuery, Args: []any{int64(1)}},
		"oldest":     {SQL: oldestQuery},
		"audience":   {SQL: audienceQuery, Args: []any{int64(1), "weekly", "", int64(1)}},
	}
}

// Explain returns the plan of a statement, one step a line.
func (s *Store) Explain(ctx context.Context, q Query) (string, error) {
	verb := "EXPLAIN "
	if s.d.name == "sqlite" {
		verb = "EXPLAIN QUERY PLAN "
	}
	rows, err := s.writer.QueryxContext(ctx, s.d.bind(verb+q.SQL), q.Args...)
	if err != nil {
		return "", err
	}
	defer func() { _ = rows.Close() }()
	var out strings.Builder
	for rows.Next() {
		cols, err := rows.SliceScan()
		if err != nil {
			return "", err
		}
		step := cols[len(cols)-1]
		if b, ok := step.([]byte); ok {
			step = string(b)
		}
		fmt.Fprintln(&out, step)
	}
	return out.String(), rows.Err()
}

// Exec runs a statement that fills tables faster than any method.
func (s *Store) Exec(ctx context.Context, q string, args ...any) error {
	_, err := s.writer.ExecContext(ctx, s.d.bind(q), args...)
	return err
}

// Pragma reads a setting of the writing connection.
func (s *Store) Pragma(ctx context.Context, name string) (string, error) {
	var v string
	err := s.writer.GetContext(ctx, &v, `PRAGMA `+name)
	return v, err
}
