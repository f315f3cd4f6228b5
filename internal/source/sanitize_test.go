package source

import (
	"strings"
	"testing"
	"unicode/utf8"
)

const articleURL = "https://news.example.org/2025/11/harbour/"

func TestClean(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"paragraph", `<p>Ships <b>sail</b>.</p>`, `<p>Ships <b>sail</b>.</p>`},
		{"script", `<p>a</p><script>alert(1)</script><p>b</p>`, `<p>a</p><p>b</p>`},
		{"handlers and style", `<p onclick="x()" style="position:fixed;top:0">a</p>`, `<p>a</p>`},
		{"javascript link", `<a href="javascript:alert(1)">x</a>`, `x`},
		{"script link with tab", "<a href=\"java\tscript:alert(1)\">x</a>", `x`},
		{"data link", `<a href="data:text/html,x">x</a>`, `x`},
		{"vbscript in capitals", `<a href=" VBScript:x">x</a>`, `x`},
		{"relative", `<a href="../pier/">x</a>`, `<a href="https://news.example.org/2025/11/pier/">x</a>`},
		{"root relative", `<a href="/pier?a=1&amp;b=2">x</a>`, `<a href="https://news.example.org/pier?a=1&amp;b=2">x</a>`},
		{"protocol relative", `<img src="//cdn.example.org/a.png">`, `<img src="https://cdn.example.org/a.png" alt=""/>`},
		{"fragment", `<a href="#faq">x</a>`, `<a href="https://news.example.org/2025/11/harbour/#faq">x</a>`},
		{"base element", `<base href="https://old.example.org/x/"><a href="y">y</a>`, `<a href="https://old.example.org/x/y">y</a>`},
		{"mail and phone", `<a href="mailto:a@example.org">m</a> <a href="tel:+3161234">t</a>`, `<a href="mailto:a@example.org">m</a> <a href="tel:+3161234">t</a>`},
		{"iframe", `<iframe src="https://maps.example.org/m?x=1" title="The map"></iframe>`, `<a href="https://maps.example.org/m?x=1">The map</a>`},
		{"video embed", `<iframe src="//www.youtube.com/embed/abc123?rel=0"></iframe>`, `<a href="https://www.youtube.com/watch?v=abc123">www.youtube.com/watch</a>`},
		{"iframe without address", `<p>a<iframe></iframe></p>`, `<p>a</p>`},
		{"paragraph with a line break only", `<p><br></p>`, `<p><br/></p>`},
		{"video", `<video controls><source src="/clip.mp4"><a href="/x">no video</a></video>`, `<a href="https://news.example.org/clip.mp4">news.example.org/clip.mp4</a>`},
		{"password form", `<form action="/wp-login.php"><p>` + strings.Repeat("This is protected. ", 60) + `</p><input type="password"></form>`, ``},
		{"small form", `<p>a</p><form><label>Mail</label><input name=q><button>Go</button></form>`, `<p>a</p>`},
		{"form around an article", `<form><p>` + strings.Repeat("word ", 200) + `</p></form>`, `<p>` + strings.Repeat("word ", 200) + `</p>`},
		{"tracker", `<p>a<img src="https://t.example.org/p.gif" width="1" height="1"></p>`, `<p>a</p>`},
		{"hidden", `<p>a<span style="display: none">b</span></p>`, `<p>a</p>`},
		{"hidden image", `<img src="/a.png" style="display:none">`, ``},
		{"lazy", `<img src="data:image/gif;base64,R0" data-src="/a.jpg" alt="A pier" class="lazy">`, `<img src="https://news.example.org/a.jpg" alt="A pier"/>`},
		{"lazy with noscript", `<img src="data:image/gif;base64,R0" data-lazy-src="/a.jpg"><noscript><img src="/a.jpg"></noscript>`, `<img src="https://news.example.org/a.jpg" alt=""/>`},
		{"noscript alone", `<noscript><img src="/a.jpg"></noscript>`, `<img src="https://news.example.org/a.jpg" alt=""/>`},
		{"data image", `<img src="data:image/png;base64,AAAA" alt="x">`, ``},
		{"srcset", `<img src="/a.jpg" srcset="/a-300.jpg 300w, /a-2000.jpg 2000w" sizes="100vw" width="600" height="400">`, `<img src="https://news.example.org/a.jpg" alt="" width="600" height="400"/>`},
		{"srcset for a wide one", `<img src="/a.jpg" srcset="/a-300.jpg 300w, /a-1024.jpg 1024w, /a.jpg 2400w" width="2400" height="1600">`, `<img src="https://news.example.org/a-1024.jpg" alt="" width="2400" height="1600"/>`},
		{"webp with a jpeg beside it", `<picture><source srcset="/a.webp 800w" type="image/webp"><source srcset="/a.jpg 800w"><img src="/a.webp" alt="x"></picture>`, `<img src="https://news.example.org/a.jpg" alt="x"/>`},
		{"webp only", `<img src="/a.webp">`, `<img src="https://news.example.org/a.webp" alt=""/>`},
		{"figure without its image", `<figure><img src="data:x"><figcaption>Cap</figcaption></figure><p>a</p>`, `<p>a</p>`},
		{"emptied paragraph", `<p><!--more--></p><p>a</p><p> </p>`, `<p>a</p>`},
		{"figure", `<figure class="wp-block-image"><img src="/a.png" alt="A"><figcaption>Cap</figcaption></figure>`, `<figure><img src="https://news.example.org/a.png" alt="A"/><figcaption>Cap</figcaption></figure>`},
		{"table", `<table><tr><th scope="col" style="x">h</th><td colspan="2" align="center">d</td></tr></table>`, `<table><tbody><tr><th scope="col">h</th><td colspan="2" align="center">d</td></tr></tbody></table>`},
		{"heading id", `<h2 id="faq" class="x">FAQ</h2>`, `<h2 id="faq">FAQ</h2>`},
		{"code", `<pre><code class="language-go hljs">x &lt; y</code></pre>`, `<pre><code>x &lt; y</code></pre>`},
		{"code language", `<pre><code class="language-go">x</code></pre>`, `<pre><code class="language-go">x</code></pre>`},
		{"svg", `<svg><script>alert(1)</script></svg><p>a</p>`, `<p>a</p>`},
		{"math namespace trick", `<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>`, ``},
		{"comment", `<p>a<!-- <script> --></p>`, `<p>a</p>`},
		{"title repeated", `<h1>Harbour opens</h1><p>a</p>`, `<p>a</p>`},
		{"other first heading", `<h1>Another</h1><p>a</p>`, `<h1>Another</h1><p>a</p>`},
		{"control characters", "<p>a\x00b\x0bc\xffd\u202ee</p>", "<p>abc\uFFFDde</p>"},
		{"unclosed", `<p>a<div><b>b`, `<p>a</p><div><b>b</b></div>`},
		{"mangled tag", `<p>a</p><<script>script>alert(1)<</script>/script>`, `<p>a</p>&lt;/script&gt;`},
		{"userinfo and odd port stay URLs", `<a href="https://u@h.example.org:81/">x</a>`, `<a href="https://u@h.example.org:81/">x</a>`},
		{"long URL", `<a href="https://h.example.org/` + strings.Repeat("a", 3000) + `">x</a>`, `x`},
	}
	c := NewCleaner()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := c.Clean(tt.in, CleanOptions{Base: articleURL, Title: "Harbour opens"})
			if got.HTML != tt.want {
				t.Errorf("Clean(%q)\n got %q\nwant %q", tt.in, got.HTML, tt.want)
			}
			again := c.Clean(got.HTML, CleanOptions{Base: articleURL, Title: "Harbour opens"})
			if again.HTML != got.HTML {
				t.Errorf("cleaning twice changes it\n first %q\nsecond %q", got.HTML, again.HTML)
			}
		})
	}
}

