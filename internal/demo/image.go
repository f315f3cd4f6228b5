package demo

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"math/rand/v2"
	"slices"
)

// Image draws the named picture (a file name such as "harbour-strike.png") as a paletted PNG of Width × Height.
// The same name gives the same bytes every time. A name that no sample article uses is an error.
func Image(name string) ([]byte, error) {
	p, ok := pictures()[name]
	if !ok {
		return nil, fmt.Errorf("draw %q: no scene of that name", name)
	}
	sum := fnv.New64a()
	_, _ = sum.Write([]byte(name)) // a hash takes everything
	c := newCanvas()
	p.scene(&brush{canvas: c, Rand: rand.New(rand.NewPCG(sum.Sum64(), 1)), mood: p.mood})

	var out bytes.Buffer
	if err := png.Encode(&out, quantise(c.pix)); err != nil {
		return nil, fmt.Errorf("encode %q: %w", name, err)
	}
	return out.Bytes(), nil
}

// tone is a colour of the canvas and how many pixels have it.
type tone struct{ r, g, b, n int }

func (t tone) channel(i int) int { return [3]int{t.r, t.g, t.b}[i] }

// quantise reduces the canvas to 256 colours. Without dithering: flat areas and fades stay runs of equal
// bytes, which is what keeps a picture at a few dozen kilobytes.
func quantise(pix []uint8) *image.Paletted {
	counts := map[uint32]int{}
	eachRun(pix, func(key uint32, _, n int) { counts[key] += n })
	tones := make([]tone, 0, len(counts))
	for key, n := range counts {
		tones = append(tones, tone{int(key >> 16), int(key >> 8 & 0xff), int(key & 0xff), n})
	}
	// Map order is random and the pictures must not be.
	slices.SortFunc(tones, func(a, b tone) int {
		return cmp.Or(a.r-b.r, a.g-b.g, a.b-b.b)
	})

	var palette color.Palette
	index := make(map[uint32]uint8, len(counts))
	for i, box := range split(tones, 256) {
		var sum, n [3]int
		for _, t := range box {
			for ch := range sum {
				sum[ch] += t.channel(ch) * t.n
				n[ch] += t.n
			}
			index[uint32(t.r<<16|t.g<<8|t.b)] = uint8(i)
		}
		half := n[0] / 2
		palette = append(palette, color.RGBA{
			uint8((sum[0] + half) / n[0]), uint8((sum[1] + half) / n[1]), uint8((sum[2] + half) / n[2]), 0xff,
		})
	}
	img := image.NewPaletted(image.Rect(0, 0, Width, Height), palette)
	eachRun(pix, func(key uint32, at, n int) {
		i := index[key]
		for k := at; k < at+n; k++ {
			img.Pix[k] = i
		}
	})
	return img
}

// eachRun reports the runs of equal pixels: colour, first pixel, length.
func eachRun(pix []uint8, visit func(key uint32, at, n int)) {
	at := 0
	var last uint32
	for i := 0; i < len(pix); i += 3 {
		key := uint32(pix[i])<<16 | uint32(pix[i+1])<<8 | uint32(pix[i+2])
		if i > 0 && key != last {
			visit(last, at, i/3-at)
			at = i / 3
		}
		last = key
	}
	visit(last, at, len(pix)/3-at)
}

// box is a group of tones that will share a palette entry.
type box struct {
	tones   []tone
	channel int     // the one with most spread
	spread  float64 // squared distance from the mean on that channel, summed over pixels
	mean    float64
}

func newBox(tones []tone) box {
	best := box{tones: tones, spread: -1}
	for ch := range 3 {
		var n, sum, square float64
		for _, t := range tones {
			v, w := float64(t.channel(ch)), float64(t.n)
			n, sum, square = n+w, sum+v*w, square+v*v*w
		}
		if s := square - sum*sum/n; s > best.spread {
			best.channel, best.spread, best.mean = ch, s, sum/n
		}
	}
	return best
}

// split cuts the box of largest spread at its mean until there are most boxes, or nothing left to cut.
func split(tones []tone, most int) [][]tone {
	boxes := []box{newBox(tones)}
	for len(boxes) < most {
		worst := 0
		for i, b := range boxes {
			if b.spread > boxes[worst].spread {
				worst = i
			}
		}
		b := boxes[worst]
		if b.spread < 0.5 {
			break
		}
		slices.SortStableFunc(b.tones, func(x, y tone) int { return x.channel(b.channel) - y.channel(b.channel) })
		cut, _ := slices.BinarySearchFunc(b.tones, b.mean, func(t tone, mean float64) int {
			if float64(t.channel(b.channel)) <= mean {
				return -1
			}
			return 1
		})
		boxes[worst] = newBox(b.tones[:cut])
		boxes = append(boxes, newBox(b.tones[cut:]))
	}
	out := make([][]tone, len(boxes))
	for i, b := range boxes {
		out[i] = b.tones
	}
	return out
}
