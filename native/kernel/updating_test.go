package kernel

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestAdamProduct compares an update with a product with the product followed by the update: the bits must be the same on every path, for
// any number of threads, whatever the sizes and the form of the factors.
func TestAdamProduct(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	sizes := [][3]int{
		{128, 784, 32},
		{64, 128, 32},
		{10, 64, 32},
		{784, 128, 32}, // the MLP's weights, and one laid the other way
		{1, 1, 1},
		{3, 0, 5},
		{0, 3, 5},
		{5, 3, 0},
		{1, 32, 1},
		{2, 33, 2},
		{3, 64, 7},
		{4, 97, 33},
		{5, 80, 5},
		{12, 64, 3},
		{13, 48, 7},
		{25, 97, 23},
		{37, 95, 24},
		{7, 80, 25},
		{36, 64, tileDepth},
		{29, 112, tileDepth + 1},
		{150, 70, 2*tileDepth + 5},
		{301, 65, 90},
		{13, 49, blockChains*tileDepth + 3},
	}
	steps := map[string]AdamStep[float32]{
		"plain": {Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.01, Scale: 3, Eps: 1e-8},
		"decay": {Shrink: 1, Decay: 0.1, Fresh1: 0.1, Beta2: 0.99, Fresh2: 0.01, Size: 0.01, Scale: 3, Eps: 1e-6},
		"adamw": {Shrink: 0.99, Fresh1: 0.3, Beta2: 0.99, Fresh2: 0.01, Size: 0.01, Scale: 2, Eps: 1e-6},
	}
	eachPath(t, func(t *testing.T) {
		for _, s := range sizes {
			if Path() == "generic" && s[0]*s[1]*s[2] > 1<<18 {
				continue // it is slow, and has nothing woven
			}
			for form := range 4 {
				for name, step := range steps {
					rows, columns, depth := s[0], s[1], s[2]
					a, b := randomMatrix[float32](rng, rows, depth, form&1 == 0), randomMatrix[float32](rng, depth, columns, form&2 != 0)
					atEnd := rng.IntN(2) == 0
					a, b = fencedMatrix(t, a, rows, depth, atEnd), fencedMatrix(t, b, depth, columns, atEnd)
					state := func() *AdamProduct[float32] {
						rng := rand.New(rand.NewPCG(uint64(rows), uint64(depth)))
						u := AdamProduct[float32]{Step: &step}
						for _, x := range []*[]float32{&u.P, &u.M, &u.V} {
							*x = fenced[float32](t, rows*columns, form&1 != 0)
							for i := range *x {
								(*x)[i] = rng.Float32() - 0.5
							}
						}
						for i := range u.V {
							u.V[i] = max(0, u.V[i]) // zeros among them
						}
						return &u
					}
					want := state()
					gradient := make([]float32, rows*columns)
					pool := NewPool(1)
					Gemm[float32]{M: rows, N: columns, K: depth, Alpha: 1, A: a, B: b, C: gradient}.Prepare(pool)()
					pool.Close()
					for range 2 {
						Adam(want.P, gradient, want.M, want.V, &step)
					}
					for threads := 1; threads <= 3; threads++ {
						got := state()
						pool := NewPool(threads)
						call := Gemm[float32]{M: rows, N: columns, K: depth, Alpha: 1, A: a, B: b, Adam: got}.Prepare(pool)
						fenceScratch(t, pool, threads != 2)
						call()
						call()
						pool.Close()
						if !slices.Equal(got.P, want.P) || !slices.Equal(got.M, want.M) || !slices.Equal(got.V, want.V) {
							t.Fatalf("%v, form %d, %s, %d threads: other bits than the product followed by the update", s, form, name, threads)
						}
					}
				}
			}
		}
	})
}

// BenchmarkAdamProduct times gradients with the update woven in: those of the MLP's weights at batch 32 and larger ones.
func BenchmarkAdamProduct(b *testing.B) {
	for _, p := range paths {
		if p.peak == nil {
			continue
		}
		for _, threads := range threadCounts() {
			for _, s := range [][3]int{{12, 64, 32}, {12, 784, 32}, {128, 784, 32}, {64, 128, 32}, {128, 784, 256}, {128, 784, 1024}} {
				b.Run(fmt.Sprintf("path=%s/threads=%d/m=%d/n=%d/k=%d", p.name, threads, s[0], s[1], s[2]), func(b *testing.B) {
					before := active.Swap(p)
					defer active.Store(before)
					pool := NewPool(threads)
					defer pool.Close()
					rng := rand.New(rand.NewPCG(1, 1))
					left, right := randomMatrix[float32](rng, s[0], s[2], true), randomMatrix[float32](rng, s[2], s[1], false)
					left.Stride, right.Stride = s[0], s[1] // without randomMatrix's gap
					n := s[0] * s[1]
					x, m, v := make([]float32, n), make([]float32, n), make([]float32, n)
					c := AdamStep[float32]{Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.001, Scale: 10, Eps: 1e-8}
					call := Gemm[float32]{M: s[0], N: s[1], K: s[2], Alpha: 1, A: left, B: right, Adam: &AdamProduct[float32]{x, m, v, &c}}.Prepare(pool)
					best := fastest(b, call)
					b.ReportMetric(2*float64(n)*float64(s[2])/float64(best), "GF/s")
					b.ReportMetric(float64(best)/1e3, "us/fastest")
					b.ReportMetric(float64(best)*3.89*384/float64(n), "cycles/tile")
				})
			}
		}
	}
}
