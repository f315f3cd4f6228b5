package demo

import "math"

func ballot(b *brush) {
	b.rect(fade(b.skyTop, b.skyLow, 0, 470), 0, 0, Width, 470)
	b.disc(glaze(b.light, 0.35), 600, 330, 290)
	b.disc(glaze(b.light, 0.35), 600, 330, 220)
	for _, x := range []float64{120, 1080} {
		for i := range 3 {
			b.star(x, 140+float64(i)*110, 30, flat(pick(b, b.warm, b.cool, b.sun)))
		}
	}
	b.rect(flat(b.mid), 0, 470, Width, 160)
	b.rect(glaze(b.light, 0.25), 0, 470, Width, 8)
	b.oval(glaze(b.dark, 0.25), 610, 574, 270, 22)
	sin, cos := math.Sincos(-0.16)
	at := func(x, y float64) point { return point{590 + x*cos - y*sin, 200 + x*sin + y*cos} }
	b.fill(flat(b.light), []point{at(-110, -120), at(110, -120), at(110, 120), at(-110, 120)})
	for i := range 3 {
		y := -76 + float64(i)*62
		b.fill(flat(b.near), []point{at(-84, y), at(-44, y), at(-44, y+40), at(-84, y+40)})
		b.fill(flat(b.light), []point{at(-79, y+5), at(-49, y+5), at(-49, y+35), at(-79, y+35)})
		b.fill(flat(b.far), []point{at(-26, y+12), at(84, y+12), at(84, y+26), at(-26, y+26)})
	}
	b.stroke(flat(b.warm), []point{at(-78, 6), at(-64, 20), at(-38, -26)}, 9)
	b.poly(flat(b.cool.mix(b.dark, 0.25)), 400, 300, 470, 250, 740, 250, 800, 300)
	b.poly(flat(b.dark), 490, 282, 506, 268, 698, 268, 712, 282)
	b.fill(flat(b.light), []point{at(-104, 20), at(106, 20), {700, 276}, {500, 276}})
	b.fill(flat(b.far), []point{at(-26, 60), at(84, 60), at(84, 72), at(-26, 72)})
	b.rect(flat(b.cool), 400, 300, 400, 272)
	b.rect(glaze(b.dark, 0.14), 740, 300, 60, 272)
	b.rect(glaze(b.light, 0.25), 400, 300, 400, 10)
	b.star(600, 440, 84, flat(b.light))
}

func (b *brush) star(x, y, r float64, p paint) {
	var pts []point
	for i := range 10 {
		long := r
		if i%2 == 1 {
			long = r * 0.42
		}
		sin, cos := math.Sincos(float64(i)*math.Pi/5 - math.Pi/2)
		pts = append(pts, point{x + long*cos, y + long*sin})
	}
	b.fill(p, pts)
}

func parliament(b *brush) {
	b.sky()
	b.stars(60, 220)
	b.glow(250, 180, 56)
	b.hills(flat(b.far), 420, 50)
	b.hills(flat(b.mid), 470, 24)
	stone := b.light
	shade := stone.mix(b.far, 0.4)
	b.dome(flat(b.cool), 600, 250, 112, 116)
	b.dome(flat(b.cool.mix(b.dark, 0.25)), 640, 250, 72, 104)
	b.rect(flat(shade), 488, 246, 224, 44)
	b.rect(flat(stone), 580, 108, 40, 34)
	b.line(flat(b.dark), 600, 110, 600, 40, 4)
	b.poly(flat(b.warm), 600, 40, 660, 54, 600, 72)
	b.poly(flat(stone), 380, 332, 600, 268, 820, 332)
	b.poly(flat(shade), 440, 322, 600, 278, 760, 322)
	b.rect(flat(stone), 380, 332, 440, 22)
	b.rect(flat(shade), 400, 354, 400, 160)
	for i := range 7 {
		x := 408 + float64(i)*59
		b.rect(flat(stone), x, 354, 30, 160)
		b.rect(glaze(b.dark, 0.12), x+20, 354, 10, 160)
	}
	for _, x := range []float64{140, 820} {
		b.rect(flat(stone), x, 372, 240, 142)
		b.rect(flat(shade), x, 362, 240, 14)
		for i := range 4 {
			b.round(flat(b.near), x+20+float64(i)*55, 396, 34, 62, 16)
			b.round(flat(b.sun), x+24+float64(i)*55, 400, 26, 54, 12)
		}
	}
	for i := range 4 {
		w := 480 + float64(i)*44
		b.rect(flat(stone.mix(b.far, 0.12*float64(i+1))), 600-w/2, 514+float64(i)*15, w, 15)
	}
	b.rect(flat(b.near), 0, 574, Width, 56)
	for _, x := range []float64{60, 150, 1050, 1140} {
		b.tree(flat(b.near.mix(b.cool, 0.3)), x, 584, 1.4)
	}
	for _, x := range []float64{330, 470, 700, 880} {
		b.person(x, 620, 0.55, flat(b.dark))
	}
}

