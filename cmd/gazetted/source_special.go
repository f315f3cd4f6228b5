package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gazetted/internal/news"
	"gazetted/internal/source"
	"gazetted/internal/store"
)

// specialFlags are the flags of `source add` that only one kind of source has.
type specialFlags struct {
	keyFile      string
	omitMembers  bool
	passwordFile string
	table        string
	columns      []string
	published    []string
}

func (f *specialFlags) add(c *cobra.Command) {
	c.Flags().StringVar(&f.keyFile, "key-file", "", "ghost: `FILE` whose first line is a Content API key")
	c.Flags().BoolVar(&f.omitMembers, "omit-members", false, "ghost: leave articles out that not everybody may read (default: title and link)")
	c.Flags().StringVar(&f.passwordFile, "password-file", "", "postgres: `FILE` whose first line is the password")
	c.Flags().StringVar(&f.table, "table", "", "postgres: the `TABLE` or view to read, such as cms.articles")
	c.Flags().StringArrayVar(&f.columns, "column", nil, "postgres: `FIELD=COLUMN`: which column holds what; - for none (default: the column of the field's name)")
	c.Flags().StringArrayVar(&f.published, "published", nil, "postgres: a `VALUE` of the status column that means published (default: "+strings.Join(news.DefaultPublished(), ", ")+")")
}

// complete puts them into src, and refuses those of another kind.
func (f *specialFlags) complete(src *news.Source) error {
	for _, flag := range []struct {
		name  string
		given bool
		kind  news.SourceKind
	}{
		{"--key-file", f.keyFile != "", news.SourceGhost}, {"--omit-members", f.omitMembers, news.SourceGhost},
		{"--password-file", f.passwordFile != "", news.SourcePostgres}, {"--table", f.table != "", news.SourcePostgres},
		{"--column", len(f.columns) > 0, news.SourcePostgres}, {"--published", len(f.published) > 0, news.SourcePostgres},
	} {
		if flag.given && flag.kind != src.Kind {
			return &news.FieldError{Field: flag.name, Want: "a source of kind " + string(flag.kind) + ": one of kind " + string(src.Kind) + " has no such setting"}
		}
	}
	switch src.Kind {
	case news.SourceGhost:
		src.Settings.OmitMembers = f.omitMembers
		if f.keyFile == "" {
			return &news.FieldError{Field: "--key-file", Want: "a file with a Content API key (in Ghost: Settings, Integrations, Add custom integration)"}
		}
		return readSecret(src, f.keyFile)
	case news.SourcePostgres:
		return f.completeTable(src)
	default:
		return nil
	}
}

// completeTable makes the settings of a postgres source. The table is part of
// the location, so that two tables of one database are two places.
func (f *specialFlags) completeTable(src *news.Source) error {
	t := &news.SourceTable{Name: f.table, Published: f.published, Channel: source.DefaultChannel(src.Name)}
	for _, c := range f.columns {
		field, column, ok := strings.Cut(c, "=")
		if !ok {
			return &news.FieldError{Field: "--column", Value: c, Want: "FIELD=COLUMN, such as html=body; the fields are " + strings.Join(news.TableFields(), ", ")}
		}
		if t.Columns == nil {
			t.Columns = map[string]string{}
		}
		t.Columns[field] = column
	}
	src.Settings.Table = t
	if err := src.Validate(); err != nil {
		return err
	}
	src.Location += "#" + url.PathEscape(f.table)
	if f.passwordFile == "" {
		return nil // a certificate, a socket, or a server that trusts
	}
	return readSecret(src, f.passwordFile)
}

func (a *app) sourceSQL() *cobra.Command {
	return &cobra.Command{
		Use: "sql NAME", Short: "Show the trigger with which a publisher's database says that it has something new", Args: cobra.ExactArgs(1),
		Long: `Prints SQL to be run in the publisher's database by the owner of the table. With
it a change is seen within seconds; without it at the next interval.`,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withStore(c.Context(), func(s *store.Store) error {
				src, err := s.SourceByName(c.Context(), args[0])
				if err != nil {
					return err
				}
				if src.Kind != news.SourcePostgres {
					return &news.FieldError{Field: "NAME", Value: src.Name, Want: "a source of kind postgres"}
				}
				fmt.Fprint(a.stdout, source.TriggerSQL(src))
				return nil
			})
		},
	}
}

// tableText shows how a table is read.
func tableText(t *news.SourceTable) string {
	if t == nil {
		return ""
	}
	var parts []string
	for field, column := range t.Columns {
		parts = append(parts, field+"="+column)
	}
	slices.Sort(parts)
	return cmp.Or(strings.TrimSpace(t.Name+" "+strings.Join(parts, " ")), t.Name)
}
