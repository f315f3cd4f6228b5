// The map of the house: which package may import which, and what may stand at the top of
// the repository. A package or an arrow that is not on the map fails the test; a new one
// is a decision, made here.
package gazetted_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

const module = "gazetted"

// allowedImports maps each package to the packages of ours that its code may import.
// Tests may import any of them.
func allowedImports() map[string][]string {
	stages := []string{
		"digest", "feeds", "templates", "migrations",
		"internal/demo", "internal/mail", "internal/news", "internal/source", "internal/store", "internal/web",
	}
	return map[string][]string{
		"internal/news": {}, // the words everyone shares; it knows no one
		"migrations":    {},

		"feeds":         {"internal/news"},
		"templates":     {"internal/news"},
		"internal/demo": {"internal/news"},

		"internal/store": {"internal/news", "migrations"},

		// The stages. They meet in the database and do not import one another.
		"internal/source": {"internal/news"},
		"internal/mail":   {"internal/news"},
		"digest":          {"internal/news", "templates"},
		"internal/web":    {"internal/news", "feeds", "templates"},

		"daemon":       stages, // wires them all
		"cmd/gazetted": append([]string{"daemon"}, stages...),

		// For tests alone: no list above holds them.
		"internal/dbtest":    {"internal/news", "internal/store"},
		"internal/smtptest":  {},
		"internal/wptest":    {},
		"internal/ghosttest": {},
		"internal/testenv":   {},

		// Fault runs, a program beside the product: they drive its binary and read its ledger.
		"internal/faults":        {"internal/faults/link", "internal/faults/run", "internal/faults/sink", "internal/news"},
		"internal/faults/run":    {"internal/faults/sink", "internal/news", "internal/store"},
		"internal/faults/link":   {},
		"internal/faults/pooler": {},
		"internal/faults/sink":   {},
	}
}

// reserved maps an import path (and all below it) to the packages whose code may import
// it. Nil means nobody, tests included.
func reserved() map[string][]string {
	// Fault runs hold locks and let time pass for rows, as no method of the store does.
	database := []string{"migrations", "internal/dbtest", "internal/faults/run", "internal/store", "internal/testenv"}
	// A publisher's own database is read by its source. It is not ours, and always PostgreSQL.
	publishers := append([]string{"internal/source"}, database...)
	return map[string][]string{
		// A query outside the store is a query that was not tried on both databases.
		"database/sql":             publishers,
		"github.com/jmoiron/sqlx":  database,
		"github.com/lib/pq":        publishers,
		"modernc.org/sqlite":       database,
		"github.com/pressly/goose": database,

		// Below these three an error is returned, not logged.
		"log/slog": {"cmd/gazetted", "daemon", "internal/web"},
		"log":      nil, // slog.NewLogLogger serves those who ask for a *log.Logger
	}
}

// topLevel is what the repository holds at its root, apart from dot files.
func topLevel() []string {
	return []string{
		"cmd", "daemon", "digest", "feeds", "templates", "migrations", "internal", "docs", "deploy",
		"go.mod", "go.sum", "README.md", "LICENSE", "CONTRIBUTING.md", "Makefile", "imports_test.go",
	}
}

// unit is one package as the checks see it: paths relative to the module for packages of
// ours, import paths for others.
type unit struct {
	name        string
	imports     []string // by its code
	testImports []string // by its tests
}

func TestImports(t *testing.T) {
	units, err := readUnits(os.DirFS("."))
	if err != nil {
		t.Fatal(err)
	}
	if len(units) == 0 {
		t.Fatal("no package was found")
	}
	for _, u := range units {
		for _, complaint := range complaints(u) {
			t.Error(complaint)
		}
	}
}

// plainEnoughForNews allows the standard library and, because they define when two
// addresses or two tags are the same, the tables of Unicode.
func plainEnoughForNews(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".") || imported == "golang.org/x/net/idna" || strings.HasPrefix(imported, "golang.org/x/text/")
}

// complaints returns what is wrong with a package's imports.
func complaints(u unit) (found []string) {
	complain := func(format string, args ...any) {
		found = append(found, u.name+": "+fmt.Sprintf(format, args...))
	}
	rules := allowedImports()
	allowed, known := rules[u.name]
	if !known && u.name != "." { // at the root there is only this file
		complain("unknown package: give it a place in imports_test.go")
	}
	if u.name == "." && len(u.imports) > 0 {
		complain("no package belongs at the root")
	}
	for _, imported := range u.imports {
		own, isOwn := ownPackage(imported)
		if isOwn && !slices.Contains(allowed, own) {
			complain("may not import %s", own)
		}
		if u.name == "internal/news" && !isOwn && !plainEnoughForNews(imported) {
			complain("may import only the standard library and the Unicode tables, not %s", imported)
		}
		if users, is := reservedFor(imported); is && !slices.Contains(users, u.name) {
			complain("may not import %s (reserved for %v)", imported, users)
		}
	}
	for _, imported := range u.testImports {
		own, isOwn := ownPackage(imported)
		if _, known := rules[own]; isOwn && !known {
			complain("its tests import the unknown package %s", own)
		}
		if users, is := reservedFor(imported); is && users == nil {
			complain("its tests may not import %s", imported)
		}
	}
	return found
}

