package store_test

import (
	"database/sql"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gazetted/internal/dbtest"
	"gazetted/internal/store"
)

// column is one of a table, as the database tells.
type column struct{ name, kind string }

// upgrade is a database that is brought from its first schema to the newest, with rows of
// every age.
type upgrade struct {
	*testing.T
	db     *sql.DB
	listed string // SELECT table, column, type
	tables map[string][]column
	rows   []row
}

// row is the one that was stored at a step, in the columns that there were before it.
type row struct {
	table   string
	step    int64
	columns []column
}

// value is what a row of that step has in a column.
func (c column) value(step int64) any {
	switch k := strings.ToLower(c.kind); {
	case strings.Contains(k, "int"):
		return step
	case strings.Contains(k, "bool"):
		return true
	default:
		return fmt.Sprintf("[%d]", step)
	}
}

func (u *upgrade) look() map[string][]column {
	u.Helper()
	rows, err := u.db.QueryContext(u.Context(), u.listed)
	if err != nil {
		u.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string][]column{}
	for rows.Next() {
		var table string
		var c column
		if err := rows.Scan(&table, &c.name, &c.kind); err != nil {
			u.Fatal(err)
		}
		out[table] = append(out[table], c)
	}
	if err := rows.Err(); err != nil {
		u.Fatal(err)
	}
	return out
}

// insert stores a row in each table, as a binary would that knows these columns. Tables
// refer to one another: it goes round until all have theirs.
func (u *upgrade) insert(tables map[string][]column, step int64) {
	u.Helper()
	left := slices.Sorted(maps.Keys(tables))
	for len(left) > 0 {
		var again []string
		var reasons []error
		for _, table := range left {
			names, holes, args := []string{}, []string{}, []any{}
			for i, c := range tables[table] {
				names, holes, args = append(names, c.name), append(holes, fmt.Sprintf("$%d", i+1)), append(args, c.value(step))
			}
			q := fmt.Sprintf(`INSERT INTO %s (%s) VALUES (%s)`, table, strings.Join(names, ", "), strings.Join(holes, ", "))
			if _, err := u.db.ExecContext(u.Context(), q, args...); err != nil {
				again, reasons = append(again, table), append(reasons, err)
				continue
			}
			u.rows = append(u.rows, row{table, step, tables[table]})
		}
		if len(again) == len(left) {
			u.Fatalf("step %d: what the version before writes is refused in %v: %v", step, again, reasons)
		}
		left = again
	}
}

// kept demands that every row is there, as it was stored.
func (u *upgrade) kept(step int64) {
	u.Helper()
	for _, r := range u.rows {
		where, args := []string{}, []any{}
		for i, c := range r.columns {
			where, args = append(where, fmt.Sprintf("%s = $%d", c.name, i+1)), append(args, c.value(r.step))
		}
		n := 0
		q := fmt.Sprintf(`SELECT count(*) FROM %s WHERE %s`, r.table, strings.Join(where, " AND "))
		if err := u.db.QueryRowContext(u.Context(), q, args...).Scan(&n); err != nil || n != 1 {
			u.Errorf("step %d: %s has the row of step %d %d times: %v", step, r.table, r.step, n, err)
		}
	}
}

// Each step keeps the rows that are there, and lets the version before read and write as
// it is used to (CONTRIBUTING.md, "Changing the database"). A step that cannot, and says so
// in oldest_schema, needs an exception here.
func TestEachStepKeepsRowsAndTheVersionBefore(t *testing.T) {
	t.Parallel()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "gazetted.db")
		walkUp(t, "sqlite:"+path, "sqlite", "file:"+path+"?_pragma=busy_timeout(10000)", `SELECT m.name, c.name, c.type FROM sqlite_master m, pragma_table_info(m.name) c
			WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'goose_db_version'`)
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		dsn := dbtest.PostgresDSN(t)
		walkUp(t, dsn, "postgres", dsn, `SELECT table_name, column_name, data_type FROM information_schema.columns
			WHERE table_schema = current_schema() AND table_name <> 'goose_db_version'`)
	})
}

func walkUp(t *testing.T, dsn, driver, raw, listed string) {
	t.Helper()
	s, err := store.Open(t.Context(), dsn, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	db, err := sql.Open(driver, raw)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	u := &upgrade{T: t, db: db, listed: listed}
	steps, err := s.Schemas()
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range steps {
		if err := s.MigrateTo(t.Context(), step); err != nil {
			t.Fatal(err)
		}
		u.kept(step)
		u.insert(u.tables, step)
		now := u.look()
		fresh := map[string][]column{}
		for table, columns := range now {
			if _, known := u.tables[table]; !known {
				fresh[table] = columns
			}
		}
		u.insert(fresh, step)
		u.tables = now
		u.kept(step)
	}
	if len(u.rows) < len(steps)*10 {
		t.Errorf("%d rows only", len(u.rows))
	}
}
