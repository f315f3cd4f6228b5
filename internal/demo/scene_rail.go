package demo

import "math"

// train runs to the right, its nose at x, its wheels at y.
func (b *brush) train(x, y, s float64, cars int, body, band ink) {
	for i := range cars {
		at := x - float64(i+1)*216*s
		if i == 0 {
			b.fill(flat(body), append(arc(at+150*s, y-8*s, 62*s, 74*s, -math.Pi/2, 0), point{at, y - 8*s}, point{at, y - 82*s}))
			b.fill(flat(b.dark), append(arc(at+150*s, y-36*s, 52*s, 36*s, -math.Pi/2, 0), point{at + 150*s, y - 36*s}))
		} else {
			b.round(flat(body), at, y-82*s, 210*s, 74*s, 8*s)
		}
		b.rect(flat(band), at, y-28*s, 206*s, 8*s)
		windows := 5
		if i == 0 {
			windows = 3
		}
		for w := range windows {
			b.round(flat(b.light.mix(b.sun, 0.5)), at+(14+38*float64(w))*s, y-66*s, 28*s, 28*s, 4*s)
		}
		b.rect(flat(b.dark), at+4*s, y-9*s, 198*s, 6*s)
		for _, wheel := range []float64{30, 58, 146, 174} {
			b.disc(flat(b.dark), at+wheel*s, y-3*s, 9*s)
		}
		b.rect(flat(b.dark), at-8*s, y-60*s, 9*s, 46*s)
	}
}

func sleeper(b *brush) {
	b.sky()
	b.stars(120, 330)
	b.glow(930, 120, 48)
	b.ridge(flat(b.far), glaze(b.light, 0.7), 400, 250)
	b.ridge(flat(b.mid), glaze(b.light, 0.28), 450, 170)
	b.hills(flat(b.near), 520, 30)
	stone := b.far.mix(b.light, 0.22)
	const deck = 430.0
	b.rect(flat(stone), 0, deck, Width, 40)
	for x := -40.0; x < Width+80; x += 120 {
		b.rect(flat(stone), x-14, deck+20, 28, 200)
		b.fill(flat(stone), append(arc(x+60, deck+92, 47, 54, math.Pi, 2*math.Pi),
			point{x + 120, deck + 92}, point{x + 120, deck + 30}, point{x, deck + 30}, point{x, deck + 92}))
	}
	b.rect(glaze(b.light, 0.25), 0, deck, Width, 6)
	b.train(1010, deck-2, 1.12, 5, b.cool.mix(b.dark, 0.5), b.warm)
	b.fill(glaze(b.light, 0.18), []point{{1000, deck - 26}, {1240, deck - 60}, {1240, deck}, {1000, deck - 12}})
	b.hills(flat(b.near.mix(b.dark, 0.5)), 590, 22)
	for x := 20.0; x < Width; x += b.between(50, 110) {
		b.pine(flat(b.dark), x, b.between(622, 640), b.between(0.9, 1.5))
	}
}

func snowTrain(b *brush) {
	b.sky()
	b.glow(220, 170, 54)
	b.ridge(flat(b.far), glaze(b.light, 0.95), 380, 240)
	b.hills(flat(b.light.mix(b.far, 0.55)), 400, 30)
	for x := 0.0; x < Width; x += b.between(22, 44) {
		b.pine(flat(b.near.mix(b.mid, b.between(0, 0.6))), x, b.between(424, 448), b.between(0.5, 0.9))
	}
	b.rect(flat(b.light.mix(b.far, 0.3)), 0, 440, Width, 190)
	b.rect(flat(b.mid), 0, 512, Width, 12)
	for x := 0.0; x < Width; x += 26 {
		b.rect(flat(b.dark), x, 516, 15, 8)
	}
	b.train(940, 510, 1.25, 4, b.warm, b.light)
	b.fill(flat(b.light), arc(972, 510, 90, 40, math.Pi, 2*math.Pi), arc(1030, 512, 66, 24, math.Pi, 2*math.Pi))
	b.hills(flat(b.light), 562, 18)
	b.pine(flat(b.near), 96, 612, 2.2)
	b.pine(flat(b.near), 1090, 618, 2.5)
	b.pine(flat(b.near.mix(b.dark, 0.4)), 1000, 624, 1.6)
	for range 190 {
		b.disc(glaze(b.light, 0.9), b.between(0, Width), b.between(0, Height), b.between(1.4, 4.2))
	}
}

func savanna(b *brush) {
	b.sky()
	b.glow(330, 330, 136)
	b.hills(flat(b.far), 420, 22)
	b.hills(flat(b.mid), 452, 16)
	b.rect(flat(b.near), 0, 478, Width, 40)
	b.rect(flat(b.dark), 0, 494, Width, 8)
	b.train(1080, 494, 0.95, 5, b.cool, b.light)
	b.hills(flat(b.near), 540, 12)
	b.acacia(860, 560, 1.35)
	b.acacia(110, 548, 0.9)
	b.hills(flat(b.dark), 596, 14)
	for range 60 {
		x := b.between(0, Width)
		b.line(flat(b.dark), x, 610, x+b.between(-9, 9), 610-b.between(18, 44), 2.6)
	}
	b.birds(7, 620, 150)
}

func (b *brush) acacia(x, base, s float64) {
	p := flat(b.dark)
	b.stroke(p, []point{{x, base}, {x + 6*s, base - 80*s}, {x - 50*s, base - 170*s}}, 13*s)
	b.stroke(p, []point{{x + 4*s, base - 70*s}, {x + 26*s, base - 120*s}, {x + 76*s, base - 176*s}}, 10*s)
	b.stroke(p, []point{{x + 4*s, base - 90*s}, {x + 10*s, base - 190*s}}, 8*s)
	for _, crown := range [][3]float64{{-70, -178, 96}, {70, -184, 110}, {6, -206, 130}} {
		b.fill(p, arc(x+crown[0]*s, base+crown[1]*s, crown[2]*s, 30*s, math.Pi, 2*math.Pi),
			arc(x+crown[0]*s, base+crown[1]*s, crown[2]*s, 9*s, 0, math.Pi))
	}
}
