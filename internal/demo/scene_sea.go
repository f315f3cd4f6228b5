package demo

import "math"

func harbour(b *brush) {
	b.sky()
	b.glow(850, 250, 84)
	b.cloud(240, 120, 1, glaze(b.light, 0.75))
	b.cloud(1040, 90, 0.7, glaze(b.light, 0.6))
	b.hills(flat(b.far), 392, 40)
	b.sea(410, 850)
	for i, x := range []float64{90, 265, 420} {
		b.crane(x, 452, 1.15-0.12*float64(i), flat(b.mid.mix(b.near, 0.5)))
	}
	b.rect(flat(b.near), 0, 448, 560, 26)
	b.birds(5, 690, 150)
	b.freighter(410, 540)
	b.swell(glaze(b.waterLow, 0.85), 556, 9, 90)
	b.swell(glaze(b.dark, 0.45), 596, 11, 120)
}

// crane is a quay crane: two legs, a boom over the water, a mast with stays.
func (b *brush) crane(x, base, s float64, p paint) {
	top := base - 200*s
	b.line(p, x-30*s, base, x-18*s, top, 8*s)
	b.line(p, x+30*s, base, x+18*s, top, 8*s)
	b.line(p, x-27*s, base-60*s, x+27*s, base-60*s, 6*s)
	b.line(p, x-80*s, top, x+150*s, top-14*s, 10*s)
	b.line(p, x, top, x+6*s, top-74*s, 8*s)
	b.line(p, x+6*s, top-72*s, x+140*s, top-14*s, 3*s)
	b.line(p, x+6*s, top-72*s, x-76*s, top, 3*s)
	b.rect(p, x-66*s, top-6*s, 34*s, 22*s)
	b.line(p, x+96*s, top-10*s, x+96*s, top+70*s, 2.5*s)
	b.rect(flat(b.warm), x+74*s, top+68*s, 44*s, 20*s)
}

// freighter lies with its bow to the left at x, its keel at y.
func (b *brush) freighter(x, y float64) {
	boxes := []ink{b.warm, b.cool, b.light, b.sun, b.mid, b.warm.mix(b.dark, 0.35)}
	for col := range 9 {
		for row := range 2 + b.IntN(3) {
			at, top := x+96+float64(col)*54, y-104-float64(row)*29
			p := pick(b, boxes...)
			b.rect(flat(p), at, top, 52, 27)
			for i := range 4 {
				b.rect(glaze(b.dark, 0.13), at+8+float64(i)*12, top+3, 3, 21)
			}
		}
	}
	b.rect(flat(b.light), x+590, y-206, 92, 130)
	b.rect(flat(b.light), x+572, y-214, 128, 14)
	for row := range 3 {
		for col := range 4 {
			b.rect(flat(b.near), x+600+float64(col)*20, y-192+float64(row)*30, 12, 14)
		}
	}
	b.rect(flat(b.warm), x+630, y-262, 34, 50)
	b.rect(flat(b.dark), x+630, y-262, 34, 14)
	b.poly(flat(b.dark), x, y-92, x+26, y-76, x+724, y-76, x+704, y+30, x+60, y+30)
	b.poly(flat(b.warm), x+44, y, x+711, y, x+704, y+30, x+60, y+30)
	b.line(glaze(b.light, 0.5), x+52, y-58, x+700, y-58, 4)
}

func ferry(b *brush) {
	b.sky()
	b.glow(420, 330, 104)
	b.towers(flat(b.far), 420, 60, 170, 0)
	b.towers(flat(b.mid), 424, 30, 110, 0.25)
	b.sea(420, 420)
	b.birds(6, 820, 140)
	b.canoe(300, 492)
	b.swell(glaze(b.waterLow, 0.55), 506, 8, 110)
	b.boat(620, 528, 1.25)
	b.swell(glaze(b.near, 0.9), 540, 10, 100)
	b.swell(flat(b.dark), 592, 12, 140)
}

