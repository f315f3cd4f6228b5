package main

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fake is a machine made of lists: what is installed, what answers, what is set.
type fake struct {
	env       map[string]string
	programs  []string // full paths; found in PATH by their last element if in /bin
	databases []string // DSNs that let us in
	installs  []string // what appears once a package manager has run
	uid       int
	os        string

	log strings.Builder
	ran []string
}

func (f *fake) host() host {
	if f.os == "" {
		f.os = "linux"
	}
	return host{
		os: f.os, uid: f.uid, user: "ada", log: &f.log,
		getenv: func(name string) string { return f.env[name] },
		lookPath: func(name string) (string, error) {
			for _, p := range f.programs {
				if p == name || p == "/bin/"+name {
					return p, nil
				}
			}
			return "", errors.New("not found")
		},
		glob: func(pattern string) (found []string, _ error) {
			for _, p := range f.programs {
				if ok, err := filepath.Match(pattern, filepath.Dir(p)); err != nil {
					return nil, err
				} else if ok {
					found = append(found, filepath.Dir(p))
				}
			}
			return found, nil
		},
		ping: func(_ context.Context, dsn string) error {
			if slices.Contains(f.databases, dsn) {
				return nil
			}
			return errors.New("connection refused")
		},
		run: func(_ context.Context, name string, args ...string) error {
			f.ran = append(f.ran, strings.Join(append([]string{name}, args...), " "))
			f.programs = append(f.programs, f.installs...)
			return nil
		},
		start: func(_ context.Context, _ host, binaries string) (*server, error) {
			return &server{dsn: "started from " + binaries}, nil
		},
	}
}

func TestFindPostgres(t *testing.T) {
	const (
		running = "postgres://postgres@127.0.0.1:5432/test?sslmode=disable"
		own     = "postgres://ada@127.0.0.1:5432/postgres?sslmode=disable"
		theirs  = "postgres://db.example/x"
	)
	debian15 := []string{"/usr/lib/postgresql/15/bin/initdb", "/usr/lib/postgresql/15/bin/postgres"}
	debian9 := []string{"/usr/lib/postgresql/9/bin/initdb", "/usr/lib/postgresql/9/bin/postgres"}
	brew17 := []string{"/opt/homebrew/opt/postgresql@17/bin/initdb", "/opt/homebrew/opt/postgresql@17/bin/postgres"}

	for name, test := range map[string]struct {
		fake      fake
		noInstall bool
		want      string // DSN
		wantErr   string
		wantRan   []string
	}{
		"the variable goes first": {
			fake: fake{env: map[string]string{postgresVar: theirs}, databases: []string{running, theirs}},
			want: theirs,
		},
		"a variable that does not work is an error, whatever else there is": {
			fake:    fake{env: map[string]string{postgresVar: theirs}, databases: []string{running}, programs: debian15},
			wantErr: "the database in GAZETTED_TEST_POSTGRES cannot be used: connection refused",
		},
		"a running server goes before a private one": {
			fake: fake{databases: []string{running}, programs: debian15},
			want: running,
		},
		"the database named test goes before postgres": {
			fake: fake{databases: []string{own, running}},
			want: running,
		},
		"the current user's own login will do": {
			fake: fake{databases: []string{own}},
			want: own,
		},
		"the newest installed version, by number": {
			fake: fake{programs: slices.Concat(debian9, debian15)},
			want: "started from /usr/lib/postgresql/15/bin",
		},
		"Homebrew": {
			fake: fake{programs: brew17},
			want: "started from /opt/homebrew/opt/postgresql@17/bin",
		},
		"PATH goes before newer versions": {
			fake: fake{programs: append([]string{"/bin/initdb", "/bin/postgres"}, debian15...)},
			want: "started from /bin",
		},
		"initdb without a server is of no use": {
			fake: fake{programs: append([]string{"/bin/initdb"}, debian15...)},
			want: "started from /usr/lib/postgresql/15/bin",
		},
		"installed as root on Debian": {
			fake: fake{programs: []string{"/bin/apt-get"}, installs: debian15},
			want: "started from /usr/lib/postgresql/15/bin",
			wantRan: []string{
				"apt-get -o DPkg::Lock::Timeout=300 update",
				"apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql",
			},
		},
		"installed with sudo by others": {
			fake: fake{programs: []string{"/bin/apt-get"}, installs: debian15, uid: 1000},
			want: "started from /usr/lib/postgresql/15/bin",
			wantRan: []string{
				"sudo -n apt-get -o DPkg::Lock::Timeout=300 update",
				"sudo -n apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends postgresql",
			},
		},
		"installed with Homebrew": {
			fake:    fake{os: "darwin", programs: []string{"/bin/brew"}, installs: brew17},
			want:    "started from /opt/homebrew/opt/postgresql@17/bin",
			wantRan: []string{"brew install postgresql@15"},
		},
		"no installing when told so": {
			fake:      fake{programs: []string{"/bin/apt-get"}, installs: debian15},
			noInstall: true,
			wantErr:   "no PostgreSQL is running on 127.0.0.1:5432 and none is installed",
		},
		"nothing to install with": {
			wantErr: "PostgreSQL is not installed, and there is no package manager here that this program knows",
		},
		"an install that brought no server": {
			fake:    fake{os: "darwin", programs: []string{"/bin/brew"}},
			wantErr: "no PostgreSQL is running on 127.0.0.1:5432 and none is installed",
			wantRan: []string{"brew install postgresql@15"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, _, err := findPostgres(t.Context(), test.fake.host(), !test.noInstall)
			checkProblem(t, err, test.wantErr)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !slices.Equal(test.fake.ran, test.wantRan) {
				t.Errorf("ran %q, want %q", test.fake.ran, test.wantRan)
			}
		})
	}
}

