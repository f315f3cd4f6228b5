package demo

import (
	"cmp"
	"math"
	"slices"
)

func floodlit(b *brush) {
	b.sky()
	b.stars(60, 180)
	b.ground(880)
}

func pitch(b *brush) {
	b.sky()
	b.cloud(820, 110, 0.9, glaze(b.light, 0.85))
	b.cloud(430, 160, 0.6, glaze(b.light, 0.7))
	b.ground(330)
}

// ground is a football ground with the ball at x.
func (b *brush) ground(x float64) {
	stand := b.near
	b.poly(flat(stand), 0, 190, 470, 268, 730, 268, Width, 190, Width, 384, 0, 384)
	for range 720 {
		at, row := b.between(0, Width), b.between(0, 1)
		top := 268 - 78*max(0, math.Abs(at-600)-130)/470
		b.disc(glaze(pick(b, b.light, b.warm, b.cool, b.sun, b.far), 0.9), at, top+12+(352-top)*row, 4.4)
	}
	b.poly(flat(b.dark), 0, 178, 470, 258, 730, 258, Width, 178, Width, 192, 730, 270, 470, 270, 0, 192)
	for _, mast := range []float64{120, 1080} {
		b.line(flat(b.dark), mast, 260, mast, 70, 9)
		b.round(flat(b.dark), mast-58, 34, 116, 52, 6)
		for i := range 8 {
			at, y := mast-42+float64(i%4)*28, 48+float64(i/4)*24
			b.disc(glaze(b.light, 0.25), at, y, 17)
			b.disc(flat(b.light), at, y, 8.5)
		}
	}
	b.rect(flat(b.light), 0, 366, Width, 22)
	for at := 0.0; at < Width; at += 150 {
		b.rect(flat(pick(b, b.warm, b.cool, b.sun)), at+6, 369, 138, 16)
	}
	grass, lawn := ink(0x3F8F4F), ink(0x58A75B)
	b.rect(flat(grass), 0, 388, Width, 242)
	for i := -9; i < 10; i += 2 {
		at := float64(i)
		b.poly(flat(lawn), 600+at*90, 388, 600+(at+1)*90, 388, 600+(at+1)*210, Height, 600+at*210, Height)
	}
	b.poly(glaze(b.light, 0.85), 0, 412, Width, 412, Width, 416, 0, 416)
	b.goal(600, 412)
	b.ball(x, 470, 132)
}

func (b *brush) goal(x, base float64) {
	for i := range 21 {
		at := float64(i)/10 - 1
		b.line(glaze(b.light, 0.45), x+at*196, base-132, x+at*164, base-6, 1.6)
	}
	for i := range 9 {
		y := base - 132 + float64(i)*15.5
		b.line(glaze(b.light, 0.45), x-196, y, x+196, y, 1.6)
	}
	b.rect(flat(b.light), x-202, base-138, 8, 140)
	b.rect(flat(b.light), x+194, base-138, 8, 140)
	b.rect(flat(b.light), x-202, base-138, 404, 8)
}

type spot struct{ x, y, z float64 }

func (s spot) mix(o spot, t float64) spot {
	return spot{s.x + (o.x-s.x)*t, s.y + (o.y-s.y)*t, s.z + (o.z-s.z)*t}
}

// corners are the 12 corners of an icosahedron of radius 1, turned so that a football shows its best side.
func corners() []spot {
	g := (1 + math.Sqrt(5)) / 2
	long := math.Sqrt(1 + g*g)
	var out []spot
	sin, cos := math.Sincos(0.42)
	for _, u := range []float64{-1, 1} {
		for _, v := range []float64{-g, g} {
			for _, s := range []spot{{0, u, v}, {u, v, 0}, {v, 0, u}} {
				s = spot{s.x, s.y*cos - s.z*sin, s.y*sin + s.z*cos}
				s = spot{s.x*cos + s.z*sin, s.y, s.z*cos - s.x*sin}
				out = append(out, spot{s.x / long, s.y / long, s.z / long})
			}
		}
	}
	return out
}

