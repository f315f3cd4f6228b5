package demo

import "math"

// towers is a row of buildings on base; lit is the share of windows with light.
func (b *brush) towers(p paint, base, lo, hi, lit float64) {
	for x := -20.0; x < Width; {
		w, h := b.between(46, 96), b.between(lo, hi)
		b.rect(p, x, base-h, w, h+4)
		switch b.IntN(5) {
		case 0:
			b.line(p, x+w/2, base-h, x+w/2, base-h-36, 4)
		case 1:
			b.rect(p, x+w*0.2, base-h-16, w*0.6, 18)
		case 2:
			b.dome(p, x+w/2, base-h+1, w*0.4, w*0.3)
		}
		for wy := base - h + 14; wy < base-12 && lit > 0; wy += 20 {
			for wx := x + 10; wx < x+w-12; wx += 17 {
				if b.Float64() < lit {
					b.rect(glaze(b.light, 0.85), wx, wy, 8, 10)
				}
			}
		}
		x += w + b.between(-4, 14)
	}
}

func market(b *brush) {
	b.sky()
	b.stars(70, 240)
	b.glow(980, 110, 46)
	b.towers(flat(b.far), 420, 90, 220, 0.12)
	b.towers(flat(b.mid), 440, 50, 140, 0.25)
	b.rect(flat(b.dark), 0, 430, Width, 200)
	rope := arc(600, 60, 700, 190, math.Pi*0.97, math.Pi*0.03)
	b.stroke(flat(b.dark), rope, 3)
	for i := 2; i < len(rope)-2; i += 6 {
		b.disc(glaze(b.light, 0.2), rope[i].x, rope[i].y+10, 20)
		b.disc(flat(b.light), rope[i].x, rope[i].y+10, 8)
	}
	for i, x := range []float64{60, 350, 640, 930} {
		b.stall(x, 340, []ink{b.warm, b.cool, b.warm.mix(b.sun, 0.5), b.cool.mix(b.sky3(), 0.3)}[i])
	}
	for _, x := range []float64{318, 600, 884, 914} {
		b.person(x+b.between(-8, 8), 616, b.between(0.95, 1.1), flat(b.far.mix(b.skyLow, 0.2)))
	}
}

// sky3 is the inks' lightest blue, for cloth at night.
func (b *brush) sky3() ink { return b.skyLow.mix(b.light, 0.5) }

func (b *brush) stall(x, y float64, cloth ink) {
	b.rect(flat(b.near), x+6, y+50, 218, 170)
	b.rect(glaze(b.light, 0.30), x+14, y+50, 202, 110)
	b.rect(flat(b.warm.mix(b.dark, 0.55)), x-4, y+150, 238, 110)
	for i := range 9 {
		at := x + 12 + float64(i)*25
		p := flat(pick(b, b.warm, b.light, b.cool, b.warm.mix(b.light, 0.5)))
		b.disc(p, at, y+144, 14)
		b.disc(p, at+12, y+130, 11)
	}
	for i := range 8 {
		p := flat(cloth)
		if i%2 == 1 {
			p = flat(b.light.mix(b.sky3(), 0.3))
		}
		at, low := x+20+float64(i)*24, x-14+float64(i)*32.5
		b.poly(p, at, y-6, at+24, y-6, low+32.5, y+50, low, y+50)
		b.fill(p, arc(low+16.25, y+50, 16.25, 13, 0, math.Pi))
	}
	b.disc(glaze(b.light, 0.25), x+114, y+84, 30)
	b.disc(flat(b.light), x+114, y+84, 10)
}

func (b *brush) person(x, base, s float64, p paint) {
	b.disc(p, x, base-128*s, 16*s)
	b.round(p, x-23*s, base-108*s, 46*s, 74*s, 18*s)
	b.rect(p, x-17*s, base-50*s, 14*s, 50*s)
	b.rect(p, x+3*s, base-50*s, 14*s, 50*s)
}