func TestFindChromium(t *testing.T) {
	const mac = "/Applications/Chromium.app/Contents/MacOS/Chromium"
	for name, test := range map[string]struct {
		fake      fake
		noInstall bool
		want      string
		wantErr   string
		wantRan   []string
	}{
		"the variable goes first": {
			fake: fake{env: map[string]string{chromiumVar: "/opt/c/chrome"}, programs: []string{"/opt/c/chrome", "/bin/chromium"}},
			want: "/opt/c/chrome",
		},
		"a variable that does not work is an error": {
			fake:    fake{env: map[string]string{chromiumVar: "/opt/c/chrome"}, programs: []string{"/bin/chromium"}},
			wantErr: "the browser in GAZETTED_TEST_CHROMIUM cannot be used: not found",
		},
		"in PATH":               {fake: fake{programs: []string{"/bin/headless_shell"}}, want: "/bin/headless_shell"},
		"a macOS application":   {fake: fake{os: "darwin", programs: []string{mac}}, want: mac},
		"installed on Debian":   {fake: fake{programs: []string{"/bin/apt-get"}, installs: []string{"/bin/chromium"}}, want: "/bin/chromium", wantRan: []string{"apt-get -o DPkg::Lock::Timeout=300 update", "apt-get -o DPkg::Lock::Timeout=300 install -y --no-install-recommends chromium"}},
		"installed by Homebrew": {fake: fake{os: "darwin", programs: []string{"/bin/brew"}, installs: []string{mac}}, want: mac, wantRan: []string{"brew install --cask chromium"}},
		"no installing when told so": {
			fake:      fake{programs: []string{"/bin/apt-get"}, installs: []string{"/bin/chromium"}},
			noInstall: true,
			wantErr:   "no Chromium is installed",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := findChromium(t.Context(), test.fake.host(), !test.noInstall)
			checkProblem(t, err, test.wantErr)
			if got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !slices.Equal(test.fake.ran, test.wantRan) {
				t.Errorf("ran %q, want %q", test.fake.ran, test.wantRan)
			}
		})
	}
}

// checkProblem wants the given message, and with every message a hint.
func checkProblem(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	var p *problem
	if !errors.As(err, &p) || p.what != want || p.hint == "" {
		t.Fatalf("got error %v, want %q and a hint", err, want)
	}
}

func TestMajorVersion(t *testing.T) {
	for folder, want := range map[string]int{
		"/usr/lib/postgresql/15/bin":               15,
		"/usr/lib/postgresql/9.6/bin":              6, // nothing that old runs our schema; any order will do
		"/opt/homebrew/opt/postgresql@17/bin":      17,
		"/opt/homebrew/opt/postgresql/bin":         0,
		"/usr/pgsql-16/bin":                        16,
		"/nix/store/20240101000000-postgresql/bin": 0,
	} {
		if got := majorVersion(folder); got != want {
			t.Errorf("%s: got %d, want %d", folder, got, want)
		}
	}
}

func TestUnprivileged(t *testing.T) {
	for _, test := range []struct {
		accounts []string
		want     string
	}{
		{[]string{"nobody", "postgres"}, "postgres"},
		{[]string{"nobody"}, "nobody"},
		{nil, ""},
	} {
		got, err := unprivileged(lookupAmong(test.accounts))
		if (err != nil) != (test.want == "") || (err == nil && got.Username != test.want) {
			t.Errorf("%v: got %v, %v; want %q", test.accounts, got, err, test.want)
		}
	}
}
