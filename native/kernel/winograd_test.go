package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// winogradCases are images whose tiles lie inside, reach beyond the border, or do not fill the output; channels that do not fill a panel, a chain or a chunk.
var winogradCases = []struct {
	name string
	w    Winograd
}{
	{"one tile", Winograd{Images: 1, InHeight: 4, InWidth: 4, OutHeight: 4, OutWidth: 4, PadTop: 1, PadLeft: 1, In: 16, Out: 16}},
	{"several tiles", Winograd{Images: 2, InHeight: 12, InWidth: 8, OutHeight: 12, OutWidth: 8, PadTop: 1, PadLeft: 1, In: 32, Out: 48}},
	{"tiles beyond the image", Winograd{Images: 3, InHeight: 7, InWidth: 9, OutHeight: 7, OutWidth: 9, PadTop: 1, PadLeft: 1, In: 16, Out: 32}},
	{"no pads", Winograd{Images: 2, InHeight: 8, InWidth: 7, OutHeight: 6, OutWidth: 5, In: 80, Out: 16}},
	{"two pads", Winograd{Images: 1, InHeight: 6, InWidth: 5, OutHeight: 8, OutWidth: 7, PadTop: 2, PadLeft: 2, In: 48, Out: 80}},
	{"several blocks", Winograd{Images: 5, InHeight: 16, InWidth: 16, OutHeight: 16, OutWidth: 16, PadTop: 1, PadLeft: 1, In: 16, Out: 16}},
	{"more tiles than are done by parts", Winograd{Images: 10, InHeight: 16, InWidth: 16, OutHeight: 16, OutWidth: 16, PadTop: 1, PadLeft: 1, In: 16, Out: 80}},
	{"more tiles, two chains", Winograd{Images: 10, InHeight: 16, InWidth: 15, OutHeight: 16, OutWidth: 15, PadTop: 1, PadLeft: 1, In: 80, Out: 16}},
	{"more than a chunk", Winograd{Images: 1, InHeight: 16, InWidth: 12, OutHeight: 16, OutWidth: 12, PadTop: 1, PadLeft: 1, In: 144, Out: 160}},
}

// direct is the definition: y[n, i, j, k] is the sum of x[n, i+u-PadTop, j+v-PadLeft, c] * weights[k, c, u, v]. visit gets each triple of positions.
func direct(w *Winograd, visit func(y, x, weight int)) {
	for n := range w.Images {
		for i := range w.OutHeight {
			for j := range w.OutWidth {
				for u := range 3 {
					for v := range 3 {
						top, left := i+u-w.PadTop, j+v-w.PadLeft
						if top < 0 || top >= w.InHeight || left < 0 || left >= w.InWidth {
							continue
						}
						y, x := ((n*w.OutHeight+i)*w.OutWidth+j)*w.Out, ((n*w.InHeight+top)*w.InWidth+left)*w.In
						for k := range w.Out {
							for c := range w.In {
								visit(y+k, x+c, (k*w.In+c)*9+u*3+v)
							}
						}
					}
				}
			}
		}
	}
}

// TestWinograd compares the convolution, the gradient of its input and that of its weights with the direct sums in float64: norm-wise, since a transform mixes pixels of
// different size. The limit is what performance measurements of the algorithm give, some eight units of float32's last place; float64 must agree to its own rounding.
func TestWinograd(t *testing.T) {
	for _, c := range winogradCases {
		t.Run(c.name, func(t *testing.T) {
			e := newWinogradExample(&c.w)
			testWinograd[float64](t, e, 4e-15)
			eachPath(t, func(t *testing.T) { testWinograd[float32](t, e, 1e-6) })
		})
	}
}

// winogradExample is a convolution with operands of float32 and what they give.
type winogradExample struct {
	Winograd
	x, weights, dy []float64
	y, dx, dw      []float64
}

func newWinogradExample(w *Winograd) *winogradExample {
	rng := rand.New(rand.NewPCG(3, 4))
	draw := func(n int) []float64 { return normals(rng, n) }
	e := &winogradExample{
		Winograd: *w, x: draw(w.Images * w.InHeight * w.InWidth * w.In), weights: draw(w.Out * w.In * 9), dy: draw(w.Images * w.OutHeight * w.OutWidth * w.Out),
	}
	e.y, e.dx, e.dw = make([]float64, len(e.dy)), make([]float64, len(e.x)), make([]float64, len(e.weights))
	direct(w, func(i, j, k int) {
		e.y[i] += e.x[j] * e.weights[k]
		e.dx[j] += e.dy[i] * e.weights[k]
		e.dw[k] += e.dy[i] * e.x[j]
	})
	return e
}

// normals draws numbers of float32.
func normals(rng *rand.Rand, n int) (x []float64) {
	for range n {
		x = append(x, float64(float32(rng.NormFloat64())))
	}
	return x
}

