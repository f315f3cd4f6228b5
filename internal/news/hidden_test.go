package news

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestHiddenIsNeverShown(t *testing.T) {
	src := Source{Name: "blog", Secret: Hide("canary-7")}
	wrapped := struct{ inner Source }{src}
	text, err := json.Marshal(src)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{
		string(text), fmt.Sprint(src), fmt.Sprintf("%+v", src), fmt.Sprintf("%#v", src), fmt.Sprintf("%v", wrapped), fmt.Sprintf("%+v", &wrapped),
		fmt.Sprintf("%s %q %x", src.Secret, src.Secret, src.Secret),
	} {
		if strings.Contains(shown, "canary") || strings.Contains(shown, fmt.Sprintf("%x", "canary")) {
			t.Errorf("shown: %s", shown)
		}
	}
	if src.Secret.Reveal() != "canary-7" || Hide("").Reveal() != "" || Hide("").String() != "" {
		t.Error("it cannot be used any more")
	}
}