func (b *brush) boat(x, y, s float64) {
	b.poly(flat(b.light), x-230*s, y-44*s, x+220*s, y-44*s, x+190*s, y+16*s, x-190*s, y+16*s)
	b.poly(flat(b.warm), x-212*s, y-12*s, x+206*s, y-12*s, x+190*s, y+16*s, x-190*s, y+16*s)
	for deck := range 2 {
		w, top := 330-90*float64(deck), y-(92+46*float64(deck))*s
		b.rect(flat(b.cool), x-w/2*s, top, w*s, 48*s)
		b.rect(flat(b.light), x-(w/2+14)*s, top-8*s, (w+28)*s, 10*s)
		for at := 16.0; at+24 < w; at += 38 {
			b.round(flat(b.sun), x+(at-w/2)*s, top+12*s, 22*s, 20*s, 4*s)
		}
	}
	b.rect(flat(b.dark), x+30*s, y-196*s, 34*s, 52*s)
	b.rect(flat(b.sun), x+30*s, y-184*s, 34*s, 12*s)
	b.line(flat(b.dark), x-90*s, y-144*s, x-90*s, y-214*s, 4*s)
	b.poly(flat(b.warm), x-90*s, y-214*s, x-44*s, y-202*s, x-90*s, y-190*s)
}

func (b *brush) canoe(x, y float64) {
	b.fill(flat(b.dark), arc(x, y, 96, 28, 0, math.Pi))
	b.line(flat(b.dark), x+26, y+4, x+26, y-62, 12)
	b.disc(flat(b.dark), x+26, y-74, 13)
	b.line(flat(b.dark), x+4, y-52, x+76, y+34, 5)
}

func reef(b *brush) {
	b.rect(fade(b.waterTop, b.cool, 0, 420), 0, 0, Width, 420)
	b.rect(fade(b.cool, b.cool.mix(b.dark, 0.6), 420, Height), 0, 420, Width, Height-420)
	for i := range 6 {
		x := 120 + float64(i)*190 + b.between(-40, 40)
		b.poly(glaze(b.light, 0.09), x, 0, x+b.between(60, 110), 0, x+b.between(-60, 20), Height, x-260, Height)
	}
	b.hills(glaze(b.cool.mix(b.dark, 0.35), 0.8), 500, 46)
	for range 9 {
		x, y := b.between(80, 1120), b.between(110, 380)
		b.fish(x, y, b.between(0.5, 0.9), glaze(b.dark, 0.28), glaze(b.dark, 0.28))
	}
	b.fish(330, 250, 2.1, flat(b.warm), flat(b.light))
	b.fish(610, 360, 1.5, flat(b.sun), flat(b.dark))
	b.fish(760, 180, 1.2, flat(b.light), flat(b.cool))
	b.hills(flat(b.dark.mix(b.cool, 0.25)), 575, 26)
	for x := 40.0; x < Width; x += b.between(80, 120) {
		p := flat(pick(b, b.warm, b.sun, b.warm.mix(b.light, 0.45), b.mid, b.sun.mix(b.warm, 0.5)))
		if b.IntN(3) == 0 {
			b.dome(p, x, 640, b.between(50, 80), b.between(70, 110))
			continue
		}
		b.coral(p, x, 640, -math.Pi/2+b.between(-0.2, 0.2), b.between(62, 84), 15)
	}
	for range 26 {
		b.disc(glaze(b.light, 0.4), b.between(840, 900)+b.between(-30, 30), b.between(60, 470), b.between(2, 7))
	}
}

// coral branches upwards from x, y.
func (b *brush) coral(p paint, x, y, angle, long, width float64) {
	ex, ey := x+long*math.Cos(angle), y+long*math.Sin(angle)
	b.line(p, x, y, ex, ey, width)
	b.disc(p, ex, ey, width/2)
	if width < 7 {
		return
	}
	for _, turn := range []float64{-0.5, 0.05, 0.55} {
		b.coral(p, ex, ey, angle+turn+b.between(-0.12, 0.12), long*0.62, width*0.72)
	}
}

func (b *brush) fish(x, y, s float64, p, stripe paint) {
	b.fill(p, arc(x, y, 56*s, 27*s, 0.12, 2*math.Pi-0.12))
	b.poly(p, x-44*s, y, x-88*s, y-28*s, x-76*s, y, x-88*s, y+28*s)
	b.poly(p, x-14*s, y-24*s, x-6*s, y-42*s, x+22*s, y-22*s)
	for _, at := range []float64{-22, 14} {
		b.oval(stripe, x+at*s, y, 5.5*s, 22*s)
	}
	b.disc(flat(b.light), x+36*s, y-6*s, 6.5*s)
	b.disc(flat(b.dark), x+37*s, y-6*s, 3.4*s)
}

