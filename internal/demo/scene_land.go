package demo

import "math"

func turbines(b *brush) {
	b.sky()
	b.glow(260, 210, 72)
	b.cloud(720, 100, 1.1, glaze(b.light, 0.9))
	b.ridge(flat(b.far), glaze(b.light, 0.85), 400, 190)
	b.hills(flat(b.mid), 430, 34)
	b.rect(fade(b.waterTop, b.waterLow, 440, 560), 0, 468, Width, 80)
	b.hills(flat(b.near.mix(b.mid, 0.4)), 520, 26)
	for i, at := range []point{{170, 470}, {420, 492}, {640, 476}, {1090, 480}} {
		b.turbine(at.x, at.y, 0.72+0.1*float64(i%2), b.between(0, 2))
	}
	b.turbine(880, 560, 1.5, 0.5)
	b.hills(flat(b.near), 572, 20)
	b.hills(flat(b.dark), 614, 12)
	for range 7 {
		x := b.between(60, 640)
		b.oval(flat(b.light), x, 590, 17, 11)
		b.disc(flat(b.dark), x+15, 585, 6)
	}
}

func (b *brush) turbine(x, base, s, turn float64) {
	top := base - 230*s
	b.poly(flat(b.light), x-7*s, base, x+7*s, base, x+3*s, top, x-3*s, top)
	b.poly(glaze(b.near, 0.2), x+1*s, base, x+7*s, base, x+3*s, top, x+0.5*s, top)
	for i := range 3 {
		sin, cos := math.Sincos(turn + float64(i)*2*math.Pi/3)
		at := func(long, side float64) point {
			return point{x + (cos*long-sin*side)*s, top + (sin*long+cos*side)*s}
		}
		b.fill(flat(b.light), []point{at(0, -4), at(26, -9), at(128, 0), at(0, 4)})
		b.fill(glaze(b.near, 0.14), []point{at(0, 0), at(128, 0), at(0, 4)})
	}
	b.disc(flat(b.warm), x, top, 7*s)
}

func farm(b *brush) {
	b.sky()
	b.glow(300, 190, 74)
	b.cloud(560, 100, 0.8, glaze(b.light, 0.9))
	b.cloud(1050, 130, 1, glaze(b.light, 0.9))
	b.hills(flat(b.far), 330, 26)
	b.hills(flat(b.mid), 362, 16)
	for x := -40.0; x < 620; x += b.between(34, 58) {
		b.tree(flat(b.near), x, 384, b.between(0.5, 0.8))
	}
	b.rect(flat(b.sun.mix(b.light, 0.2)), 0, 380, Width, 250)
	for i := -22; i < 24; i += 2 {
		x := float64(i)
		b.poly(flat(b.mid), 420+x*22, 380, 420+(x+1)*22, 380, 420+(x+1)*120, Height, 420+x*120, Height)
	}
	for i, x := range []float64{900, 980, 1060} {
		h := 190 + 26*float64(i%2)
		b.rect(flat(b.light), x, 420-h, 72, h)
		b.dome(flat(b.far.mix(b.light, 0.3)), x+36, 421-h, 36, 30)
		b.rect(glaze(b.dark, 0.12), x+46, 420-h, 26, h)
		for y := 440 - h; y < 410; y += 26 {
			b.rect(glaze(b.dark, 0.10), x, y, 72, 3)
		}
	}
	b.poly(flat(b.warm), 700, 430, 700, 300, 730, 250, 800, 220, 870, 250, 900, 300, 900, 430)
	b.poly(flat(b.dark), 690, 306, 726, 244, 800, 210, 874, 244, 910, 306, 896, 306, 864, 258, 800, 230, 736, 258, 704, 306)
	b.rect(flat(b.light), 752, 334, 96, 96)
	b.rect(flat(b.warm), 758, 340, 84, 90)
	b.line(flat(b.light), 758, 340, 842, 430, 6)
	b.line(flat(b.light), 842, 340, 758, 430, 6)
	b.rect(flat(b.light), 780, 264, 40, 34)
	b.poly(flat(b.near), 640, 440, 1200, 424, 1200, 450, 660, 470)
	b.birds(5, 600, 240)
}