// ownPackage returns the place of a package of ours in the module.
func ownPackage(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

// reservedFor returns who may import a reserved path. The longest prefix decides, so that
// log/slog is not taken for a part of log.
func reservedFor(imported string) (users []string, is bool) {
	rules := reserved()
	for at := imported; at != "."; at = path.Dir(at) {
		if users, is := rules[at]; is {
			return users, true
		}
	}
	return nil, false
}

// readUnits reads the imports of every Go file, whatever its build constraints. It reads
// the files itself rather than ask the go command: the test cache then knows what the
// result depends on.
func readUnits(repository fs.FS) ([]unit, error) {
	units := map[string]*unit{}
	err := fs.WalkDir(repository, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return enter(repository, file)
		}
		if path.Ext(file) != ".go" {
			return nil
		}
		source, err := fs.ReadFile(repository, file)
		if err != nil {
			return err
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, source, parser.ImportsOnly)
		if err != nil {
			return err
		}
		u := units[path.Dir(file)]
		if u == nil {
			u = &unit{name: path.Dir(file)}
			units[u.name] = u
		}
		for _, spec := range parsed.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasSuffix(file, "_test.go") {
				u.testImports = append(u.testImports, imported)
			} else {
				u.imports = append(u.imports, imported)
			}
		}
		return nil
	})
	var all []unit
	for _, name := range slices.Sorted(maps.Keys(units)) {
		all = append(all, *units[name])
	}
	return all, err
}

// enter skips the folders that the go command skips: those that are no part of the module.
func enter(repository fs.FS, folder string) error {
	if folder == "." {
		return nil
	}
	name := path.Base(folder)
	if name == "testdata" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return fs.SkipDir
	}
	if _, err := fs.Stat(repository, path.Join(folder, "go.mod")); err == nil {
		return fs.SkipDir
	}
	return nil
}

func TestTopLevel(t *testing.T) {
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		name := entry.Name()
		ignored := name == "bin" || slices.Contains([]string{".out", ".prof", ".test"}, path.Ext(name)) // see .gitignore
		if strings.HasPrefix(name, ".") || ignored || slices.Contains(topLevel(), name) {
			continue
		}
		t.Errorf("%s has no place at the top level", name)
	}
}

// TestComplaints shows that the checks can fail.
func TestComplaints(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string // path → import
		want  string            // "" for nothing
	}{
		{"allowed arrow", map[string]string{"digest/a.go": "gazetted/templates"}, ""},
		{"one stage imports another", map[string]string{"digest/a.go": "gazetted/internal/mail"}, "digest: may not import internal/mail"},
		{"a stage imports the store", map[string]string{"internal/web/a.go": "gazetted/internal/store"}, "internal/web: may not import internal/store"},
		{"nobody imports the command", map[string]string{"daemon/a.go": "gazetted/cmd/gazetted"}, "daemon: may not import cmd/gazetted"},
		{"code imports what is for tests", map[string]string{"daemon/a.go": "gazetted/internal/smtptest"}, "daemon: may not import internal/smtptest"},
		{"a test imports what is for tests", map[string]string{"feeds/a_test.go": "gazetted/internal/smtptest"}, ""},
		{"a test imports another stage", map[string]string{"feeds/a_test.go": "gazetted/internal/store"}, ""},
		{"a test imports an unknown package", map[string]string{"feeds/a_test.go": "gazetted/internal/utils"}, "feeds: its tests import the unknown package internal/utils"},
		{"unknown package", map[string]string{"internal/utils/a.go": "fmt"}, "internal/utils: unknown package: give it a place in imports_test.go"},
		{"package at the root", map[string]string{"doc.go": "fmt"}, ".: no package belongs at the root"},
		{"news imports a library", map[string]string{"internal/news/a.go": "golang.org/x/net/html"}, "internal/news: may import only the standard library and the Unicode tables, not golang.org/x/net/html"},
		{"news imports the standard library", map[string]string{"internal/news/a.go": "net/mail"}, ""},
		{"a driver below its module", map[string]string{"digest/a.go": "modernc.org/sqlite/lib"}, "digest: may not import modernc.org/sqlite/lib (reserved for [migrations internal/dbtest internal/faults/run internal/store internal/testenv])"},
		{"a later major version", map[string]string{"daemon/a.go": "github.com/pressly/goose/v3"}, "daemon: may not import github.com/pressly/goose/v3 (reserved for [migrations internal/dbtest internal/faults/run internal/store internal/testenv])"},
		{"the store queries", map[string]string{"internal/store/a.go": "database/sql"}, ""},
		{"a stage logs", map[string]string{"internal/mail/a.go": "log/slog"}, "internal/mail: may not import log/slog (reserved for [cmd/gazetted daemon internal/web])"},
		{"the daemon logs", map[string]string{"daemon/a.go": "log/slog"}, ""},
		{"the old log", map[string]string{"daemon/a.go": "log"}, "daemon: may not import log (reserved for [])"},
		{"the old log in a test", map[string]string{"daemon/a_test.go": "log"}, "daemon: its tests may not import log"},
		{"other modules and testdata are not ours", map[string]string{"x/go.mod": "", "x/a.go": "log", "feeds/testdata/a.go": "log"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			repository := fstest.MapFS{}
			for file, imported := range test.files {
				repository[file] = &fstest.MapFile{Data: fmt.Appendf(nil, "package p\nimport %q\n", imported)}
			}
			units, err := readUnits(repository)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, u := range units {
				got = append(got, complaints(u)...)
			}
			if strings.Join(got, "\n") != test.want {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}
