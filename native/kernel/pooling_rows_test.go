package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMaxPoolRows compares max-pooling with channels last, on every path, with its definition: numbers that are equal or NaN among them, with the elements' numbers and without; nothing behind
// an operand is touched.
func TestMaxPoolRows(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for i := range 60 {
			images, channels := 1+rng.IntN(4), []int{1, 7, 8, 15, 16, 17, 24, 31, 33, 64}[i%10]
			w := randomWindow(rng)
			t.Run(fmt.Sprintf("%d images, %d channels, %+v", images, channels, w), func(t *testing.T) {
				x := fenced[float32](t, images*w.InLen()*channels, i%2 == 0)
				for i := range x {
					x[i] = float32(rng.IntN(9) - 4)
					if rng.IntN(40) == 0 {
						x[i] = float32(math.NaN())
					}
				}
				want, numbers := make([]float32, images*w.OutLen()*channels), make([]int64, images*w.OutLen()*channels)
				for i := range want {
					want[i], numbers[i] = float32(math.Inf(-1)), -1
				}
				for k := range w.KernelLen() {
					w.rows(k, func(out, in, pixels, step int) {
						for j := range images * pixels * channels {
							image, p, c := j/channels/pixels, j/channels%pixels, j%channels
							to, from := (image*w.OutLen()+out+p)*channels+c, (image*w.InLen()+in+p*step)*channels+c
							if v := x[from]; numbers[to] < 0 || v > want[to] || v != v && want[to] == want[to] {
								want[to], numbers[to] = v, int64(from)
							}
						}
					})
				}
				for threads := 1; threads <= 2; threads++ {
					pool := NewPool(threads)
					y, index, again := fencedNaN[float32](t, len(want), i%2 == 0), fenced[int64](t, len(want), i%2 == 0), fencedNaN[float32](t, len(want), i%2 == 0)
					PrepareMaxPoolRows(pool, w, images, channels, y, index, x)()
					PrepareMaxPoolRows(pool, w, images, channels, again, nil, x)()
					pool.Close()
					if !slices.Equal(index, numbers) {
						t.Errorf("%d threads: the elements' numbers differ", threads)
					}
					for i, v := range want {
						if math.Float32bits(y[i]) != math.Float32bits(v) || math.Float32bits(again[i]) != math.Float32bits(v) {
							t.Fatalf("%d threads: element %d is %g with numbers and %g without, want %g", threads, i, y[i], again[i], v)
						}
					}
				}
			})
		}
	})
}
