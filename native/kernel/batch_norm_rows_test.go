package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestBatchNormRows compares batch normalization with channels last, on every path, with BatchNorm in float64: with whole vectors of channels and without, fewer rows than slabs and more,
// with another image added and rectified, and the gradient of each.
func TestBatchNormRows(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		for _, size := range [][2]int{{1, 16}, {3, 7}, {70, 48}, {1300, 16}, {257, 5}, {40, 512}} {
			for _, form := range []struct{ add, relu bool }{{false, false}, {true, false}, {false, true}, {true, true}} {
				t.Run(fmt.Sprintf("%d rows of %d, add %v, relu %v", size[0], size[1], form.add, form.relu), func(t *testing.T) {
					for _, atEnd := range []bool{true, false} {
						testBatchNormRows[float32](t, size[0], size[1], form.add, form.relu, atEnd, 1e-6)
						testBatchNormRows[float64](t, size[0], size[1], form.add, form.relu, atEnd, 1e-14)
					}
				})
			}
		}
	})
}

func testBatchNormRows[T Float](t *testing.T, rows, channels int, add, relu, atEnd bool, limit float64) {
	rng := rand.New(rand.NewPCG(uint64(rows), uint64(channels)))
	// Both layouts of the same numbers: rows of channels, and a row for each channel.
	draw := func(middle float64) (last []T, first []float64) {
		last, first = fenced[T](t, rows*channels, atEnd), make([]float64, rows*channels)
		for i := range last {
			last[i] = T(float32(rng.NormFloat64() + middle))
			first[i%channels*rows+i/channels] = float64(last[i])
		}
		return last, first
	}
	x, wantX := draw(3)
	other, wantOther := draw(0)
	dy, wantDY := draw(0)
	if !add {
		other = nil
	}
	scale, shift := make([]T, channels), make([]T, channels)
	for c := range channels {
		scale[c], shift[c] = T(float32(rng.NormFloat64())), T(float32(rng.NormFloat64()))
	}
	const epsilon = 1e-3
	b := NewBatchNormRows[T](rows, channels, epsilon)
	b.sums = fencedCopy(t, b.sums, atEnd)
	for _, x := range []*[]T{&b.mean, &b.factor, &b.shift, &b.off, &b.slope} {
		*x = fencedNaN[T](t, channels, atEnd)
	}
	oracle := BatchNorm[float64]{Images: 1, Channels: channels, Size: rows, Epsilon: epsilon}
	compare := func(what string, got []T, want []float64) {
		t.Helper()
		sorted := make([]float64, len(want))
		for i := range sorted {
			sorted[i] = want[i%channels*rows+i/channels]
		}
		var d, n float64
		for i, w := range sorted {
			d += (float64(got[i]) - w) * (float64(got[i]) - w)
			n += w * w
		}
		if !(math.Sqrt(d) <= limit*(math.Sqrt(n)+1)) {
			t.Errorf("%s is off by %g of %g", what, math.Sqrt(d), math.Sqrt(n))
		}
	}
	near := func(what string, got, want float64) {
		t.Helper()
		// The sums are in float64 for either type: so many terms of a size near 1, in another order.
		if !(math.Abs(got-want) <= 1e-15*float64(rows+10)) {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	for i := range b.Slabs() {
		b.Moments(x, i)
	}
	y, wantY := fencedNaN[T](t, len(x), atEnd), make([]float64, len(x))
	mean, inverse := fenced[T](t, channels, atEnd), make([]T, channels)
	for c := range channels {
		m, v := b.Statistics(x, c)
		wantMean, wantVariance := oracle.Statistics(wantX, c)
		if near("the mean", m, wantMean); rows > 1 {
			near("the variance", v, wantVariance)
		}
		mean[c], inverse[c] = T(m), T(b.InverseDeviation(v))
		b.Set(c, mean[c], inverse[c], scale[c], shift[c])
		oracle.Apply(wantY, wantX, c, wantMean, float64(inverse[c]), float64(scale[c]), float64(shift[c]))
	}
	b.Apply(y, x, other, relu, 0, rows/3)
	b.Apply(y, x, other, relu, rows/3, rows)
	for i := range wantY {
		if add {
			wantY[i] += wantOther[i]
		}
		if relu {
			wantY[i] = max(0, wantY[i])
		}
	}
	compare("the result", y, wantY)
	gate := y
	if relu { // what rounding makes of a result near zero must not decide
		for i := range wantDY {
			if !(y[i%rows*channels+i/rows] > 0) {
				wantDY[i] = 0
			}
		}
	} else {
		gate = nil
	}
	for i := range b.Slabs() {
		b.GradientSums(dy, x, gate, mean, i)
	}
	dx, wantDX := fencedNaN[T](t, len(x), atEnd), make([]float64, len(x))
	for c := range channels {
		sum, product := b.Sums(c, inverse[c])
		wantSum, wantProduct := oracle.Sums(wantDY, wantX, c, float64(mean[c]), float64(inverse[c]))
		near("the sum", sum, wantSum)
		near("the product", product, wantProduct)
		b.SetData(c, mean[c], inverse[c], scale[c], sum, product)
		oracle.Data(wantDX, wantDY, wantX, c, float64(mean[c]), float64(inverse[c]), float64(scale[c]), wantSum, wantProduct)
	}
	var gated []T
	if relu && add {
		gated = fencedNaN[T](t, len(x), atEnd)
	}
	b.Data(dx, dy, x, gate, gated, 0, rows/2)
	b.Data(dx, dy, x, gate, gated, rows/2, rows)
	compare("the gradient", dx, wantDX)
	if gated != nil {
		compare("the gradient that counts", gated, wantDY)
	}
}