func terrace(b *brush) {
	b.sky()
	b.glow(1000, 150, 60)
	b.cloud(330, 100, 0.9, glaze(b.light, 0.8))
	b.towers(flat(b.far), 420, 40, 120, 0)
	walls := []ink{b.warm, b.cool, b.sun, b.mid, b.warm.mix(b.light, 0.4), b.cool.mix(b.light, 0.35), b.sun.mix(b.light, 0.4)}
	for i := range 7 {
		b.house(float64(i)*176-16, 540, walls[i])
	}
	b.rect(flat(b.light.mix(b.far, 0.5)), 0, 540, Width, 26)
	b.rect(flat(b.near), 0, 566, Width, 64)
	for _, x := range []float64{150, 690, 1050} {
		b.tree(flat(b.near.mix(b.mid, 0.3)), x, 556, 1)
	}
	b.bicycle(430, 580, 1)
}

// house is one of a row, on base.
func (b *brush) house(x, base float64, wall ink) {
	top := base - 250
	b.rect(flat(b.dark.mix(wall, 0.25)), x+124, top-112, 30, 76)
	b.rect(flat(b.warm.mix(b.dark, 0.3)), x+128, top-126, 8, 16)
	b.rect(flat(b.warm.mix(b.dark, 0.3)), x+142, top-126, 8, 16)
	b.poly(flat(b.dark.mix(b.near, 0.4)), x-4, top, x+26, top-66, x+154, top-66, x+180, top)
	b.rect(flat(wall), x, top, 176, 250)
	b.rect(glaze(b.dark, 0.10), x+164, top, 12, 250)
	b.rect(glaze(b.dark, 0.18), x, top, 176, 8)
	for _, wx := range []float64{24, 100} {
		b.window(x+wx, top+34, 50, 72)
	}
	b.window(x+24, top+146, 62, 66)
	b.round(flat(b.dark.mix(wall, 0.15)), x+110, top+142, 44, 116, 8)
	b.rect(glaze(b.light, 0.7), x+118, top+152, 28, 18)
	b.disc(flat(b.sun), x+146, top+206, 3)
	b.rect(flat(b.light), x+104, top+244, 56, 6)
}

func (b *brush) window(x, y, w, h float64) {
	b.rect(flat(b.light), x-4, y-4, w+8, h+8)
	glass := b.skyTop.mix(b.dark, 0.35)
	if b.IntN(3) == 0 {
		glass = b.sun.mix(b.light, 0.3)
	}
	b.rect(flat(glass), x, y, w, h)
	b.rect(flat(b.light), x+w/2-1.5, y, 3, h)
	b.rect(flat(b.light), x, y+h/2-1.5, w, 3)
	b.rect(flat(b.light), x-8, y+h+2, w+16, 6)
}

func (b *brush) bicycle(x, base, s float64) {
	p := flat(b.dark)
	for _, wx := range []float64{-36, 36} {
		b.fill(p, arc(x+wx*s, base-26*s, 26*s, 26*s, 0, 2*math.Pi), arc(x+wx*s, base-26*s, 22*s, 22*s, 2*math.Pi, 0))
	}
	frame := []point{
		{x - 36*s, base - 26*s}, {x - 14*s, base - 66*s}, {x + 26*s, base - 66*s}, {x, base - 28*s}, {x - 14*s, base - 66*s},
	}
	for i := range len(frame) - 1 {
		b.line(flat(b.warm), frame[i].x, frame[i].y, frame[i+1].x, frame[i+1].y, 4.5*s)
	}
	b.line(flat(b.warm), x-36*s, base-26*s, x, base-28*s, 4.5*s)
	b.line(flat(b.warm), x+22*s, base-80*s, x+36*s, base-26*s, 4.5*s)
	b.line(p, x+22*s, base-80*s, x+36*s, base-86*s, 5*s)
	b.line(p, x-26*s, base-72*s, x-4*s, base-72*s, 6*s)
}

