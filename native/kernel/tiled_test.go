package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
)

// shape is a product with the form of its operands: bits 0 and 1 of form transpose A and B, bit 2 puts the operands at the end of their
// memory, bit 3 gives C a start.
type shape struct{ m, n, k, form, strideA, strideB int }

// checkShape computes one product on the path in use with fenced operands and compares it with exact sums.
func checkShape(t *testing.T, s shape, alpha float32) (c []float32) {
	t.Helper()
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("%+v: %v", s, r)
		}
	}()
	rng := rand.New(rand.NewPCG(uint64(s.m), uint64(s.n*1000+s.k)))
	operand := func(rows, columns, extra int, transposed bool) Matrix[float32] {
		if transposed {
			rows, columns = columns, rows
		}
		m := Matrix[float32]{Stride: columns + extra, Transposed: transposed}
		m.Data = fenced[float32](t, max(0, (rows-1)*m.Stride+columns), s.form&4 != 0)
		for i := range m.Data {
			m.Data[i] = float32(rng.NormFloat64())
		}
		return m
	}
	a, b := operand(s.m, s.k, s.strideA, s.form&1 != 0), operand(s.k, s.n, s.strideB, s.form&2 != 0)
	c = fenced[float32](t, s.m*s.n, s.form&4 != 0)
	for i := range c {
		c[i] = float32(math.NaN()) // what stood in C must not matter
	}
	a0, b0 := slices.Clone(a.Data), slices.Clone(b.Data)
	g := Gemm[float32]{M: s.m, N: s.n, K: s.k, Alpha: alpha, A: a, B: b, C: c}
	start := func(int) float32 { return 0 }
	if s.form&8 != 0 {
		start = func(i int) float32 { return float32(i%7) - 3 }
		g.Start = func(lo, hi, left, right int) {
			for i := lo; i < hi; i++ {
				for j := left; j < right; j++ {
					c[i*s.n+j] = start(i*s.n + j)
				}
			}
		}
	}
	pool := NewPool(1)
	defer pool.Close()
	call := g.Prepare(pool)
	fenceScratch(t, pool, s.form&4 != 0)
	call()
	if !slices.Equal(a.Data, a0) || !slices.Equal(b.Data, b0) {
		t.Fatalf("%+v: an operand was changed", s)
	}
	if s.form < 2 || s.m*s.n*s.k <= 1<<14 {
		checkEnd(t, s, g, pool, slices.Clone(c))
	}
	readA, readB := at(a), at(b)
	for i := range s.m {
		for j := range s.n {
			sum, size := 0.0, 0.0
			for p := range s.k {
				x := readA(i, p) * readB(p, j)
				sum += x
				size += math.Abs(x)
			}
			begin := float64(start(i*s.n + j))
			want := begin + float64(alpha)*sum
			// k multiply-adds, alpha, and an addition for each block of depth, each of half a unit in the last place.
			limit := 0x1p-24 * float64(s.k+4) * (math.Abs(float64(alpha))*size + math.Abs(begin))
			if err := math.Abs(float64(c[i*s.n+j]) - want); !(err <= limit) {
				t.Fatalf("%+v: element (%d, %d) is %g, want %g within %g", s, i, j, c[i*s.n+j], want, limit)
			}
		}
	}
	return c
}

// checkEnd computes the product again with an End, and once more without keeping it: both must get every element once, with the bits of want.
func checkEnd(t *testing.T, s shape, g Gemm[float32], pool *Pool, want []float32) {
	t.Helper()
	for _, kept := range []bool{true, false} {
		got, times := make([]float32, s.m*s.n), make([]int, s.m*s.n)
		g.End = func(worker int, c []float32, stride, lo, hi, left, right int) {
			for i := lo; i < hi; i++ {
				for j := left; j < right; j++ {
					got[i*s.n+j] = c[(i-lo)*stride+j-left]
					times[i*s.n+j]++
					c[(i-lo)*stride+j-left] = -77 // End may change it
				}
			}
		}
		if !kept {
			if g.Start != nil {
				return
			}
			g.C = nil
		}
		call := g.Prepare(pool)
		if !kept { // it has asked for more
			fenceScratch(t, pool, s.form&4 != 0)
		}
		call()
		for i := range want {
			if times[i] != 1 || math.Float32bits(got[i]) != math.Float32bits(want[i]) {
				t.Fatalf("%+v, kept %v: End got element (%d, %d) %d times, as %g, want %g", s, kept, i/s.n, i%s.n, times[i], got[i], want[i])
			}
			if kept {
				if g.C[i] != -77 {
					t.Fatalf("%+v: what End wrote to element (%d, %d) is not in C", s, i/s.n, i%s.n)
				}
				g.C[i] = got[i]
			}
		}
	}
}

