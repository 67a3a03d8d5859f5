package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

// TestProductsWithin holds many products of a size with parts that do not count to the same bits as single ones, in all that counts, and to not writing behind a
// row of the result.
func TestProductsWithin(t *testing.T) { eachPath(t, testProductsWithin) }

func testProductsWithin(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	pool := NewPool(1)
	defer pool.Close()
	for _, size := range [][3]int{ // the last two are not small
		{64, 64, 32}, {64, 32, 64}, {1, 16, 1}, {13, 48, 7}, {25, 8, 200}, {7, 24, 61}, {70, 160, 33}, {5, 7, 9}, {14, 32, 201},
	} {
		m, n, k := size[0], size[1], size[2]
		for _, transposed := range [][2]bool{{false, false}, {true, false}, {false, true}, {true, true}} {
			for _, lengths := range []string{"triangle", "any", "nothing"} {
				t.Run(fmt.Sprintf("%dx%dx%d/%v/%s", m, n, k, transposed, lengths), func(t *testing.T) {
					length := func(row, most int) int {
						switch lengths {
						case "triangle":
							return min(row+1, most)
						case "any":
							return (row*7 + 3) % (most + 1)
						}
						return 0
					}
					within := func(rows, most int) (out []int) {
						for r := range rows {
							out = append(out, length(r, most))
						}
						return out
					}
					a, b := randomMatrix[float32](rng, 2*m, 2*k, transposed[0]), randomMatrix[float32](rng, 2*k, 2*n, transposed[1])
					rows, columns := m, k
					if a.Transposed {
						rows, columns = k, m
					}
					left, result := within(rows, columns), within(m, n)
					second := Offsets{A: rows*a.Stride + columns, B: k*b.Stride + n, C: m * (2*n + 1)}
					if b.Transposed {
						second.B = n*b.Stride + k
					}
					for r, length := range left {
						for _, at := range []int{0, second.A} {
							clear(a.Data[at+r*a.Stride+length : at+r*a.Stride+columns])
						}
					}
					const guard = 42
					width := 2*n + 1
					c := make([]float32, 2*m*width)
					for i := range c {
						c[i] = guard
					}
					g := Gemm[float32]{M: m, N: n, K: k, Alpha: 0.5, A: a, B: b, C: c, StrideC: width, LeftWithin: left, ResultWithin: result}
					offsets := []Offsets{{}, second}
					each := g.PrepareEach(pool, offsets)
					for i, o := range offsets {
						each(0, i)
						want := make([]float32, m*n)
						s := g
						s.A.Data, s.B.Data, s.C, s.StrideC, s.LeftWithin, s.ResultWithin = a.Data[o.A:], b.Data[o.B:], want, n, nil, nil
						s.Prepare(pool)()
						for r := range m {
							for j := range width {
								got := c[o.C+r*width+j]
								if j < result[r] && math.Float32bits(got) != math.Float32bits(want[r*n+j]) {
									t.Fatalf("product %d: element (%d, %d) is %g, want %g", i, r, j, got, want[r*n+j])
								}
								if j >= n && got != guard {
									t.Fatalf("product %d: wrote element %d behind row %d", i, j-n, r)
								}
							}
						}
					}
				})
			}
		}
	}
}