func testWinograd[T Float](t *testing.T, e *winogradExample, limit float64) {
	as := func(from []float64) (x []T) {
		for _, v := range from {
			x = append(x, T(v))
		}
		return x
	}
	rng := rand.New(rand.NewPCG(5, 6))
	draw := func(n int) []T { return as(normals(rng, n)) }
	w, x, weights, dy := e.Winograd, as(e.x), as(e.weights), as(e.dy)
	y, dx, dw := e.y, e.dx, e.dw
	back := w
	back.InHeight, back.InWidth, back.OutHeight, back.OutWidth = w.OutHeight, w.OutWidth, w.InHeight, w.InWidth
	back.In, back.Out, back.PadTop, back.PadLeft = w.Out, w.In, 2-w.PadTop, 2-w.PadLeft
	var first [][]T
	for threads := 1; threads <= 3; threads++ {
		pool := NewPool(threads)
		atEnd := threads != 2
		fence := func(x []T) []T { return fencedCopy(t, x, atEnd) }
		junk := func(n int) []T { return fencedNaN[T](t, n, atEnd) }
		x, weights, dy := fence(x), fence(weights), fence(dy)
		gotY, gotDX, gotDW := junk(len(y)), junk(len(x)), junk(len(dw))
		calls := []func(){
			PrepareWinograd(w, pool, WinogradOperands[T]{Y: gotY, X: x, Weights: weights, Workspace: junk(w.Workspace())}),
			PrepareWinograd(back, pool, WinogradOperands[T]{Y: gotDX, X: dy, Weights: weights, Workspace: junk(back.Workspace()), Rotated: true}),
			PrepareWinogradWeights(w, pool, gotDW, dy, x, junk(w.GradientWorkspace())),
		}
		fenceScratch(t, pool, atEnd)
		for _, call := range calls {
			call()
		}
		results := [][]T{gotY, gotDX, gotDW}
		for i, want := range [][]float64{y, dx, dw} {
			name := []string{"output", "gradient of the input", "gradient of the weights"}[i]
			if e := relative(results[i], want); !(e <= limit) {
				t.Errorf("%s: off by %g of its norm, limit %g", name, e, limit)
			}
		}
		added := fence(draw(len(y)))
		inPlace := fence(added)
		for _, sum := range [][]T{junk(len(y)), inPlace} {
			other := added
			if &sum[0] == &inPlace[0] {
				other = sum
			}
			PrepareWinograd(w, pool, WinogradOperands[T]{Y: sum, X: x, Weights: weights, Added: other, Workspace: junk(w.Workspace())})()
			for i := range sum {
				if sum[i] != added[i]+gotY[i] {
					t.Errorf("element %d added to %v: got %v, want %v", i, added[i], sum[i], added[i]+gotY[i])
					break
				}
			}
		}
		bias, biased := fence(draw(w.Out)), junk(len(y))
		PrepareWinograd(w, pool, WinogradOperands[T]{Y: biased, X: x, Weights: weights, Bias: bias, Workspace: junk(w.Workspace())})()
		for i := range biased {
			if biased[i] != bias[i%w.Out]+gotY[i] {
				t.Errorf("element %d with the bias %v: got %v, want %v", i, bias[i%w.Out], biased[i], bias[i%w.Out]+gotY[i])
				break
			}
		}
		if first == nil {
			first = results
		}
		for i := range results {
			if !slices.Equal(first[i], results[i]) {
				t.Errorf("%d threads: result %d has other bits than with one", threads, i)
			}
		}
		pool.Close()
	}
}

// relative is ||got - want|| / ||want||.
func relative[T Float](got []T, want []float64) float64 {
	var d, n float64
	for i, x := range want {
		d += (float64(got[i]) - x) * (float64(got[i]) - x)
		n += x * x
	}
	return math.Sqrt(d / n)
}

// BenchmarkWinograd measures the layers of ResNet-18 for images of 32 x 32 pixels with a batch of 32: "GF/s" counts the direct convolution's operations.
func BenchmarkWinograd(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, layer := range [][2]int{{64, 32}, {128, 16}, {256, 8}, {512, 4}} {
			channels, size := layer[0], layer[1]
			w := Winograd{Images: 32, InHeight: size, InWidth: size, OutHeight: size, OutWidth: size, PadTop: 1, PadLeft: 1, In: channels, Out: channels}
			pool := NewPool(threads)
			x, y := make([]float32, 32*size*size*channels), make([]float32, 32*size*size*channels)
			weights := make([]float32, channels*channels*9)
			rng := rand.New(rand.NewPCG(3, 4))
			for i := range x {
				x[i] = float32(max(0, rng.NormFloat64()))
			}
			for i := range weights {
				weights[i] = float32(rng.NormFloat64())
			}
			workspace := make([]float32, max(w.Workspace(), w.GradientWorkspace()))
			for _, direction := range []struct {
				name string
				call func()
			}{
				{"forward", PrepareWinograd(w, pool, WinogradOperands[float32]{Y: y, X: x, Weights: weights, Workspace: workspace})},
				{"data", PrepareWinograd(w, pool, WinogradOperands[float32]{Y: y, X: x, Weights: weights, Workspace: workspace, Rotated: true})},
				{"weights", PrepareWinogradWeights(w, pool, weights, y, x, workspace)},
			} {
				b.Run(fmt.Sprintf("threads=%d/channels=%d/%s", threads, channels, direction.name), func(b *testing.B) {
					best := fastest(b, direction.call)
					b.ReportMetric(best.Seconds()*1e3, "ms/fastest")
					b.ReportMetric(2*9*float64(len(x))*float64(channels)/best.Seconds()/1e9, "GF/s")
				})
			}
			pool.Close()
		}
	}
}