func paddies(b *brush) {
	b.sky()
	b.glow(880, 170, 70)
	b.ridge(flat(b.far), paint{}, 320, 170)
	b.hills(flat(b.mid.mix(b.far, 0.4)), 330, 40)
	b.hills(flat(b.mid), 370, 30)
	for i := range 6 {
		y, step := 388+float64(i)*42, float64(i)
		bank, water := b.near.mix(b.sun, 0.12*float64(i%2)), b.skyMid.mix(b.skyLow, 0.25*float64(i%3))
		shift := b.between(0, 6)
		wave := func(x, up float64) point { return point{x, y - up + 16*math.Sin(x/170+shift) + 0.03*step*x} }
		var edge, pool []point
		for x := -10.0; x <= Width+10; x += 20 {
			edge, pool = append(edge, wave(x, 0)), append(pool, wave(x, -10))
		}
		floor := []point{{Width + 10, 700}, {-10, 700}}
		b.fill(flat(bank), append(edge, floor...))
		b.fill(fade(water, water.mix(b.mid, 0.5), int(y), int(y)+70), append(pool, floor...))
		for x := 14 + b.between(0, 20); x < Width; x += 30 + 5*step {
			at := wave(x, -24-3*step)
			for _, lean := range []float64{-5, 0, 5} {
				b.line(flat(b.near), at.x, at.y, at.x+lean, at.y-12-step, 2.6)
			}
		}
	}
	b.farmer(300, 560)
	b.farmer(410, 536)
	b.birds(5, 420, 180)
}

func (b *brush) farmer(x, y float64) {
	b.round(flat(b.warm), x-18, y-62, 40, 52, 16)
	b.rect(flat(b.dark), x-12, y-20, 11, 34)
	b.rect(flat(b.dark), x+6, y-20, 11, 34)
	b.line(flat(b.warm), x-10, y-48, x-38, y-10, 9)
	b.poly(flat(b.sun.mix(b.light, 0.3)), x-38, y-56, x+2, y-92, x+42, y-56)
}

func road(b *brush) {
	b.sky()
	b.glow(600, 350, 150)
	b.hills(flat(b.far), 392, 34)
	b.hills(flat(b.mid), 410, 18)
	b.rect(flat(b.mid.mix(b.near, 0.5)), 0, 408, Width, 222)
	b.poly(flat(b.far.mix(b.mid, 0.3)), 580, 408, 620, 408, 1040, Height, 160, Height)
	b.poly(flat(b.far.mix(b.light, 0.25)), 586, 408, 614, 408, 1000, Height, 200, Height)
	for _, t := range []float64{0.06, 0.17, 0.34, 0.6} {
		y0, y1 := 408+222*t, 408+222*(t*1.35+0.03)
		b.poly(flat(b.light), 600-9*t, y0, 600+9*t, y0, 600+12*t, y1, 600-12*t, y1)
	}
	for _, side := range []float64{-1, 1} {
		for i := range 4 {
			s := 0.3 + 0.32*float64(i)
			b.palm(600+side*(120+170*float64(i)*s*1.2), 420+56*float64(i)*s, s)
		}
	}
	inks := []ink{b.cool, b.warm, b.light, b.cool, b.warm, b.light}
	for i, at := range []point{{572, 462}, {640, 470}, {516, 506}, {708, 530}, {440, 596}, {600, 622}} {
		b.runner(at.x, at.y, 0.38+(at.y-455)/160, inks[i])
	}
}

func (b *brush) palm(x, base, s float64) {
	b.stroke(flat(b.dark), []point{{x, base}, {x + 8*s, base - 90*s}, {x + 26*s, base - 190*s}}, 10*s)
	for _, a := range []float64{-2.9, -2.3, -1.7, -1.1, -0.5, 0.1, 3.5} {
		sin, cos := math.Sincos(a)
		tx, ty := x+26*s+cos*86*s, base-190*s+sin*50*s+26*s
		b.poly(flat(b.dark), x+26*s, base-194*s, x+26*s+cos*50*s, base-206*s+sin*52*s, tx, ty, x+26*s+cos*44*s, base-186*s+sin*40*s)
	}
}

func (b *brush) runner(x, base, s float64, shirt ink) {
	skin := flat(b.dark.mix(b.near, 0.3))
	limb := func(w float64, pts ...point) {
		for i := range pts {
			pts[i] = point{x + pts[i].x*s, base + pts[i].y*s}
		}
		b.stroke(skin, pts, w*s)
	}
	b.oval(glaze(b.dark, 0.5), x, base+2*s, 34*s, 6*s)
	limb(12, point{2, -62}, point{-14, -32}, point{-34, -26})
	limb(12, point{4, -62}, point{18, -34}, point{8, -2})
	limb(9, point{6, -104}, point{-18, -88}, point{-8, -72})
	b.round(flat(shirt), x-13*s, base-118*s, 30*s, 62*s, 12*s)
	limb(9, point{4, -106}, point{26, -88}, point{38, -102})
	b.disc(skin, x+8*s, base-134*s, 14*s)
}

