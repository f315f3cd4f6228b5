package demo

import (
	"math"
	"math/rand/v2"
	"slices"
)

// brush draws the things that scenes have in common. Its random numbers are seeded by the picture's name, so
// that a picture is the same every time.
type brush struct {
	*canvas
	*rand.Rand
	mood
}

func (b *brush) between(lo, hi float64) float64 { return lo + (hi-lo)*b.Float64() }

func pick[T any](b *brush, from ...T) T { return from[b.IntN(len(from))] }

// poly takes x, y pairs.
func (b *brush) poly(p paint, xy ...float64) {
	pts := make([]point, 0, len(xy)/2)
	for i := 0; i+1 < len(xy); i += 2 {
		pts = append(pts, point{xy[i], xy[i+1]})
	}
	b.fill(p, pts)
}

func (b *brush) rect(p paint, x, y, w, h float64) { b.poly(p, x, y, x+w, y, x+w, y+h, x, y+h) }

// arc returns points of an ellipse from angle a0 to a1 (radians, clockwise from the right).
func arc(cx, cy, rx, ry, a0, a1 float64) []point {
	n := int(12 + max(rx, ry)*math.Abs(a1-a0)/6)
	pts := make([]point, 0, n+1)
	for i := range n + 1 {
		sin, cos := math.Sincos(a0 + (a1-a0)*float64(i)/float64(n))
		pts = append(pts, point{cx + rx*cos, cy + ry*sin})
	}
	return pts
}

func (b *brush) oval(p paint, cx, cy, rx, ry float64) { b.fill(p, arc(cx, cy, rx, ry, 0, 2*math.Pi)) }
func (b *brush) disc(p paint, cx, cy, r float64)      { b.oval(p, cx, cy, r, r) }

// dome is the upper half of an ellipse.
func (b *brush) dome(p paint, cx, cy, rx, ry float64) {
	b.fill(p, arc(cx, cy, rx, ry, math.Pi, 2*math.Pi))
}

func (b *brush) round(p paint, x, y, w, h, r float64) {
	const q = math.Pi / 2
	pts := arc(x+w-r, y+r, r, r, -q, 0)
	pts = append(pts, arc(x+w-r, y+h-r, r, r, 0, q)...)
	pts = append(pts, arc(x+r, y+h-r, r, r, q, 2*q)...)
	b.fill(p, append(pts, arc(x+r, y+r, r, r, 2*q, 3*q)...))
}

// line is a straight stroke of the given width.
func (b *brush) line(p paint, x0, y0, x1, y1, width float64) {
	long := math.Hypot(x1-x0, y1-y0)
	dx, dy := -(y1-y0)/long*width/2, (x1-x0)/long*width/2
	b.poly(p, x0+dx, y0+dy, x1+dx, y1+dy, x1-dx, y1-dy, x0-dx, y0-dy)
}

// stroke joins points with a line of the given width, as one shape, so that a glaze does not double at joints.
func (b *brush) stroke(p paint, pts []point, width float64) {
	var left, right []point
	for i, at := range pts {
		from, to := pts[max(0, i-1)], pts[min(len(pts)-1, i+1)]
		long := math.Hypot(to.x-from.x, to.y-from.y)
		dx, dy := -(to.y-from.y)/long*width/2, (to.x-from.x)/long*width/2
		left = append(left, point{at.x + dx, at.y + dy})
		right = append(right, point{at.x - dx, at.y - dy})
	}
	slices.Reverse(right)
	b.fill(p, append(left, right...))
}

func (b *brush) sky() {
	b.rect(fade(b.skyTop, b.skyMid, 0, 260), 0, 0, Width, 260)
	b.rect(fade(b.skyMid, b.skyLow, 260, 470), 0, 260, Width, Height-260)
}

func (b *brush) glow(x, y, r float64) {
	for _, halo := range []float64{2.6, 1.9, 1.4} {
		b.disc(glaze(b.sun, 0.14), x, y, r*halo)
	}
	b.disc(flat(b.sun), x, y, r)
}

func (b *brush) stars(n int, below float64) {
	for range n {
		b.disc(glaze(b.light, b.between(0.35, 0.95)), b.between(0, Width), b.between(0, below), b.between(0.8, 2.2))
	}
}