func TestCleanWithoutBase(t *testing.T) {
	got := NewCleaner().Clean(`<a href="/x">x</a><img src="y.png"><a href="https://a.example/">z</a>`, CleanOptions{})
	if want := `x<a href="https://a.example/">z</a>`; got.HTML != want {
		t.Errorf("got %q, want %q", got.HTML, want)
	}
}

func TestCleanDeep(t *testing.T) {
	deep := strings.Repeat("<div>", 5000) + "down here <script>x</script>"
	got := NewCleaner().Clean(deep, CleanOptions{Base: articleURL})
	if strings.Contains(got.HTML, "script") || !strings.Contains(got.HTML, "down here") {
		t.Errorf("got %.200q", got.HTML)
	}
}

func TestFirstImage(t *testing.T) {
	got := NewCleaner().Clean(`<img src="/icon.png" width="150" height="150"><img src="/a.jpg" alt=" The  pier " width="640" height="480">`, CleanOptions{Base: articleURL})
	if got.Image == nil || got.Image.URL != "https://news.example.org/a.jpg" || got.Image.Alt != "The pier" || got.Image.Width != 640 || got.Image.Type != "image/jpeg" {
		t.Errorf("got %+v", got.Image)
	}
}

func TestParseSrcset(t *testing.T) {
	tests := []struct {
		in   string
		want []candidate
	}{
		{"", nil},
		{"a.jpg", []candidate{{"a.jpg", 0}}},
		{"a.jpg 300w,b.jpg 600w", []candidate{{"a.jpg", 300}, {"b.jpg", 600}}},
		{"a,b.jpg 300w , c.jpg 2x", []candidate{{"a,b.jpg", 300}, {"c.jpg", 0}}},
		{"a.jpg, b.jpg", []candidate{{"a.jpg", 0}, {"b.jpg", 0}}},
		{", ,a.jpg 99999999999999999999w", []candidate{{"a.jpg", 1<<63 - 1}}},
	}
	for _, tt := range tests {
		got := parseSrcset(tt.in)
		if len(got) != len(tt.want) {
			t.Errorf("parseSrcset(%q) = %v", tt.in, got)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("parseSrcset(%q)[%d] = %v, want %v", tt.in, i, got[i], tt.want[i])
			}
		}
	}
}