func chip(b *brush) {
	b.rect(fade(b.skyTop, b.near, 0, Height), 0, 0, Width, Height)
	for side := range 4 {
		for i := range 9 {
			b.trace(side, i)
		}
	}
	b.round(flat(b.dark), 408, 123, 384, 384, 26)
	b.round(flat(b.far), 420, 135, 360, 360, 20)
	b.round(flat(b.mid), 452, 167, 296, 296, 12)
	for row := range 6 {
		for col := range 6 {
			p := flat(pick(b, b.cool, b.warm, b.light, b.far, b.far, b.cool.mix(b.dark, 0.4)))
			b.round(p, 470+float64(col)*44, 185+float64(row)*44, 38, 38, 4)
		}
	}
	b.fill(glaze(b.cool.mix(b.light, 0.4), 0.95), append(arc(600, 338, 70, 70, -0.35, math.Pi+0.35), point{600, 196}))
	b.fill(glaze(b.light, 0.5), append(arc(584, 338, 34, 44, math.Pi*0.55, math.Pi*1.1), point{562, 318}))
}

// trace is one conductor from a side of the chip to the border.
func (b *brush) trace(side, i int) {
	off := (float64(i) - 4) * 38
	bend, turn := 230+b.between(0, 60), off*1.5
	long := b.between(380, 660)
	onto := func(out, across float64) point {
		switch side {
		case 0:
			return point{600 + out, 315 + across}
		case 1:
			return point{600 - out, 315 + across}
		case 2:
			return point{600 + across, 315 + out}
		}
		return point{600 + across, 315 - out}
	}
	p := flat(pick(b, b.far, b.far, b.cool.mix(b.dark, 0.3), b.warm.mix(b.dark, 0.3)))
	route := []point{onto(180, off), onto(bend, off), onto(bend+math.Abs(turn-off)+1, turn), onto(long+60, turn)}
	for k := range 3 {
		b.line(p, route[k].x, route[k].y, route[k+1].x, route[k+1].y, 7)
		b.disc(p, route[k+1].x, route[k+1].y, 3.5)
	}
	end := route[3]
	b.disc(p, end.x, end.y, 14)
	b.disc(flat(b.near), end.x, end.y, 7)
	pin := route[0]
	b.disc(flat(b.light), pin.x, pin.y, 12)
}

func chart(b *brush) {
	b.rect(fade(b.light, b.skyLow, 0, Height), 0, 0, Width, Height)
	b.disc(glaze(b.sun, 0.35), 930, 210, 190)
	for i := range 6 {
		b.rect(glaze(b.near, 0.13), 90, 110+float64(i)*84, 1020, 2.5)
	}
	var tops []point
	for i := range 9 {
		h := 90 + 34*float64(i) + b.between(-46, 46)
		x := 120 + float64(i)*110
		p := b.mid.mix(b.cool, float64(i)/8)
		b.round(flat(p), x, 530-h, 70, h+20, 8)
		b.rect(glaze(b.dark, 0.10), x+48, 538-h, 22, h)
		tops = append(tops, point{x + 35, 470 - h + b.between(-16, 16)})
	}
	b.stroke(flat(b.warm), tops, 9)
	for _, at := range tops {
		b.disc(flat(b.light), at.x, at.y, 13)
		b.disc(flat(b.warm), at.x, at.y, 9)
	}
	b.rect(flat(b.dark), 0, 530, Width, 100)
	for i, x := range []float64{200, 236, 620, 660, 1010} {
		for k := range 2 + (i*2)%5 {
			y := 600 - float64(k)*15
			b.rect(flat(b.sun.mix(b.dark, 0.3)), x-34, y-8, 68, 10)
			b.oval(flat(b.sun.mix(b.dark, 0.3)), x, y+2, 34, 11)
			b.oval(flat(b.sun), x, y-8, 34, 11)
		}
	}
}

