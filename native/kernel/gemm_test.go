package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveGemm is the definition, in float64.
func naiveGemm(m, n, k int, alpha float64, a, b func(i, j int) float64, start func(i, j int) float64) []float64 {
	c := make([]float64, m*n)
	for i := range m {
		for j := range n {
			sum := 0.0
			for p := range k {
				sum += a(i, p) * b(p, j)
			}
			c[i*n+j] = start(i, j) + alpha*sum
		}
	}
	return c
}

func testGemm[T Float](t *testing.T, epsilon float64) {
	sizes := [][3]int{
		{1, 1, 1}, {1, 7, 3}, {7, 1, 3}, {3, 2, 0}, {0, 3, 2}, {3, 0, 2}, // the edges, an empty sum among them
		{4, 2, 8}, {5, 3, 513}, {13, 129, 17}, {31, 37, 41}, {32, 128, 784}, // around the tile and the blocks
		{8, 257, 1025}, {129, 5, 64},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range sizes {
		for _, transposed := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
			for _, threads := range []int{1, 3} {
				m, n, k := size[0], size[1], size[2]
				t.Run(fmt.Sprintf("%dx%dx%d/%v/%d", m, n, k, transposed, threads), func(t *testing.T) {
					pool := NewPool(threads)
					defer pool.Close()
					a := randomMatrix[T](rng, m, k, transposed[0])
					b := randomMatrix[T](rng, k, n, transposed[1])
					width := n + threads - 1 // dense, or with two guards behind each row
					c := slices.Repeat([]T{42}, m*width+1)
					bias := make([]T, n)
					for i := range bias {
						bias[i] = T(rng.NormFloat64())
					}
					g := Gemm[T]{M: m, N: n, K: k, Alpha: 0.5, A: a, B: b, C: c[:m*width], StrideC: width, Start: func(lo, hi, left, right int) {
						for i := lo; i < hi; i++ {
							copy(c[i*width+left:i*width+right], bias[left:right])
						}
					}}
					call := g.Prepare(pool)
					call()
					call() // again: the result replaces the earlier one
					want := naiveGemm(m, n, k, 0.5, at(a), at(b), func(_, j int) float64 { return float64(bias[j]) })
					for i, w := range want {
						// k products of numbers of size 1, summed in order: error below k epsilon times the sum of sizes.
						if limit := epsilon * float64(k+2) * (float64(k) + 4); !(math.Abs(float64(c[i/n*width+i%n])-w) <= limit) {
							t.Fatalf("element %d is %g, want %g within %g", i, c[i/n*width+i%n], w, limit)
						}
					}
					for i, v := range c {
						if (i == m*width || i%width >= n) && v != 42 {
							t.Fatalf("wrote element %d, behind a row of the result", i)
						}
					}
				})
			}
		}
	}
}

func TestGemmFloat32(t *testing.T) { eachPath(t, func(t *testing.T) { testGemm[float32](t, 0x1p-24) }) }
func TestGemmFloat64(t *testing.T) { testGemm[float64](t, 0x1p-53) }

func TestGemmRefusesShortOperands(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a matrix that is too short was accepted")
		}
	}()
	Gemm[float32]{M: 2, N: 2, K: 2, A: Matrix[float32]{Data: make([]float32, 3), Stride: 2}, B: Matrix[float32]{Data: make([]float32, 4), Stride: 2}, C: make([]float32, 4)}.Prepare(NewPool(1))
}

func randomMatrix[T Float](rng *rand.Rand, rows, columns int, transposed bool) Matrix[T] {
	if transposed {
		rows, columns = columns, rows
	}
	m := Matrix[T]{Stride: columns + 3, Transposed: transposed} // a stride beyond the row, to catch its confusion with the width
	m.Data = make([]T, rows*m.Stride)
	for i := range m.Data {
		m.Data[i] = T(rng.Float64()*2 - 1)
	}
	return m
}

func at[T Float](m Matrix[T]) func(i, j int) float64 {
	return func(i, j int) float64 {
		if m.Transposed {
			i, j = j, i
		}
		return float64(m.Data[i*m.Stride+j])
	}
}
