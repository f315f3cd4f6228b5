package demo

import "math"

// Width and Height of every picture: what link previews and mail cards ask for.
const (
	Width  = 1200
	Height = 630
)

// stride leaves two spare columns, because an edge on the right border adds to the columns after it.
const stride = Width + 2

type point struct{ x, y float64 }

// ink is a colour as 0xRRGGBB.
type ink uint32

func (i ink) rgb() (r, g, b float64) {
	return float64(i >> 16 & 0xff), float64(i >> 8 & 0xff), float64(i & 0xff)
}

// mix goes from i (t = 0) to other (t = 1).
func (i ink) mix(other ink, t float64) ink {
	r0, g0, b0 := i.rgb()
	r1, g1, b1 := other.rgb()
	part := func(a, b float64) ink { return ink(math.Round(a + (b-a)*t)) }
	return part(r0, r1)<<16 | part(g0, g1)<<8 | part(b0, b1)
}

// paint is what a shape is filled with: one ink, or a vertical fade between two rows.
type paint struct {
	top, low ink
	from, to float64
	alpha    float64
}

func flat(i ink) paint                { return paint{top: i, low: i, alpha: 1} }
func glaze(i ink, a float64) paint    { return paint{top: i, low: i, alpha: a} }
func fade(t, l ink, y0, y1 int) paint { return paint{t, l, float64(y0), float64(y1), 1} }

func (p paint) at(y int) ink {
	if p.top == p.low {
		return p.top
	}
	return p.top.mix(p.low, min(1, max(0, (float64(y)-p.from)/(p.to-p.from))))
}

// canvas is an RGB raster that fills polygons with exact edge coverage, so shapes need no supersampling.
// The method is signed-area accumulation: every edge adds its share to the cells it crosses, and a running
// sum along the row then is the coverage of each pixel.
type canvas struct {
	pix []uint8
	acc []float32
}

func newCanvas() *canvas {
	return &canvas{pix: make([]uint8, 3*Width*Height), acc: make([]float32, stride*Height)}
}

// fill paints the closed contours; contours of opposite direction cut holes into each other.
func (c *canvas) fill(p paint, contours ...[]point) {
	lo, hi := point{Width, Height}, point{}
	for _, contour := range contours {
		last := contour[len(contour)-1]
		for _, at := range contour {
			c.edge(last, at)
			last = at
			lo = point{min(lo.x, at.x), min(lo.y, at.y)}
			hi = point{max(hi.x, at.x), max(hi.y, at.y)}
		}
	}
	left, right := min(Width, max(0, int(lo.x))), min(stride-1, int(hi.x)+2)
	for y := max(0, int(lo.y)); y < min(Height, int(math.Ceil(hi.y))); y++ {
		c.sweep(y, left, right, p)
	}
}

// sweep turns one row of accumulated areas into colour and clears it for the next shape.
func (c *canvas) sweep(y, left, right int, p paint) {
	r, g, b := p.at(y).rgb()
	row := c.acc[y*stride+left : y*stride+right+1]
	var sum float32
	for i, area := range row {
		sum += area
		row[i] = 0
		cover := min(1, math.Abs(float64(sum))) * p.alpha
		if cover < 0.002 || left+i >= Width {
			continue
		}
		px := c.pix[3*(y*Width+left+i):]
		if cover > 0.998 {
			px[0], px[1], px[2] = uint8(r), uint8(g), uint8(b)
			continue
		}
		px[0], px[1], px[2] = blend(px[0], r, cover), blend(px[1], g, cover), blend(px[2], b, cover)
	}
}

func blend(under uint8, over, cover float64) uint8 {
	return uint8(float64(under) + (over-float64(under))*cover + 0.5)
}

// edge adds one straight edge, row by row.
func (c *canvas) edge(a, b point) {
	if a.y == b.y {
		return
	}
	dir := 1.0
	if a.y > b.y {
		a, b, dir = b, a, -1
	}
	slope := (b.x - a.x) / (b.y - a.y)
	x := a.x
	if a.y < 0 {
		x -= a.y * slope
	}
	for y := max(0, int(a.y)); y < min(Height, int(math.Ceil(b.y))); y++ {
		dy := min(float64(y+1), b.y) - max(float64(y), a.y)
		next := x + slope*dy
		inside := func(v float64) float64 { return min(Width, max(0, v)) }
		c.span(y, inside(min(x, next)), inside(max(x, next)), dy*dir)
		x = next
	}
}

// span spreads the height d of an edge piece over the cells from x0 to x1 of a row. The first and last cell
// get the triangles that the edge cuts off, the cells between them an equal share.
func (c *canvas) span(y int, x0, x1, d float64) {
	row := c.acc[y*stride : (y+1)*stride]
	first, end := int(x0), int(math.Ceil(x1))
	if end <= first+1 {
		part := (x0+x1)/2 - float64(first)
		row[first] += float32(d - d*part)
		row[first+1] += float32(d * part)
		return
	}
	// before is the area to the right of the edge within all cells so far; each cell holds the difference.
	share := 1 / (x1 - x0)
	var before float64
	for x := first; x < end; x++ {
		from, to := max(x0, float64(x)), min(x1, float64(x+1))
		reach := (to - x0) * share
		area := reach*(float64(x+1)-to) + (to-from)*((from-x0)*share+reach)/2
		row[x] += float32(d * (area - before))
		before = area
	}
	row[end] += float32(d * (1 - before))
}
