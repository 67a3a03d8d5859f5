package kernel

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"
)

// TestFMA compares fused multiply-adds with exact arithmetic that is rounded once, sums near the middle between two float32 among them.
func TestFMA(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	number := func(bits int) float32 { // of few bits, so that sums meet in the middle
		return float32(math.Ldexp(float64(rng.IntN(1<<bits)-1<<(bits-1)), rng.IntN(60)-30))
	}
	exact := func(x, y, z float64) *big.Float {
		f := func(v float64) *big.Float { return new(big.Float).SetPrec(400).SetFloat64(v) }
		return new(big.Float).SetPrec(400).Add(new(big.Float).SetPrec(400).Mul(f(x), f(y)), f(z))
	}
	middles := 0
	for i := range 300_000 {
		x, y, z := number(1+i%24), number(1+i/24%24), number(1+i/500%24)
		e := exact(float64(x), float64(y), float64(z))
		want, _ := e.Float32()
		if twice, _ := e.Float64(); float32(twice) != want {
			middles++
		}
		if got := fma(x, y, z); got != want {
			t.Fatalf("%g * %g + %g = %g, must be %g", x, y, z, got, want)
		}
		if got, want := fma(float64(x), float64(y), float64(z)), math.FMA(float64(x), float64(y), float64(z)); got != want {
			t.Fatalf("%g * %g + %g = %g in float64, must be %g", x, y, z, got, want)
		}
	}
	if middles < 20 {
		t.Errorf("only %d sums are rounded wrongly by two roundings: the cases test nothing", middles)
	}
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, c := range [][4]float32{{inf, 1, 1, inf}, {inf, 0, 1, nan}, {1, 1, -inf, -inf}, {inf, 1, -inf, nan}, {nan, 1, 1, nan}, {3e38, 3e38, 1, inf}, {3e38, 3e38, -inf, -inf}} {
		if got := fma(c[0], c[1], c[2]); got != c[3] && !(got != got && c[3] != c[3]) {
			t.Errorf("%g * %g + %g = %g, must be %g", c[0], c[1], c[2], got, c[3])
		}
	}
}
