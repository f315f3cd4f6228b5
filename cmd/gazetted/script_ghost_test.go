package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gazetted/internal/ghosttest"
)

// ghostValue is the key of a scenario's Ghost site.
type ghostValue struct{}

// ghostCommand runs a Ghost site: publish sets fields of a post, sign puts
// Ghost's signature of a body with a secret into $SIGNATURE.
func ghostCommand(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		holder := ts.Value(ghostValue{}).(**ghosttest.Site)
		number := func() int {
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			return n
		}
		switch {
		case len(args) == 1 && args[0] == "start":
			*holder = ghosttest.Start(t)
			ts.Setenv("GHOST", (*holder).URL)
			ts.Setenv("GHOST_KEY", ghosttest.Key)
		case len(args) > 1 && args[0] == "publish":
			now := time.Now().UTC().Format(time.RFC3339)
			set := map[string]any{"published_at": now, "updated_at": now}
			for _, a := range args[2:] {
				name, value, _ := strings.Cut(a, "=")
				set[name] = value
			}
			(*holder).Publish(number(), set)
		case len(args) == 2 && args[0] == "remove":
			(*holder).Remove(number())
		case len(args) == 3 && args[0] == "sign":
			stamp := strconv.FormatInt(time.Now().UnixMilli(), 10)
			mac := hmac.New(sha256.New, []byte(args[1]))
			mac.Write([]byte(ts.ReadFile(args[2]) + stamp))
			ts.Setenv("SIGNATURE", "sha256="+hex.EncodeToString(mac.Sum(nil))+", t="+stamp)
		default:
			ts.Fatalf("usage: ghost start | publish N [FIELD=VALUE…] | remove N | sign SECRET BODYFILE")
		}
	}
}