func tram(b *brush) {
	b.sky()
	b.cloud(250, 110, 1, glaze(b.light, 0.85))
	b.cloud(900, 80, 0.8, glaze(b.light, 0.7))
	b.hills(flat(b.far), 330, 40)
	walls := []ink{b.sun, b.light, b.mid, b.warm.mix(b.light, 0.5), b.cool.mix(b.light, 0.5), b.light.mix(b.sun, 0.4), b.far}
	for i := range 7 {
		b.house(float64(i)*176-40, 500, walls[i])
	}
	b.rect(flat(b.light.mix(b.far, 0.6)), 0, 496, Width, 34)
	b.rect(flat(b.near), 0, 530, Width, 100)
	b.rect(glaze(b.light, 0.5), 0, 588, Width, 4)
	b.rect(glaze(b.light, 0.5), 0, 612, Width, 4)
	b.line(flat(b.dark), 0, 236, Width, 244, 2.5)
	b.tree(flat(b.near), 96, 530, 1.5)
	b.tree(flat(b.near), 1120, 530, 1.35)
	b.line(flat(b.dark), 560, 330, 610, 240, 4)
	b.line(flat(b.dark), 660, 330, 610, 240, 4)
	b.round(flat(b.light), 240, 326, 740, 262, 34)
	b.round(flat(b.warm), 240, 470, 740, 118, 34)
	b.rect(flat(b.warm), 240, 456, 740, 60)
	b.rect(flat(b.dark), 300, 578, 620, 20)
	for i := range 6 {
		x := 268 + float64(i)*116
		if i == 2 || i == 4 {
			b.round(flat(b.dark), x, 360, 92, 214, 8)
			b.rect(flat(b.skyTop), x+8, 370, 34, 190)
			b.rect(flat(b.skyTop), x+50, 370, 34, 190)
			continue
		}
		b.round(flat(b.dark), x, 360, 100, 84, 12)
		b.round(flat(b.skyTop), x+6, 366, 88, 72, 8)
		b.poly(glaze(b.light, 0.3), x+20, 438, x+56, 366, x+76, 366, x+40, 438)
	}
	b.disc(flat(b.sun), 962, 500, 11)
	b.rect(flat(b.dark), 240, 340, 740, 8)
}

func seaside(b *brush) {
	b.sky()
	b.glow(980, 130, 60)
	b.cloud(380, 110, 1, glaze(b.light, 0.9))
	b.sea(360, 980)
	b.pier(660, 372)
	b.swell(glaze(b.light, 0.55), 470, 10, 130)
	b.hills(flat(b.sun.mix(b.light, 0.35)), 500, 12)
	b.rect(flat(b.light), 90, 300, 430, 250)
	for i := range 12 {
		p := flat(b.cool)
		if i%2 == 1 {
			p = flat(b.light)
		}
		x := 70 + float64(i)*39.2
		b.rect(p, x, 296, 39.2, 58)
		b.fill(p, arc(x+19.6, 354, 19.6, 16, 0, math.Pi))
	}
	b.round(flat(b.cool), 130, 222, 350, 62, 10)
	b.fish(330, 253, 0.85, flat(b.light), flat(b.cool))
	b.rect(flat(b.dark), 120, 392, 240, 96)
	b.rect(flat(b.sun), 126, 398, 228, 84)
	b.person(190, 520, 1, flat(b.warm))
	b.person(280, 520, 1, flat(b.near))
	b.rect(flat(b.light), 110, 482, 260, 70)
	b.rect(flat(b.warm), 110, 482, 260, 12)
	b.round(flat(b.cool), 400, 392, 84, 160, 8)
	b.rect(flat(b.light), 414, 408, 56, 60)
	b.rect(flat(b.near.mix(b.light, 0.55)), 0, 550, Width, 80)
	for _, x := range []float64{640, 730, 905} {
		b.person(x, 590, b.between(0.9, 1.05), flat(pick(b, b.dark, b.near, b.cool.mix(b.dark, 0.4))))
	}
	b.birds(6, 700, 200)
}

// pier runs out to the right edge, its deck at y.
func (b *brush) pier(x, y float64) {
	for at := x + 10; at < Width; at += 46 {
		b.line(flat(b.near), at, y, at, y+78, 6)
		b.line(flat(b.near), at, y+8, at+46, y+70, 3)
	}
	b.rect(flat(b.dark), x, y-8, Width-x, 14)
	b.rect(flat(b.light), x+270, y-88, 200, 80)
	b.dome(flat(b.warm), x+370, y-86, 86, 62)
	b.line(flat(b.dark), x+370, y-146, x+370, y-184, 4)
	b.poly(flat(b.sun), x+370, y-184, x+410, y-174, x+370, y-162)
	for at := x + 286; at < x+460; at += 36 {
		b.round(flat(b.cool), at, y-66, 20, 58, 10)
	}
}