func TestPlainTitle(t *testing.T) {
	tests := []struct{ in, want string }{
		{"Plain", "Plain"},
		{"Fish &#038; Chips — <em>now</em> &#038; 5 < 6", "Fish & Chips — now & 5 < 6"},
		{"&amp;amp;", "&amp;"},
		{"Using <template> and vector<int>", "Using <template> and vector<int>"},
		{"a<br/>b", "a b"},
		{"x <script>alert(1)</script>y", "x y"},
		{"less <y", "less <y"},
		{" two\r\nlines\t and\u2028more ", "two lines and more"},
		{"Subject\r\nBcc: a@example.org", "Subject Bcc: a@example.org"},
		{"nul\x00 and \xff", "nul and \uFFFD"},
		{"cafe\u0301", "café"},
		{"&lt;script&gt;", "<script>"},
		{"", ""},
	}
	for _, tt := range tests {
		if got := plainTitle(tt.in); got != tt.want {
			t.Errorf("plainTitle(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	if got := plainTitle(strings.Repeat("word ", 30000)); utf8.RuneCountInString(got) > maxTitle || !strings.HasSuffix(got, "word…") {
		t.Errorf("long title: %d characters, ends %q", utf8.RuneCountInString(got), got[len(got)-10:])
	}
}

func TestExcerpt(t *testing.T) {
	lead := "The port of Delfzijl opened its new quay on Monday, after eleven years of dredging and dispute between the province and the mussel fishers."
	tests := []struct{ name, in, want string }{
		{"lead", "<p>" + lead + "</p><p>More.</p>", lead},
		{"short lead takes the next", "<p>It opened.</p><p>" + lead + "</p>", "It opened. " + lead},
		{"pointer sentence", `<p>` + lead + ` Read another news on <a href="/">example.org</a>.</p>`, lead},
		{"pointer paragraph", `<p>Read another news on our site.</p><p>` + lead + `</p>`, lead},
		{"link paragraph", `<p><a href="/b">Mussel prices fall for a third week</a></p><p>` + lead + `</p>`, lead},
		{"contents list", `<h2>Contents</h2><ul><li><a href="#a">Quay</a></li></ul><p>In short.</p><h2 id="a">Quay</h2><p>` + lead + `</p>`, lead},
		{"toc box", `<div id="toc_container" class="toc"><p>Contents</p><ul><li>One</li></ul></div><p>` + lead + `</p>`, lead},
		{"caption", `<p><img src="/a.png"></p><p><em>Photo: the quay at dawn</em></p><p>` + lead + `</p>`, lead},
		{"figure", `<figure><img src="/a.png"><figcaption>The quay</figcaption></figure><p>` + lead + `</p>`, lead},
		{"faq only after", `<p>` + lead + `</p><h2>FAQs</h2><p>1. Why?</p>`, lead},
		{"faq first", `<h2>FAQs</h2><h3>1. Why?</h3><p>Because.</p><h2>News</h2><p>` + lead + `</p>`, lead},
		{"related list", `<ul class="related-posts"><li>Other</li></ul><p>` + lead + `</p>`, lead},
		{"no paragraphs", lead + `<br><br>Second.`, lead},
		{"divs", `<div><div>` + lead + `</div></div>`, lead},
		{"bare URL of an embed", "https://video.example/watch?v=1<p>" + lead + "</p>", lead},
		{"shortcodes", `<p>[gallery ids="1,2"]` + lead + `[/gallery]</p>`, lead},
		{"brackets that are text", `<p>“They [the fishers] agreed [sic] to the quay, and to the price that the province had offered in the spring,” he said.</p>`, "“They [the fishers] agreed [sic] to the quay, and to the price that the province had offered in the spring,” he said."},
		{"list only", `<ul><li>One thing</li><li>Another thing</li></ul>`, "One thing Another thing"},
		{"nothing", `<img src="/a.png">`, ""},
		{"link that matters", `<p>A <a href="/x">court</a> in Leeuwarden has ruled that the quay may stay, and that the province pays.</p>`, "A court in Leeuwarden has ruled that the quay may stay, and that the province pays."},
	}
	c := NewCleaner()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := c.Clean(tt.in, CleanOptions{Base: articleURL}).Excerpt; got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestCutExcerpt(t *testing.T) {
	long := strings.Repeat("The U.S. envoy met Mr. Jansen in The Hague on Monday evening. ", 10)
	got := cutExcerpt(long)
	if n := utf8.RuneCountInString(got); n > excerptLimit || n < excerptLimit/2 || !strings.HasSuffix(got, "evening.") {
		t.Errorf("got %d characters: %q", n, got)
	}
	got = cutExcerpt(strings.Repeat("word ", 200))
	if n := utf8.RuneCountInString(got); n > excerptLimit || !strings.HasSuffix(got, "word…") {
		t.Errorf("got %d characters: %q", n, got)
	}
	got = cutExcerpt(strings.Repeat("字", 900))
	if n := utf8.RuneCountInString(got); n > excerptLimit || !strings.HasSuffix(got, "字…") {
		t.Errorf("got %d characters", n)
	}
}

func FuzzClean(f *testing.F) {
	f.Add(`<p onclick=x>a<script>b</script><img src=x onerror=y><a href="javascript:z">c</a>`)
	f.Add(`<svg><style><img src=x onerror=alert(1)></style></svg><math><annotation-xml encoding="text/html"><script>`)
	f.Add(`<form><input type=password></form><base href="//x"><picture><source srcset="a 1w, b"><img></picture>`)
	f.Add("\x00\xff<!--><script>--><table><tr><td><noscript><p title='</noscript><img src=x onerror=alert(1)>'>")
	c := NewCleaner()
	f.Fuzz(func(t *testing.T, in string) {
		if len(in) > 1<<16 {
			return
		}
		got := c.Clean(in, CleanOptions{Base: articleURL})
		low := strings.ToLower(got.HTML)
		nodes, err := parseFragment(got.HTML)
		if err != nil {
			t.Fatalf("cannot be parsed again: %v", err)
		}
		for _, root := range nodes {
			for n := range root.Descendants() {
				switch n.Data {
				case "script", "iframe", "form", "style", "svg", "math", "object", "input":
					if n.Type == 3 {
						t.Fatalf("%s survived: %q", n.Data, got.HTML)
					}
				}
				for _, a := range n.Attr {
					if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(strings.ToLower(strings.TrimSpace(a.Val)), "javascript:") && a.Key != "alt" && a.Key != "title" {
						t.Fatalf("%s=%q survived: %q", a.Key, a.Val, got.HTML)
					}
				}
			}
		}
		if !utf8.ValidString(low) || strings.ContainsRune(low, 0) || utf8.RuneCountInString(got.Excerpt) > excerptLimit {
			t.Fatalf("invalid text or long excerpt: %q", got.Excerpt)
		}
	})
}
