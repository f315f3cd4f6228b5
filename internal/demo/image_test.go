package demo

import (
	"bytes"
	"image/png"
	"math"
	"testing"
)

// A digest carries several pictures and a mail reader on a train loads them all.
const mostBytes = 60 << 10

func TestImagesAreSmall(t *testing.T) {
	for name := range pictures() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := Image(name)
			if err != nil {
				t.Fatal(err)
			}
			if len(data) > mostBytes {
				t.Errorf("%d bytes, want at most %d", len(data), mostBytes)
			}
			conf, err := png.DecodeConfig(bytes.NewReader(data))
			if err != nil || conf.Width != Width || conf.Height != Height {
				t.Errorf("%d × %d, %v", conf.Width, conf.Height, err)
			}
		})
	}
}

func TestImagesAreTheSameEveryTime(t *testing.T) {
	for _, name := range []string{"night-market.png", "reef-nursery.png", "island-cup-run.png"} {
		one, err := Image(name)
		if err != nil {
			t.Fatal(err)
		}
		two, err := Image(name)
		if err != nil || !bytes.Equal(one, two) {
			t.Errorf("%s: a second drawing differs (%v)", name, err)
		}
	}
}

func TestEveryPictureHasItsArticle(t *testing.T) {
	unused := pictures()
	for _, s := range samples(t) {
		if s.image == "" {
			continue
		}
		if _, ok := pictures()[s.image]; !ok {
			t.Errorf("%s: no scene for %s", s.file, s.image)
		}
		delete(unused, s.image)
	}
	for name := range unused {
		t.Errorf("%s: no article uses it", name)
	}
	if _, err := Image("nothing.png"); err == nil {
		t.Error("an unknown picture was drawn")
	}
}

// ofWhite is how many pixels' worth of white is on a black canvas.
func ofWhite(c *canvas) float64 {
	sum := 0.0
	for _, v := range c.pix {
		sum += float64(v)
	}
	return sum / 255 / 3
}

func TestFillCoversTheAreaOfAShape(t *testing.T) {
	square := func(x, y, side float64) []point {
		return []point{{x, y}, {x + side, y}, {x + side, y + side}, {x, y + side}}
	}
	hole := []point{{20, 20}, {20, 40}, {40, 40}, {40, 20}}
	for name, c := range map[string]struct {
		shape [][]point
		area  float64
	}{
		"whole pixels":       {[][]point{square(10, 10, 20)}, 400},
		"fractions":          {[][]point{square(10.25, 10.5, 20.5)}, 420.25},
		"triangle":           {[][]point{{{100.3, 50.7}, {300.9, 80.2}, {150.4, 200.6}}}, 14296},
		"disc":               {[][]point{arc(300, 300, 80, 80, 0, 2*math.Pi)}, math.Pi * 6400},
		"hole":               {[][]point{square(10, 10, 40), hole}, 1200},
		"over the left edge": {[][]point{square(-10, 10, 20)}, 200},
		"over the right":     {[][]point{square(Width-10, -10, 20)}, 100},
		"outside":            {[][]point{square(Width+5, Height+5, 20)}, 0},
	} {
		canvas := newCanvas()
		canvas.fill(flat(0xFFFFFF), c.shape...)
		if got := ofWhite(canvas); math.Abs(got-c.area) > 0.004*c.area+0.1 {
			t.Errorf("%s: %.1f pixels, want %.1f", name, got, c.area)
		}
		before := ofWhite(canvas)
		canvas.fill(flat(0xFFFFFF), square(Width-1, Height-1, 1))
		if got := ofWhite(canvas) - before; math.Abs(got-1) > 0.01 {
			t.Errorf("%s: the next shape covers %.2f pixels, want 1", name, got)
		}
	}
}

func BenchmarkImage(b *testing.B) {
	for b.Loop() {
		if _, err := Image("harbour-strike.png"); err != nil {
			b.Fatal(err)
		}
	}
}
