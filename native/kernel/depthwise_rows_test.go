package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// depthwiseExample is a convolution with its operands, each on its own between pages that fault.
type depthwiseExample struct {
	DepthwiseRows
	x, weights, bias, dy []float32
}

func newDepthwiseExample(t testing.TB, rng *rand.Rand, images, channels int, w Window, atEnd bool) *depthwiseExample {
	e := &depthwiseExample{DepthwiseRows: DepthwiseRows{Window: w, Images: images, Channels: channels}}
	draw := func(n int) []float32 {
		out := fenced[float32](t, n, atEnd)
		for i := range out {
			out[i] = float32(rng.NormFloat64())
		}
		return out
	}
	e.x, e.weights, e.bias, e.dy = draw(images*w.InLen()*channels), draw(w.KernelLen()*channels), draw(channels), draw(images*w.OutLen()*channels)
	return e
}

// randomWindow is one of two dimensions, which may see nothing but pads at some places.
func randomWindow(rng *rand.Rand) Window {
	between := func(from, to int) int { return from + rng.IntN(to-from) }
	w := Window{In: [3]int{1, 1, 1}, Out: [3]int{1, 1, 1}, Kernel: [3]int{1, 1, 1}, Stride: [3]int{1, 1, 1}, Dilation: [3]int{1, 1, 1}}
	for d := 1; d < 3; d++ {
		w.Kernel[d], w.Stride[d], w.Dilation[d], w.Pad[d] = between(1, 6), between(1, 4), between(1, 3), between(0, 4)
		w.In[d] = between(1, 24)
		end := between(0, 4)
		reach := (w.Kernel[d]-1)*w.Dilation[d] + 1
		for w.In[d]+w.Pad[d]+end < reach {
			end++
		}
		w.Out[d] = (w.In[d]+w.Pad[d]+end-reach)/w.Stride[d] + 1
	}
	return w
}

// each calls body for each product of an element of x and a weight that is part of an element of y.
func (e *depthwiseExample) each(body func(y, x, weight int)) {
	w, n := &e.Window, e.Channels
	for k := range w.KernelLen() {
		w.rows(k, func(out, in, pixels, step int) {
			for image := range e.Images {
				for i := range pixels * n {
					p, c := i/n, i%n
					body((image*w.OutLen()+out+p)*n+c, (image*w.InLen()+in+p*step)*n+c, k*n+c)
				}
			}
		})
	}
}

// near compares with sums in float64, of terms of so large a sum of sizes.
func near(t *testing.T, what string, got []float32, want, sizes []float64) {
	t.Helper()
	for i, w := range want {
		if !(math.Abs(float64(got[i])-w) <= 1e-6*(sizes[i]+math.Abs(w))) {
			t.Fatalf("%s: element %d is %g, want %g", what, i, got[i], w)
		}
	}
}

// TestDepthwiseRows compares the convolutions of single channels and both gradients, on every path, with the direct sums in float64; no thread changes a bit, and nothing behind an operand is touched.
func TestDepthwiseRows(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for i := range 60 {
			channels := []int{1, 7, 8, 15, 16, 17, 24, 31, 33, 64}[i%10]
			w := randomWindow(rng)
			e := newDepthwiseExample(t, rng, 1+rng.IntN(12), channels, w, i%2 == 0)
			t.Run(fmt.Sprintf("%d images, %d channels, %+v", e.Images, channels, w), func(t *testing.T) { testDepthwise(t, e, i%2 == 0) })
		}
	})
}

func testDepthwise(t *testing.T, e *depthwiseExample, atEnd bool) {
	type sums struct{ y, dx, dw []float64 }
	empty := func() sums {
		return sums{make([]float64, len(e.dy)), make([]float64, len(e.x)), make([]float64, len(e.weights))}
	}
	want, sizes := empty(), empty()
	e.each(func(y, x, weight int) {
		for _, one := range []struct {
			sum, size *float64
			a, b      float32
		}{
			{&want.y[y], &sizes.y[y], e.x[x], e.weights[weight]},
			{&want.dx[x], &sizes.dx[x], e.dy[y], e.weights[weight]},
			{&want.dw[weight], &sizes.dw[weight], e.dy[y], e.x[x]},
		} {
			p := float64(one.a) * float64(one.b)
			*one.sum += p
			*one.size += math.Abs(p)
		}
	})
	for i := range want.y {
		want.y[i] += float64(e.bias[i%e.Channels])
	}
	for i := range want.dx {
		want.dx[i] += float64(e.x[i])
	}
	var first [][]float32
	for threads := 1; threads <= 3; threads++ {
		pool := NewPool(threads)
		y, dx, dw := fenced[float32](t, len(e.dy), atEnd), fenced[float32](t, len(e.x), atEnd), fenced[float32](t, len(e.weights), atEnd)
		workspace := fencedNaN[float32](t, e.GradientWorkspace(), atEnd)
		PrepareDepthwiseRows(&e.DepthwiseRows, pool, y, e.x, e.weights, e.bias)()
		PrepareDepthwiseRowsData(&e.DepthwiseRows, pool, dx, e.dy, e.weights, e.x)() // x in the place of another gradient
		PrepareDepthwiseRowsWeights(&e.DepthwiseRows, pool, dw, e.dy, e.x, workspace)()
		pool.Close()
		if threads == 1 {
			near(t, "y", y, want.y, sizes.y)
			near(t, "dx", dx, want.dx, sizes.dx)
			near(t, "dw", dw, want.dw, sizes.dw)
			first = [][]float32{y, dx, dw}
			continue
		}
		for k, x := range [][]float32{y, dx, dw} {
			if !slices.Equal(x, first[k]) {
				t.Errorf("result %d has other bits with %d threads", k, threads)
			}
		}
	}
}

// BenchmarkDepthwise is a convolution of MobileNet's kind and its gradients.
func BenchmarkDepthwise(b *testing.B) {
	w := Window{In: [3]int{1, 32, 32}, Out: [3]int{1, 32, 32}, Kernel: [3]int{1, 3, 3}, Stride: [3]int{1, 1, 1}, Dilation: [3]int{1, 1, 1}, Pad: [3]int{0, 1, 1}}
	e := newDepthwiseExample(b, rand.New(rand.NewPCG(3, 4)), 8, 96, w, true)
	pool := NewPool(1)
	defer pool.Close()
	y, dx, dw, workspace := make([]float32, len(e.dy)), make([]float32, len(e.x)), make([]float32, len(e.weights)), make([]float32, e.GradientWorkspace())
	for name, call := range map[string]func(){
		"forward": PrepareDepthwiseRows(&e.DepthwiseRows, pool, y, e.x, e.weights, e.bias),
		"data":    PrepareDepthwiseRowsData(&e.DepthwiseRows, pool, dx, e.dy, e.weights, nil),
		"weights": PrepareDepthwiseRowsWeights(&e.DepthwiseRows, pool, dw, e.dy, e.x, workspace),
	} {
		b.Run(name, func(b *testing.B) {
			took := fastest(b, call)
			b.ReportMetric(2*float64(e.Images*w.OutLen()*e.Channels*w.KernelLen())/float64(took), "GF/s")
		})
	}
}