// ball is a football: dark patches round the corners of an icosahedron, seams along its edges.
func (b *brush) ball(x, y, r float64) {
	b.oval(glaze(0x123018, 0.35), x+16, y+r*0.98, r*0.98, r*0.2)
	b.disc(flat(0xFBFAF5), x, y, r)
	onto := func(s spot) point {
		flatLong := math.Hypot(s.x, s.y)
		round := math.Sqrt(s.x*s.x + s.y*s.y + s.z*s.z)
		if s.z < 0 { // behind: on the rim
			round = flatLong
		}
		return point{x + r*s.x/round, y + r*s.y/round}
	}
	dark := flat(0x1D2433)
	all := corners()
	for _, v := range all {
		var patch []spot
		for _, n := range all {
			if d := math.Hypot(math.Hypot(v.x-n.x, v.y-n.y), v.z-n.z); d > 0.1 && d < 1.2 {
				patch = append(patch, v.mix(n, 0.36))
				a, c := v.mix(n, 0.36), v.mix(n, 0.64)
				if a.z > 0 && c.z > 0 {
					pa, pc := onto(a), onto(c)
					b.line(dark, pa.x, pa.y, pc.x, pc.y, r*0.03)
				}
			}
		}
		if v.z < -0.25 {
			continue
		}
		pts := make([]point, 0, 5)
		for _, s := range patch {
			pts = append(pts, onto(s))
		}
		centre := onto(v)
		slices.SortFunc(pts, func(p, q point) int {
			return cmp.Compare(math.Atan2(p.y-centre.y, p.x-centre.x), math.Atan2(q.y-centre.y, q.x-centre.x))
		})
		b.fill(dark, pts)
	}
	b.fill(glaze(0x1D2433, 0.16), append(arc(x, y, r, r, -0.4, math.Pi*0.75),
		arc(x-r*0.12, y-r*0.14, r*0.86, r*0.86, math.Pi*0.72, -0.36)...))
}

func stage(b *brush) {
	b.rect(fade(b.skyTop, b.skyMid, 0, Height), 0, 0, Width, Height)
	for i, x := range []float64{240, 480, 720, 960} {
		b.poly(glaze(b.sun, 0.16), x-12, 40, x+12, 40, x+150-40*float64(i), Height, x-170+20*float64(i), Height)
		b.round(flat(b.dark), x-20, 16, 40, 34, 8)
		b.oval(flat(b.sun), x, 50, 15, 6)
	}
	b.rect(flat(b.dark), 0, 12, Width, 10)
	robes := []ink{b.warm, b.cool, b.sun, b.light}
	for row := range 3 {
		base := 400 + float64(row)*58
		s := 0.92 + 0.1*float64(row)
		b.rect(flat(b.far.mix(b.near, 0.4+0.2*float64(row))), 130-float64(row)*36, base-4, 940+float64(row)*72, 70)
		for i := range 9 + row {
			x := 600 + (float64(i)-float64(8+row)/2)*98*(0.94+0.05*float64(row))
			b.singer(x, base, s, robes[(i+row)%4])
		}
	}
	b.rect(flat(b.near), 0, 570, Width, 60)
	b.person(600, 640, 1.25, flat(b.dark))
	b.stroke(flat(b.dark), []point{{610, 530}, {660, 500}, {690, 450}}, 15)
	b.stroke(flat(b.dark), []point{{590, 530}, {540, 505}, {515, 460}}, 15)
	b.line(flat(b.light), 690, 452, 712, 404, 4)
	b.curtain(0, 190, 1)
	b.curtain(Width, 190, -1)
}

func (b *brush) singer(x, base, s float64, robe ink) {
	skin := pick(b, ink(0xF0C9A4), ink(0x8D5A3C), ink(0xC98E63), ink(0x5F3B2A))
	b.poly(flat(robe), x-34*s, base, x-22*s, base-84*s, x+22*s, base-84*s, x+34*s, base)
	b.rect(flat(b.light), x-24*s, base-58*s, 48*s, 22*s)
	b.rect(flat(b.dark), x-1, base-58*s, 2, 22*s)
	b.disc(flat(skin), x, base-104*s, 21*s)
	b.fill(flat(pick(b, ink(0x2B1B17), ink(0x4A2F22), ink(0x14131A), ink(0x8A5A2B))),
		append(arc(x, base-107*s, 23*s, 23*s, math.Pi*0.92, math.Pi*2.08), point{x + 14*s, base - 112*s}, point{x - 12*s, base - 116*s}))
	b.oval(flat(b.dark), x, base-96*s, 4.5*s, 6*s)
}

// curtain hangs at x and opens towards side.
func (b *brush) curtain(x, wide, side float64) {
	red := b.warm.mix(b.dark, 0.35)
	for i := range 6 {
		t := float64(i)
		p := flat(red.mix(b.dark, 0.16*float64(i%3)))
		b.poly(p, x+side*t*wide/6, 0, x+side*(t+1.1)*wide/6, 0, x+side*(t+1.1)*wide/9, Height, x+side*t*wide/9, Height)
	}
}