func lighthouse(b *brush) {
	b.sky()
	b.stars(50, 200)
	b.fill(glaze(b.sun, 0.16), []point{{810, 168}, {-40, 20}, {-40, 250}})
	b.fill(glaze(b.sun, 0.16), []point{{810, 168}, {1260, 60}, {1260, 230}})
	b.hills(flat(b.far), 420, 24)
	b.sea(432, 420)
	b.boat(300, 470, 0.42)
	b.swell(glaze(b.waterLow, 0.7), 520, 9, 120)
	b.poly(flat(b.near), 560, 560, 640, 500, 730, 476, 900, 470, 1010, 500, 1100, 540, 1200, 560, 1200, 630, 540, 630)
	b.poly(flat(b.dark), 640, 580, 760, 530, 860, 548, 1000, 520, 1200, 590, 1200, 630, 600, 630)
	b.poly(flat(b.light), 764, 480, 856, 480, 840, 204, 780, 204)
	for i := range 3 {
		y := 236 + float64(i)*84
		in := func(y float64) float64 { return 16 * (480 - y) / 276 }
		b.poly(flat(b.warm), 764+in(y), y, 856-in(y), y, 856-in(y+42), y+42, 764+in(y+42), y+42)
	}
	b.poly(glaze(b.dark, 0.16), 820, 204, 840, 204, 856, 480, 826, 480)
	b.rect(flat(b.dark), 766, 196, 88, 10)
	b.rect(flat(b.sun), 786, 144, 48, 52)
	for _, x := range []float64{786, 808, 830} {
		b.rect(flat(b.dark), x, 144, 4, 52)
	}
	b.dome(flat(b.warm), 810, 146, 36, 30)
	b.rect(flat(b.light), 872, 418, 110, 64)
	b.poly(flat(b.warm), 860, 420, 894, 380, 960, 380, 994, 420)
	b.rect(flat(b.sun), 892, 438, 18, 22)
	b.rect(flat(b.sun), 944, 438, 18, 22)
	b.swell(flat(b.dark.mix(b.waterLow, 0.5)), 606, 10, 100)
}

func coast(b *brush) {
	b.sky()
	b.glow(230, 150, 62)
	b.cloud(560, 130, 0.9, glaze(b.light, 0.85))
	b.cloud(960, 90, 1.2, glaze(b.light, 0.85))
	b.poly(flat(b.far), 540, 420, 620, 300, 690, 262, 960, 262, 1010, 300, 1080, 380, 1200, 400, 1200, 430, 540, 430)
	b.sea(420, 230)
	b.poly(flat(b.mid), 640, 500, 720, 452, 900, 440, 1200, 436, 1200, 560, 700, 540)
	for i, x := range []float64{770, 880, 990} {
		h := 92 + float64(i%2)*20
		b.rect(flat(b.light), x, 458-h, 88, h)
		b.oval(flat(b.light.mix(b.far, 0.4)), x+44, 458-h, 44, 11)
		b.rect(glaze(b.dark, 0.14), x+60, 458-h, 28, h)
		b.rect(flat(b.cool), x, 430-h/2, 88, 14)
	}
	b.rect(flat(b.near), 1096, 372, 104, 90)
	b.poly(flat(b.warm), 1086, 376, 1120, 340, 1200, 340, 1200, 376)
	for x := 1108.0; x < 1190; x += 30 {
		b.rect(flat(b.sun), x, 396, 16, 20)
	}
	b.stroke(flat(b.cool), []point{{770, 446}, {720, 446}, {690, 470}, {640, 520}, {560, 540}}, 14)
	b.swell(glaze(b.waterLow, 0.75), 520, 16, 150)
	b.swell(glaze(b.cool, 0.85), 556, 18, 190)
	b.swell(flat(b.cool.mix(b.dark, 0.45)), 596, 18, 170)
	b.birds(6, 470, 250)
}
