package main

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// pingTimeout bounds one attempt to log in. A server on the same machine answers in
// milliseconds; one that GAZETTED_TEST_POSTGRES names may be further away.
const pingTimeout = 5 * time.Second

const postgresHint = "install the PostgreSQL server (Debian: apt-get install postgresql; macOS: brew install postgresql@15), " +
	"or set " + postgresVar + " to the DSN of a login that may create schemas"

// findPostgres returns a DSN for the tests, and the server behind it where it started one.
func findPostgres(ctx context.Context, h host, install bool) (string, *server, error) {
	if dsn := h.getenv(postgresVar); dsn != "" {
		if err := tryPing(ctx, h, dsn); err != nil {
			return "", nil, &problem{
				fmt.Sprintf("the database in %s cannot be used: %v", postgresVar, err),
				"start it, grant its login CREATE on the database, or unset " + postgresVar + " to have one found",
			}
		}
		say(h.log, "testenv: PostgreSQL: the one in %s\n", postgresVar)
		return dsn, nil, nil
	}
	if dsn := runningPostgres(ctx, h); dsn != "" {
		say(h.log, "testenv: PostgreSQL: %s, already running\n", dsn)
		return dsn, nil, nil
	}

	binaries := postgresBinaries(h)
	if binaries == "" && install {
		if err := installPackage(ctx, h, "PostgreSQL", "postgresql", "postgresql@15"); err != nil {
			return "", nil, &problem{err.Error(), postgresHint}
		}
		binaries = postgresBinaries(h)
	}
	if binaries == "" {
		return "", nil, &problem{"no PostgreSQL is running on 127.0.0.1:5432 and none is installed", postgresHint}
	}
	s, err := h.start(ctx, h, binaries)
	if err != nil {
		return "", nil, &problem{fmt.Sprintf("start a private PostgreSQL from %s: %v", binaries, err), postgresHint}
	}
	say(h.log, "testenv: PostgreSQL: %s, private, from %s\n", s.dsn, binaries)
	return s.dsn, s, nil
}

// runningPostgres tries the logins that a development machine commonly allows without a
// password, the database meant for tests first.
func runningPostgres(ctx context.Context, h host) string {
	users := []string{"postgres"}
	if h.user != "" && h.user != "postgres" {
		users = append(users, h.user)
	}
	for _, database := range []string{"test", "postgres"} {
		for _, user := range users {
			dsn := postgresDSN(user, 5432, database)
			if tryPing(ctx, h, dsn) == nil {
				return dsn
			}
		}
	}
	return ""
}

func postgresDSN(user string, port int, database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.User(user),
		Host:     "127.0.0.1:" + strconv.Itoa(port),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

func tryPing(ctx context.Context, h host, dsn string) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return h.ping(ctx, dsn)
}

// postgresBinaries returns the folder of an installed server, "" if there is none. PATH
// goes first, as someone chose it; else the newest version. Debian, Homebrew and the
// PostgreSQL project's own RPMs all keep the server's programs out of PATH.
func postgresBinaries(h host) string {
	if initdb, err := h.lookPath("initdb"); err == nil {
		if folder := filepath.Dir(initdb); hasServer(h, folder) {
			return folder
		}
	}
	var found []string
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
	} {
		folders, _ := h.glob(pattern) // fails on a bad pattern only, and these are good
		for _, folder := range folders {
			if hasServer(h, folder) {
				found = append(found, folder)
			}
		}
	}
	if len(found) == 0 {
		return ""
	}
	return slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
}

func hasServer(h host, folder string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := h.lookPath(filepath.Join(folder, name)); err != nil {
			return false
		}
	}
	return true
}

// majorVersion reads the version out of a path: 15 of /usr/lib/postgresql/15/bin and of
// /opt/homebrew/opt/postgresql@15/bin. 0 where there is none.
func majorVersion(folder string) int {
	digits := func(r rune) bool { return r < '0' || r > '9' }
	for _, word := range slices.Backward(strings.FieldsFunc(folder, digits)) {
		if n, err := strconv.Atoi(word); err == nil && n < 1000 {
			return n
		}
	}
	return 0
}