func robots(b *brush) {
	b.rect(fade(b.skyMid, b.skyLow, 0, 440), 0, 0, Width, 440)
	b.round(flat(b.light), 86, 60, 620, 320, 10)
	b.round(flat(b.dark), 96, 70, 600, 300, 6)
	for i := range 5 {
		b.line(glaze(b.light, 0.7), 130, 116+float64(i)*30, 130+b.between(90, 210), 116+float64(i)*30, 5)
	}
	for i := range 3 {
		b.fill(glaze(b.light, 0.8), arc(520, 220, 34+30*float64(i), 34+30*float64(i), 0, 6.28), arc(520, 220, 29+30*float64(i), 29+30*float64(i), 6.28, 0))
	}
	b.line(glaze(b.sun, 0.9), 400, 320, 640, 120, 5)
	b.rect(flat(b.mid.mix(b.light, 0.45)), 0, 440, Width, 190)
	b.round(flat(b.near), 760, 492, 380, 26, 6)
	b.rect(flat(b.dark), 800, 518, 18, 112)
	b.rect(flat(b.dark), 1084, 518, 18, 112)
	joints := []point{{960, 490}, {900, 360}, {1010, 240}, {1090, 300}}
	b.poly(flat(b.dark), 900, 492, 1020, 492, 996, 448, 924, 448)
	for i := range 3 {
		b.line(flat(b.warm), joints[i].x, joints[i].y, joints[i+1].x, joints[i+1].y, 42-9*float64(i))
	}
	for i, j := range joints {
		b.disc(flat(b.light), j.x, j.y, 28-4*float64(i))
		b.disc(flat(b.dark), j.x, j.y, 13-2*float64(i))
	}
	b.line(flat(b.dark), 1090, 306, 1070, 352, 9)
	b.line(flat(b.dark), 1096, 306, 1118, 350, 9)
	b.rect(flat(b.sun), 1070, 352, 50, 50)
	for i, x := range []float64{150, 330, 510, 690} {
		hair := []ink{0x2B1B17, 0x14131A, 0x4A2F22, 0x2B1B17}[i]
		b.round(flat([]ink{b.cool, b.warm, b.sun, b.near}[i]), x-62, 500, 124, 160, 46)
		b.disc(flat(0xD9A27C), x, 462, 44)
		b.dome(flat(hair), x, 468, 50, 56)
		b.rect(flat(hair), x-50, 466, 100, 14)
	}
}

func umbrellas(b *brush) {
	b.rect(fade(b.skyTop, b.skyLow, 0, Height), 0, 0, Width, Height)
	for x := 0.0; x < Width; x += 200 {
		b.rect(flat(b.mid.mix(b.light, 0.35)), x+28, 150, 144, 480)
		b.dome(flat(b.mid.mix(b.light, 0.35)), x+100, 151, 72, 72)
		b.rect(glaze(b.light, 0.35), x+40, 160, 120, 470)
	}
	b.rect(flat(b.near), 0, 540, Width, 90)
	b.rect(flat(b.light), 0, 534, Width, 10)
	cloths := []ink{b.warm, b.cool, b.sun, b.dark, b.warm.mix(b.light, 0.4), b.near, b.cool.mix(b.light, 0.4)}
	for i, at := range []point{{120, 190}, {360, 130}, {640, 210}, {900, 120}, {1090, 240}, {250, 330}, {800, 340}} {
		b.line(glaze(b.dark, 0.5), at.x, 0, at.x, at.y-60, 2)
		b.umbrella(at.x, at.y, b.between(0.9, 1.15), cloths[i])
	}
	b.umbrella(530, 420, 1.9, b.warm)
	b.person(470, 600, 1.25, flat(b.dark))
	b.person(610, 600, 0.85, flat(b.dark.mix(b.near, 0.4)))
}

func (b *brush) umbrella(x, y, s float64, cloth ink) {
	b.line(flat(b.dark), x, y-64*s, x, y+66*s, 4.5*s)
	b.fill(flat(b.dark), append(arc(x+10*s, y+66*s, 12*s, 14*s, math.Pi, 0), arc(x+10*s, y+66*s, 7.5*s, 9.5*s, 0, math.Pi)...))
	canopy := arc(x, y, 92*s, 62*s, math.Pi, 2*math.Pi)
	for i := range 4 {
		canopy = append(canopy, arc(x+(69-46*float64(i))*s, y, 23*s, 11*s, 0, -math.Pi)...)
	}
	b.fill(flat(cloth), canopy)
	for _, rib := range []float64{46, -46, 0} {
		b.stroke(glaze(b.dark, 0.25), []point{{x, y - 62*s}, {x + rib*0.72*s, y - 40*s}, {x + rib*s, y}}, 2.2*s)
	}
}
