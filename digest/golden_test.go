package digest

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gazetted/internal/news"
)

var update = flag.Bool("update", false, "write the golden files anew")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (go test -update, and look at the result; -want +got):\n%s", file, diff)
	}
}

// due runs the world's due editions and returns the last closing.
func due(t *testing.T, s *fakeStore) news.Closing {
	t.Helper()
	if _, err := testEditor(t, s).Due(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.closings) == 0 {
		t.Fatal("no edition was closed")
	}
	return s.closings[len(s.closings)-1]
}

func TestGoldenDigest(t *testing.T) {
	c := due(t, world())
	v := c.Variants[0]
	golden(t, "digest.subject", v.Subject+"\n")
	golden(t, "digest.html", v.HTML)
	golden(t, "digest.txt", v.Text)
	checkMail(t, v, 5)
	if n := len(v.HTML); n > 24_000 {
		t.Errorf("HTML of five articles: got %d bytes, want at most 24,000", n)
	}
}

func TestGoldenInstant(t *testing.T) {
	s := world()
	s.articles = s.articles[:1]
	s.open[0].Frequency = news.Instant
	v := due(t, s).Variants[0]
	golden(t, "instant.subject", v.Subject+"\n")
	golden(t, "instant.html", v.HTML)
	golden(t, "instant.txt", v.Text)
	checkMail(t, v, 1)
}
