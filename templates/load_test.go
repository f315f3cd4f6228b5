package templates

import "testing"

func TestShippedTemplatesLoad(t *testing.T) {
	s, err := Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Digests(); len(got) != 1 || got[0] != DefaultDigest {
		t.Errorf("digests: got %v, want [default]", got)
	}
}