func switchback(b *brush) {
	b.sky()
	b.glow(980, 130, 56)
	b.cloud(600, 84, 0.8, glaze(b.light, 0.85))
	b.ridge(flat(b.far), glaze(b.light, 0.9), 360, 240)
	b.hills(flat(b.mid), 400, 60)
	b.hills(flat(b.near.mix(b.mid, 0.35)), 470, 30)
	bends := []point{{760, 396}, {900, 412}, {930, 432}, {560, 452}, {480, 480}, {560, 506}, {1010, 520}, {1090, 560}, {980, 600}, {-40, 612}}
	b.winding(flat(b.light.mix(b.far, 0.3)), bends)
	for range 26 {
		x, y := b.between(0, Width), b.between(440, 590)
		b.pine(flat(b.near.mix(b.dark, b.between(0.2, 0.8))), x, y, 0.3+(y-430)/240)
	}
	shirts := []ink{b.warm, b.sun, b.cool, b.light, b.warm}
	for i, shirt := range shirts {
		b.cyclist(220+float64(i)*150+b.between(-14, 14), 616, 0.95, shirt)
	}
}

// winding is a road through the bends that widens towards the viewer: a Catmull-Rom curve in short pieces.
func (b *brush) winding(p paint, bends []point) {
	last := bends[0]
	for i := range len(bends) - 1 {
		p0, p1, p2, p3 := bends[max(0, i-1)], bends[i], bends[i+1], bends[min(len(bends)-1, i+2)]
		for k := 1; k <= 24; k++ {
			t := float64(k) / 24
			curve := func(a, b, c, d float64) float64 {
				return (2*b + (c-a)*t + (2*a-5*b+4*c-d)*t*t + (3*b-a-3*c+d)*t*t*t) / 2
			}
			at := point{curve(p0.x, p1.x, p2.x, p3.x), curve(p0.y, p1.y, p2.y, p3.y)}
			w := 6 + 48*(at.y-390)/220
			b.line(p, last.x, last.y, at.x, at.y, w)
			b.disc(p, at.x, at.y, w/2)
			last = at
		}
	}
}

func (b *brush) cyclist(x, base, s float64, shirt ink) {
	b.bicycle(x, base, s)
	b.stroke(flat(b.dark), []point{{x - 14*s, base - 72*s}, {x + 10*s, base - 52*s}, {x + 2*s, base - 24*s}}, 11*s)
	b.stroke(flat(shirt), []point{{x - 16*s, base - 74*s}, {x - 6*s, base - 100*s}, {x + 18*s, base - 116*s}}, 24*s)
	b.stroke(flat(b.dark), []point{{x + 14*s, base - 110*s}, {x + 20*s, base - 90*s}, {x + 34*s, base - 84*s}}, 7*s)
	b.disc(flat(b.dark), x+34*s, base-122*s, 12*s)
	b.dome(flat(shirt), x+33*s, base-122*s, 16*s, 14*s)
}

func balloons(b *brush) {
	b.sky()
	b.glow(230, 330, 92)
	b.ridge(flat(b.far), paint{}, 450, 90)
	b.hills(flat(b.mid.mix(b.far, 0.3)), 470, 30)
	for x := 30.0; x < Width; x += b.between(70, 130) {
		w, h := b.between(22, 40), b.between(70, 150)
		b.poly(flat(b.mid), x-w, 570, x-w*0.5, 570-h, x, 570-h-26, x+w*0.5, 570-h, x+w, 570)
		b.poly(glaze(b.dark, 0.12), x, 570, x, 570-h-26, x+w*0.5, 570-h, x+w, 570)
	}
	b.hills(flat(b.near), 560, 24)
	b.hills(flat(b.dark), 606, 14)
	b.balloon(130, 150, 0.42, b.cool, b.light)
	b.balloon(420, 250, 0.55, b.sun, b.warm)
	b.balloon(1080, 330, 0.5, b.warm, b.light)
	b.balloon(560, 110, 0.36, b.mid, b.light)
	b.balloon(1000, 120, 0.62, b.cool, b.sun)
	b.balloon(760, 230, 1.35, b.warm, b.light)
}

func (b *brush) balloon(x, y, s float64, main, stripe ink) {
	for i, w := range []float64{104, 82, 56, 28} {
		p := flat(main)
		if i%2 == 1 {
			p = flat(stripe)
		}
		b.fill(p, append(arc(x, y, w*s, 108*s, math.Pi, 2*math.Pi),
			point{x + w*0.86*s, y + 52*s}, point{x + w*0.24*s, y + 128*s}, point{x - w*0.24*s, y + 128*s}, point{x - w*0.86*s, y + 52*s}))
	}
	b.fill(glaze(b.dark, 0.10), append(arc(x, y, 104*s, 108*s, -0.5*math.Pi, 0),
		point{x + 89*s, y + 52*s}, point{x + 25*s, y + 128*s}, point{x, y + 128*s}))
	b.line(flat(b.dark), x-22*s, y+126*s, x-14*s, y+164*s, 2.4*s)
	b.line(flat(b.dark), x+22*s, y+126*s, x+14*s, y+164*s, 2.4*s)
	b.round(flat(b.near.mix(b.dark, 0.4)), x-18*s, y+162*s, 36*s, 26*s, 5*s)
}
