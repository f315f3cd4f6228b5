package run

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// SinkRelay is the section of the configuration for the relay; lines replace its keys, or
// add to them.
func (w *World) SinkRelay(lines ...string) string {
	host, port, _ := net.SplitHostPort(w.Relay.Addr()) // it listens there
	keys := [][2]string{{"name", `"sink"`}, {"host", strconv.Quote(host)}, {"port", port}, {"tls", `"none"`}, {"connections", strconv.Itoa(w.Connections)}}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " = ")
		if i := slices.IndexFunc(keys, func(k [2]string) bool { return k[0] == name }); i >= 0 {
			keys[i][1] = value
		} else {
			keys = append(keys, [2]string{name, value})
		}
	}
	section := "[[mail.relay]]\n"
	for _, k := range keys {
		section += k[0] + " = " + k[1] + "\n"
	}
	return section
}

// Configure gives the daemons that start from now on these relays.
func (w *World) Configure(relays ...string) error {
	w.relays = relays
	return w.writeConfig()
}

// writeConfig writes what an operator would.
func (w *World) writeConfig() error {
	templates := ""
	if len(w.Templates) > 0 {
		templates = "templates = \"templates\"\n"
	}
	for name, text := range w.Templates {
		if err := w.WriteTemplate(name, text); err != nil {
			return err
		}
	}
	text := fmt.Sprintf(`database = %q
listen = "127.0.0.1:0"
public_url = "http://127.0.0.1:9"
drain = %q
%s

%s
[site]
title = "Fault run"

[mail]
transport = "smtp"
from = "Fault run <news@%s>"

%s
[log]
level = "debug"
format = "json"
`, w.via(), w.Drain, w.Config, templates, domain, strings.Join(w.relays, "\n"))
	return os.WriteFile(w.config, []byte(text), 0o600)
}

// via is the DSN of the daemon.
func (w *World) via() string {
	u, err := url.Parse(w.DSN)
	if err != nil || w.Via == "" {
		return w.DSN
	}
	u.Host = w.Via
	return u.String()
}

// WriteTemplate writes a file of the operator's templates.
func (w *World) WriteTemplate(name, text string) error {
	path := filepath.Join(w.Dir, "templates", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}