// TestTiles runs every path on shapes around the sizes of tiles and blocks, in all forms, between unreadable pages. The vectorised
// paths must give the same bits as each other.
func TestTiles(t *testing.T) {
	var shapes []shape
	add := func(m, n, k int, forms ...int) {
		for _, form := range forms {
			shapes = append(shapes, shape{m, n, k, form, (m + form) % 3 * 5, (n + form) % 4 * 3})
		}
	}
	sizes := []int{0, 1, 2, 3, 5, 6, 7, 8, 11, 12, 13, 16, 17, 31, 32, 33, 37, 48, 49, 67}
	rng := rand.New(rand.NewPCG(11, 12))
	for _, m := range sizes {
		for range 4 {
			add(m, sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))], rng.Perm(16)[:4]...)
			add(sizes[rng.IntN(len(sizes))], m, sizes[rng.IntN(len(sizes))], rng.Perm(16)[:4]...)
		}
	}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}
	for _, s := range [][3]int{
		{7, 5, tileDepth - 1},
		{13, 17, tileDepth},
		{5, 33, tileDepth + 1},
		{67, 35, 2*tileDepth + 3}, // blocks of depth
		{61, 47, 401},
		{53, 97, 130},
		{97, 53, 130}, // a left factor beyond the first-level cache
		{2, 513, 3},
		{545, 2, 9},
		{60, 552, 101},
		{62, 161, blockChains*tileDepth + 2}, // blocks of columns and of chains
		{14, 285, 2*blockChains*tileDepth + 1},
		{197, 100, 1030}, // groups of rows, for which the right factor is packed once
		{32, 128, 784},
		{128, 784, 32},
		{32, 64, 128},
		{64, 128, 32},
		{32, 10, 64},
		{32, 64, 10},
		{10, 64, 32}, // the MLP's
	} {
		add(s[0], s[1], s[2], all...)
	}
	vectorised := map[string][]float32{} // the results of the first vectorised path
	eachPath(t, func(t *testing.T) {
		for _, s := range shapes {
			t.Run(fmt.Sprint(s), func(t *testing.T) {
				for _, alpha := range []float32{1, -0.3} {
					if alpha != 1 && s.m*s.n*s.k > 1<<20 {
						continue // long enough once
					}
					c := checkShape(t, s, alpha)
					if Path() == "generic" {
						continue
					}
					key := fmt.Sprint(s, alpha)
					first, ok := vectorised[key]
					if !ok {
						vectorised[key] = slices.Clone(c)
					} else if !slices.Equal(c, first) {
						t.Errorf("the bits differ between the vectorised paths")
					}
				}
			})
		}
	})
}

// TestTilesSameBitsForAnyThreads computes products large enough to be shared, in all forms.
func TestTilesSameBitsForAnyThreads(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, s := range [][3]int{{32, 128, 784}, {128, 784, 32}, {301, 67, 203}, {67, 301, 203}, {521, 543, 37}, {11, 1200, 410}, {150, 210, 1700}, {421, 96, 256}} {
			for form := range 4 {
				m, n, k := s[0], s[1], s[2]
				a, b := randomMatrix[float32](rng, m, k, form&1 != 0), randomMatrix[float32](rng, k, n, form&2 != 0)
				var first []float32
				for threads := 1; threads <= 5; threads++ {
					pool := NewPool(threads)
					c := make([]float32, m*n)
					Gemm[float32]{M: m, N: n, K: k, Alpha: 0.7, A: a, B: b, C: c}.Prepare(pool)()
					pool.Close()
					if first == nil {
						first = c
					}
					if !slices.Equal(c, first) {
						t.Fatalf("%v, form %d: %d threads give other bits than one", s, form, threads)
					}
				}
			}
		}
	})
}

func FuzzTiles(f *testing.F) {
	f.Add(uint8(13), uint8(33), uint16(401), uint8(7), uint8(1), uint8(2))
	f.Add(uint8(1), uint8(1), uint16(0), uint8(12), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, m, n uint8, k uint16, form, strideA, strideB uint8) {
		for _, name := range Paths() {
			use(t, name)
			checkShape(t, shape{int(m), int(n), int(k) % 1000, int(form) % 16, int(strideA) % 20, int(strideB) % 20}, 0.5)
		}
	})
}
