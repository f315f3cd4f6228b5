package source

import (
	"strings"
	"testing"
)

func TestWPAutop(t *testing.T) {
	for in, want := range map[string]string{
		"One\r\ntwo\r\n\r\nThree":                           "<p>One<br>\ntwo</p>\n<p>Three</p>\n",
		"<h2>Head</h2>\n\nText":                             "<h2>Head</h2>\n<p>Text</p>\n",
		"<pre>a\n\nb</pre>\n\nText":                         "<pre>a\n\nb</pre>\n<p>Text</p>\n",
		"<pre>a\n\nb":                                       "<pre>a\n\nb\n", // never closed
		"<em>x</em> y":                                      "<p><em>x</em> y</p>\n",
		"<!-- wp:paragraph -->\n<p>x</p>\n\n<p>y</p>":       "<!-- wp:paragraph -->\n<p>x</p>\n\n<p>y</p>",
		`[caption id="a" width="3"]<img src=x> c[/caption]`: "<p><img src=x> c</p>\n",
		`[gallery ids="1,2"]`:                               "",
		"[embed]https://v.example/?a=1&b=2[/embed]":         `<p><a href="https://v.example/?a=1&amp;b=2">https://v.example/?a=1&amp;b=2</a></p>` + "\n",
		"[embed]javascript:x[/embed]":                       "<p>javascript:x</p>\n",
		"[1] a note [unknown x=1]":                          "<p>[1] a note [unknown x=1]</p>\n",
		"[":                                                 "<p>[</p>\n",
		"":                                                  "",
	} {
		if got := wpautop(in); got != want {
			t.Errorf("wpautop(%q)\n got %q\nwant %q", in, got, want)
		}
	}
	for _, hostile := range []string{strings.Repeat("[", 4<<20), strings.Repeat("[embed]", 600_000), "<pre>" + strings.Repeat("\n\n", 2<<20), strings.Repeat("<pre>\n\n", 600_000)} {
		wpautop(hostile) // in time
	}
}
