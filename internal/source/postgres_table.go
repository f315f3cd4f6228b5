package source

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/lib/pq"

	"gazetted/internal/news"
)

// pgTable is a table as it is, and how it is read.
type pgTable struct {
	name      string   // quoted
	idType    string   // to which parameters are cast
	id        string   // quoted column
	stamp     string   // SQL for what changes with the row
	fields    []string // of news.TableFields, in the order in which they are read
	columns   []string // SQL for each of them, as text
	status    string   // SQL; NULL where there is no such column
	published []string
	reading   string
}

// pgColumn is a column of the table.
type pgColumn struct{ name, kind string }

// quotedTable quotes "articles" and "cms.articles".
func quotedTable(name string) string {
	schema, table, qualified := strings.Cut(name, ".")
	if !qualified {
		return pq.QuoteIdentifier(schema)
	}
	return pq.QuoteIdentifier(schema) + "." + pq.QuoteIdentifier(table)
}

// readTable looks at the table and decides how to read it. A column that does
// not exist is a *news.FieldError.
func readTable(ctx context.Context, tx *sql.Tx, s news.SourceSettings) (*pgTable, error) {
	t := &pgTable{name: quotedTable(s.Table.Name), published: s.Table.Published}
	if len(t.published) == 0 {
		t.published = news.DefaultPublished()
	}
	var kind string
	if err := tx.QueryRowContext(ctx, `SELECT relkind::text FROM pg_catalog.pg_class WHERE oid = $1::text::regclass`, t.name).Scan(&kind); err != nil {
		return nil, err
	}
	columns, err := readColumns(ctx, tx, t.name)
	if err != nil {
		return nil, err
	}
	has := func(name string) (pgColumn, bool) {
		i := slices.IndexFunc(columns, func(c pgColumn) bool { return c.name == name })
		if i < 0 {
			return pgColumn{}, false
		}
		return columns[i], true
	}
	t.status = "NULL::text"
	var cheap []string // what a view's version is made of
	all := []string{fmt.Sprintf("%q", t.published)}
	updated := false
	for _, field := range news.TableFields() {
		name, mapped := s.Table.Columns[field]
		if name == "-" {
			continue
		}
		c, ok := has(orElse(name, field))
		if !ok && (mapped || field == "id" || field == "url" || field == "title") {
			return nil, &news.FieldError{Field: "column " + field, Value: orElse(name, field), Want: "a column of the table: " + columnNames(columns)}
		}
		if !ok {
			continue
		}
		expr := c.text()
		all = append(all, field+"="+c.name)
		switch field {
		case "id":
			t.id = pq.QuoteIdentifier(c.name)
			if t.idType = c.idType(); t.idType == "" {
				return nil, &news.FieldError{Field: "column id", Value: c.name, Want: "a column of an integer type, uuid or text (a view may cast it)"}
			}
			continue
		case "status":
			t.status = expr
		case "html", "markdown":
			expr = fmt.Sprintf("left(%s, %d)", expr, maxContent)
		case "updated_at":
			updated = true
		}
		if field != "html" && field != "markdown" {
			cheap = append(cheap, expr)
		}
		t.fields, t.columns = append(t.fields, field), append(t.columns, expr)
	}
	if !updated { // then only the content itself tells that it was changed
		cheap = t.columns
	}
	t.stamp = "xmin::text"
	if kind != "r" { // a view, a foreign or a partitioned table
		t.stamp = "md5(concat_ws(chr(31), " + strings.Join(cheap, ", ") + "))"
	}
	t.reading = readingHash(s, all)
	return t, nil
}

// readColumns lists the columns of a table or view.
func readColumns(ctx context.Context, tx *sql.Tx, table string) ([]pgColumn, error) {
	rows, err := tx.QueryContext(ctx, `SELECT * FROM `+table+` LIMIT 0`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // there are none
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	columns := make([]pgColumn, len(types))
	for i, t := range types {
		columns[i] = pgColumn{name: t.Name(), kind: t.DatabaseTypeName()}
	}
	return columns, rows.Err()
}

func columnNames(columns []pgColumn) string {
	var names []string
	for _, c := range columns {
		names = append(names, c.name)
	}
	return clip(strings.Join(names, ", "), 300)
}

// text is SQL for the column's value as text; of an array as JSON.
func (c pgColumn) text() string {
	if strings.HasPrefix(c.kind, "_") {
		return "array_to_json(" + pq.QuoteIdentifier(c.name) + ")::text"
	}
	return pq.QuoteIdentifier(c.name) + "::text"
}

// idType is the type of an id that can be paged through; "": none of them.
func (c pgColumn) idType() string {
	switch c.kind {
	case "INT2", "INT4", "INT8", "UUID", "TEXT", "VARCHAR", "BPCHAR", "NUMERIC":
		return strings.ToLower(c.kind)
	}
	return ""
}

// page is the query of a sweep after the id last.
func (t *pgTable) page(last sql.NullString) (string, []any) {
	where, args := t.id+" IS NOT NULL", []any(nil)
	if last.Valid {
		where, args = t.id+" > $1::"+t.idType, []any{last.String}
	}
	// Of a bare name ORDER BY would take the column of the answer, which is text.
	return fmt.Sprintf(`SELECT %s::text, %s, %s FROM %s AS r WHERE %s ORDER BY r.%s LIMIT %d`, t.id, t.stamp, t.status, t.name, where, t.id, pgPage), args
}

// full is the query of rows by their ids.
func (t *pgTable) full() string {
	columns := ""
	if len(t.columns) > 0 {
		columns = ", " + strings.Join(t.columns, ", ")
	}
	return fmt.Sprintf(`SELECT %s::text, %s, %s%s FROM %s WHERE %s = ANY ($1::%s[])`, t.id, t.stamp, t.status, columns, t.name, t.id, t.idType)
}

// pgRow is a row in full.
type pgRow struct {
	id            string
	stamp, status sql.NullString
	values        map[string]string // by field; a NULL is not there
}

func (t *pgTable) scan(rows *sql.Rows) (pgRow, error) {
	r := pgRow{values: make(map[string]string, len(t.fields))}
	values := make([]sql.NullString, len(t.fields))
	into := []any{&r.id, &r.stamp, &r.status}
	for i := range values {
		into = append(into, &values[i])
	}
	if err := rows.Scan(into...); err != nil {
		return r, err
	}
	for i, v := range values {
		if v.Valid {
			r.values[t.fields[i]] = v.String
		}
	}
	return r, nil
}

// isPublished tells whether a row with this status is published; every row of a
// table without such a column is.
func (t *pgTable) isPublished(status sql.NullString) bool {
	if t.status == "NULL::text" {
		return true
	}
	return slices.ContainsFunc(t.published, func(p string) bool { return status.Valid && strings.EqualFold(p, strings.TrimSpace(status.String)) })
}

func (t *pgTable) fingerprint(stamp string) string { return t.reading + "|" + stamp }