func (b *brush) cloud(x, y, s float64, p paint) {
	b.fill(p,
		arc(x-62*s, y-14*s, 34*s, 26*s, 0, 2*math.Pi), arc(x-14*s, y-36*s, 46*s, 46*s, 0, 2*math.Pi),
		arc(x+44*s, y-20*s, 36*s, 32*s, 0, 2*math.Pi),
		arc(x-92*s, y-4*s, 16*s, 16*s, math.Pi/2, 3*math.Pi/2),
		arc(x+92*s, y-4*s, 16*s, 16*s, -math.Pi/2, math.Pi/2),
		[]point{{x - 92*s, y - 20*s}, {x + 92*s, y - 20*s}, {x + 92*s, y + 12*s}, {x - 92*s, y + 12*s}})
}

func (b *brush) birds(n int, x, y float64) {
	for range n {
		at, h, s := x+b.between(-110, 110), y+b.between(-50, 50), b.between(7, 13)
		for _, side := range []float64{-1, 1} {
			b.stroke(glaze(b.dark, 0.75), []point{{at, h}, {at + side*s*0.7, h - s*0.6}, {at + side*s*1.6, h - s*0.35}}, 2.6)
		}
	}
}

// hills fills from a rolling line around y down to the bottom.
func (b *brush) hills(p paint, y, height float64) {
	f1, f2, p1, p2 := b.between(0.004, 0.007), b.between(0.010, 0.016), b.between(0, 6), b.between(0, 6)
	pts := []point{{Width, Height}, {0, Height}}
	for x := 0.0; x <= Width; x += 8 {
		pts = append(pts, point{x, y - height*(0.65*math.Sin(x*f1+p1)+0.35*math.Sin(x*f2+p2))})
	}
	b.fill(p, pts)
}

// ridge fills a range of peaks; snow, when its alpha is above 0, lies on the top of each.
func (b *brush) ridge(p, snow paint, y, height float64) {
	for x := b.between(-200, -60); x < Width+200; {
		half := b.between(150, 270)
		top := y - height*b.between(0.55, 1)
		b.poly(p, x-half, Height, x-half, y+30, x, top, x+half, y+30, x+half, Height)
		b.poly(glaze(b.near, 0.10), x, top, x+half, y+30, x+half, Height, x+half*0.1, Height, x-half*0.08, y-height*0.25)
		if snow.alpha > 0 {
			at := func(t, side float64) float64 { return x + side*half*t }
			drop := func(t float64) float64 { return top + (y+30-top)*t }
			b.poly(snow, x, top, at(0.30, 1), drop(0.30), at(0.17, 1), drop(0.27), at(0.09, 1), drop(0.38),
				at(0.02, -1), drop(0.26), at(0.12, -1), drop(0.40), at(0.19, -1), drop(0.28), at(0.26, -1), drop(0.26))
		}
		x += half * b.between(0.75, 1.15)
	}
}

// sea fills from the horizon down and lays strips of light on it, longest below the sun at x.
func (b *brush) sea(horizon, x float64) {
	b.rect(fade(b.waterTop, b.waterLow, int(horizon), Height), 0, horizon, Width, Height-horizon)
	for y := horizon + 8; y < Height; y += b.between(9, 16) {
		near := (y - horizon) / (Height - horizon)
		half, at := b.between(20, 90)*(1-near*0.3), x+b.between(-60, 60)*(0.4+near)
		b.round(glaze(b.sun, 0.5-0.3*near), at-half, y, 2*half, 3+3*near, 1.5+near)
		at, half = b.between(0, Width), b.between(20, 60)
		b.round(glaze(b.light, 0.22), at-half, y+4, 2*half, 2.5, 1.2)
	}
}

// swell is a band of waves along y.
func (b *brush) swell(p paint, y, height, long float64) {
	shift := b.between(0, long)
	pts := []point{{Width, Height}, {0, Height}}
	for x := 0.0; x <= Width; x += 6 {
		pts = append(pts, point{x, y - height*math.Abs(math.Sin((x+shift)*math.Pi/long))})
	}
	b.fill(p, pts)
}

func (b *brush) pine(p paint, x, base, s float64) {
	b.rect(flat(b.dark), x-3*s, base-12*s, 6*s, 12*s)
	for i := range 3 {
		y, w := base-8*s-float64(i)*24*s, (30-7*float64(i))*s
		b.poly(p, x-w, y, x, y-46*s, x+w, y)
	}
}

func (b *brush) tree(p paint, x, base, s float64) {
	b.rect(flat(b.dark), x-4*s, base-44*s, 8*s, 44*s)
	b.oval(p, x, base-66*s, 32*s, 38*s)
	b.oval(glaze(b.light, 0.14), x-9*s, base-76*s, 17*s, 22*s)
}
