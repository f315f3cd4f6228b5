// Package migrations embeds the schema of both databases: one numbered SQL
// file per step and database, applied in order by internal/store. A file that
// has been released is never changed; a change is a new file with the next
// number, in both folders.
package migrations

import (
	"embed"
	"io/fs"
)

//go:embed sqlite/*.sql postgres/*.sql
var files embed.FS

// SQLite returns the steps for SQLite.
func SQLite() fs.FS { return sub("sqlite") }

// Postgres returns the steps for PostgreSQL.
func Postgres() fs.FS { return sub("postgres") }

func sub(dir string) fs.FS {
	f, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // the folder is embedded: only a build could break this
	}
	return f
}
