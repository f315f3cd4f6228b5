package main

import (
	"fmt"
	"strings"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// look examines one of our pages wide and narrow, in light and dark.
func (b *tab) look(name, address string) {
	b.t.Helper()
	for _, width := range []int64{1280, 390} {
		b.size(width)
		b.scheme("light")
		b.goTo(address)
		b.check(fmt.Sprintf("%s at %d", name, width), width)
		if n, err := value[int](b, `document.querySelectorAll("h1").length`); err != nil || n != 1 {
			b.t.Errorf("%s: %d h1 (%v), want 1", name, n, err)
		}
		if order, err := value[string](b, headingOrder); err != nil || order != "" {
			b.t.Errorf("%s: headings leave out a level: %s %v", name, order, err)
		}
		b.picture(fmt.Sprintf("%s-%d", name, width))
		b.scheme("dark")
		b.checkContrast(fmt.Sprintf("%s at %d, dark", name, width))
		b.picture(fmt.Sprintf("%s-%d-dark", name, width))
	}
}

// lookAtMail examines a mail at the widths of a desktop's and a
// telephone's mail program.
func (b *tab) lookAtMail(kind, address string) {
	b.t.Helper()
	for _, width := range []int64{600, 360} {
		for _, scheme := range []string{"light", "dark"} {
			name := fmt.Sprintf("%s-%d-%s", kind, width, scheme)
			b.size(width)
			b.scheme(scheme)
			b.goTo(address)
			b.check(name, width)
			b.picture(name)
		}
	}
}

func (b *tab) size(width int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 960))
}

// scheme sets what the visitor's system prefers.
func (b *tab) scheme(name string) {
	b.t.Helper()
	features := []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: features}); err != nil {
		b.t.Fatal(err)
	}
}

// check wants every picture, no sideways scrolling and readable text.
func (b *tab) check(name string, width int64) {
	b.t.Helper()
	// Pictures far down are loaded only when somebody comes near; here they come now.
	b.waitFor("every picture of "+name, `document.readyState === "complete" && [...document.images].every(i => { i.loading = "eager"; i.decoding = "sync"; return i.complete && i.naturalWidth > 0; })`)
	wide, err := value[string](b, fmt.Sprintf(overflow, width))
	if err != nil || wide != "" {
		b.t.Errorf("%s is wider than the screen: %s %v", name, wide, err)
	}
	b.checkContrast(name)
}

func (b *tab) checkContrast(name string) {
	b.t.Helper()
	faults, err := value[[]string](b, contrast)
	if err != nil {
		b.t.Errorf("%s: %v", name, err)
	}
	if len(faults) > 0 {
		b.t.Errorf("%s: text is hard to read:\n  %s", name, strings.Join(faults, "\n  "))
	}
}

// overflow names what makes a page wider than %d pixels; empty if nothing does.
// Parts that scroll by themselves, and what is put off the screen on the left
// for screen readers, may be of any width.
const overflow = `(() => {
	const width = %d, root = document.documentElement;
	if (root.scrollWidth <= width && innerWidth === width) return "";
	const wide = [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > width + .5 && !e.closest(".scroll"));
	return root.scrollWidth + " px: " + wide.slice(0, 5).map(e => e.outerHTML.slice(0, 120)).join(" … ");
})()`

// headingOrder names the first heading that is more than one level below the
// one before it (WCAG 2.2, technique G141); empty if none is.
const headingOrder = `(() => {
	let last = 0;
	for (const h of document.querySelectorAll("h1, h2, h3, h4, h5, h6")) {
		const level = Number(h.tagName[1]);
		if (level > last + 1) return h.outerHTML.slice(0, 120);
		last = level;
	}
	return "";
})()`

// contrast lists the texts with less contrast than WCAG 2.2 asks for (1.4.3):
// 4.5:1, or 3:1 if they are large (24 px, or bold and 18.66 px). Text on pictures is
// not judged; there is none.
const contrast = `(() => {
	const parse = c => { const n = c.match(/[\d.]+/g).map(Number); return n.length < 4 ? [n[0], n[1], n[2], 1] : n; };
	const over = (top, below) => [0, 1, 2].map(i => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
	const canvas = matchMedia("(prefers-color-scheme: dark)").matches && getComputedStyle(document.documentElement).colorScheme.includes("dark")
		? [18, 18, 18, 1] : [255, 255, 255, 1];
	const ground = e => e === null ? canvas : over(parse(getComputedStyle(e).backgroundColor), ground(e.parentElement));
	const opacity = e => e === null ? 1 : Number(getComputedStyle(e).opacity) * opacity(e.parentElement);
	const light = c => {
		const [r, g, b] = c.slice(0, 3).map(v => v / 255).map(v => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
		return .2126 * r + .7152 * g + .0722 * b;
	};
	const faults = new Set(), texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
	while (texts.nextNode()) {
		const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
		if (text === "" || !e.checkVisibility({ visibilityProperty: true })) continue;
		const box = e.getBoundingClientRect(), style = getComputedStyle(e);
		if (box.width <= 1 || box.height <= 1) continue;
		const below = ground(e), color = parse(style.color);
		const seen = over([color[0], color[1], color[2], color[3] * opacity(e)], below);
		const [high, low] = [light(seen), light(below)].sort((a, b) => b - a), ratio = (high + .05) / (low + .05);
		const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
		if (ratio < (large ? 3 : 4.5)) faults.add(ratio.toFixed(2) + ":1, " + style.color + " on rgb(" + below.slice(0, 3) + "): " + text.slice(0, 40));
	}
	return [...faults].slice(0, 8);
})()`