func observatory(b *brush) {
	b.sky()
	b.stars(420, 430)
	for i := range 60 {
		t := float64(i) / 59
		x, y := 40+t*900, 60+t*330+b.between(-26, 26)
		b.oval(glaze(b.skyLow.mix(0xFFFFFF, 0.3), 0.04), x, y, b.between(60, 130), b.between(30, 60))
	}
	b.stroke(glaze(b.light, 0.85), []point{{240, 90}, {330, 128}, {400, 158}}, 3)
	b.disc(flat(b.light), 402, 159, 4)
	b.ridge(flat(b.far), paint{}, 460, 120)
	b.hills(flat(b.mid), 490, 30)
	b.hills(flat(b.near), 540, 20)
	b.rect(flat(b.light.mix(b.far, 0.35)), 660, 410, 260, 140)
	b.rect(flat(b.light.mix(b.far, 0.15)), 644, 400, 292, 18)
	b.dome(flat(b.light.mix(b.skyLow, 0.25)), 790, 402, 138, 142)
	b.fill(glaze(b.dark, 0.22), append(arc(790, 402, 138, 142, -math.Pi*0.4, 0), point{860, 402}))
	b.poly(flat(b.dark), 690, 312, 716, 286, 786, 390, 756, 402)
	b.poly(flat(b.far.mix(b.light, 0.3)), 660, 286, 690, 258, 766, 366, 738, 386)
	b.poly(flat(b.cool), 652, 288, 684, 252, 694, 262, 664, 298)
	b.round(flat(b.warm), 770, 466, 44, 86, 6)
	for _, x := range []float64{690, 840} {
		b.round(flat(b.warm.mix(b.light, 0.4)), x, 460, 40, 30, 4)
	}
	for i, x := range []float64{1010, 1110} {
		s := 1 - 0.25*float64(i)
		b.rect(flat(b.far.mix(b.light, 0.2)), x-30*s, 520-30*s, 60*s, 60*s)
		b.dome(flat(b.far.mix(b.light, 0.4)), x, 521-30*s, 34*s, 34*s)
	}
	b.hills(flat(b.dark), 590, 16)
}

func cinema(b *brush) {
	b.sky()
	b.stars(50, 200)
	b.towers(flat(b.far), 560, 220, 360, 0.1)
	b.poly(flat(b.mid), 250, 570, 250, 150, 330, 96, 470, 60, 730, 60, 870, 96, 950, 150, 950, 570)
	b.rect(flat(b.warm.mix(b.dark, 0.35)), 290, 170, 620, 400)
	for i := range 9 {
		x := 312 + float64(i)*66
		b.round(flat(b.warm.mix(b.dark, 0.15)), x, 176, 38, 170, 16)
	}
	b.rect(flat(b.cool), 552, 70, 96, 250)
	b.rect(flat(b.light), 562, 80, 76, 230)
	for i := range 5 {
		b.star(600, 106+float64(i)*44, 17, flat(pick(b, b.warm, b.cool)))
	}
	b.poly(flat(b.dark), 220, 330, 980, 330, 1010, 430, 190, 430)
	b.poly(flat(b.light), 240, 344, 960, 344, 982, 412, 218, 412)
	for row := range 2 {
		for x := 286.0; x < 910; {
			w := b.between(24, 84)
			b.round(flat(b.near), x, 354+float64(row)*28, w, 17, 3)
			x += w + 18
		}
	}
	for i := range 28 {
		x := 206 + float64(i)*29.2
		b.disc(glaze(b.sun, 0.35), x, 431, 11)
		b.disc(flat(b.sun), x, 431, 6)
	}
	for _, x := range []float64{350, 470, 660, 780} {
		b.rect(flat(b.sun.mix(b.light, 0.3)), x, 456, 84, 114)
		b.rect(flat(b.dark), x+40, 456, 4, 114)
	}
	b.rect(flat(b.near), 0, 566, Width, 64)
	b.poly(glaze(b.sun, 0.22), 330, 566, 880, 566, 990, Height, 230, Height)
	for i, x := range []float64{120, 260, 400, 560, 640, 860, 1040} {
		b.person(x, 622, 0.85+0.08*float64(i%3), flat(b.dark))
	}
}
