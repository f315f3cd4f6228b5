package news

import (
	"testing"
	"time"
)

func TestClassifyBounce(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		enhanced string
		code     int
		want     BounceKind
	}{
		{"5.1.1", 550, BounceHard},
		{"5.1.2", 0, BounceHard},
		{"5.1.10", 556, BounceHard}, // RFC 7505
		{"5.2.1", 550, BounceHard},
		{"", 556, BounceHard},
		{"5.0.0", 556, BounceHard},
		{"5.1.7", 550, BounceSoft}, // the sender's address
		{"5.1.8", 550, BounceSoft},
		{"5.2.2", 552, BounceSoft}, // full
		{"5.7.1", 550, BounceSoft}, // policy
		{"5.7.26", 550, BounceSoft},
		{"5.4.1", 550, BounceSoft},
		{"4.1.1", 450, BounceSoft},
		{"4.4.7", 0, BounceSoft},
		{"2.1.5", 250, BounceSoft},
		{"", 550, BounceSoft},
		{"", 0, BounceSoft},
		{"5.1.1.1", 0, BounceSoft},
		{"5..1", 0, BounceSoft},
		{"5.1.x", 0, BounceSoft},
		{"9.1.1", 0, BounceSoft},
	} {
		if got := ClassifyBounce(tt.enhanced, tt.code); got != tt.want {
			t.Errorf("%q %d: %s, want %s", tt.enhanced, tt.code, got, tt.want)
		}
	}
}

func TestBouncePolicy(t *testing.T) {
	t.Parallel()
	at := func(day int) time.Time { return time.Date(2026, 3, day, 9, 0, 0, 0, time.UTC) }
	for name, tt := range map[string]struct {
		policy BouncePolicy
		kind   BounceKind
		soft   SoftBounces
		want   BounceEffect
	}{
		"hard":                  {kind: BounceHard, want: EffectSuppressed},
		"complaint":             {kind: BounceComplaint, want: EffectSuppressed},
		"unsubscribe":           {kind: BounceUnsubscribe, want: EffectUnsubscribed},
		"first soft":            {kind: BounceSoft, soft: SoftBounces{1, at(1), at(1)}},
		"many in one day":       {kind: BounceSoft, soft: SoftBounces{50, at(1), at(1)}},
		"few over a long time":  {kind: BounceSoft, soft: SoftBounces{4, at(1), at(28)}},
		"a moment too soon":     {kind: BounceSoft, soft: SoftBounces{5, at(1), at(8).Add(-time.Millisecond)}},
		"enough":                {kind: BounceSoft, soft: SoftBounces{5, at(1), at(8)}, want: EffectBounced},
		"own limits":            {policy: BouncePolicy{SoftLimit: 2, SoftOver: time.Hour}, kind: BounceSoft, soft: SoftBounces{2, at(1), at(1).Add(time.Hour)}, want: EffectBounced},
		"unknown kind":          {kind: "postcard", soft: SoftBounces{50, at(1), at(28)}},
		"soft ignores the rest": {kind: BounceSoft},
	} {
		if got := tt.policy.Effect(tt.kind, tt.soft); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}
