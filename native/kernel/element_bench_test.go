package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/native/philox"
)

// The number of elements of each slice: several slices fit the second-level cache, or none does the last.
const cachedElements, memoryElements = 16 << 10, 8 << 20

// benchmarkElements times a kernel over the slices of n elements each on every path with one thread. ns/element and, counting each slice
// once, GB/s are of the fastest call.
func benchmarkElements(b *testing.B, n, slices int, call func(x [][]float32)) {
	for _, p := range paths {
		b.Run("path="+p.name, func(b *testing.B) {
			before := active.Swap(p)
			defer active.Store(before)
			rng := rand.New(rand.NewPCG(1, 2))
			x := make([][]float32, slices)
			for s := range x {
				x[s] = make([]float32, n)
				for i := range x[s] {
					x[s][i] = float32(rng.NormFloat64())
				}
			}
			best := float64(fastest(b, func() { call(x) }))
			b.ReportMetric(best/float64(n), "ns/element")
			b.ReportMetric(4*float64(slices)*float64(n)/best, "GB/s")
			b.ReportMetric(4*float64(slices)*float64(n), "set-B")
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { Add(x[0], x[1], x[2], 1, 1) })
}

func BenchmarkAddMemory(b *testing.B) {
	benchmarkElements(b, memoryElements, 3, func(x [][]float32) { Add(x[0], x[1], x[2], 1, 1) })
}

func BenchmarkAddScaled(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { AddScaled(x[0], x[1], 0.001) })
}

func BenchmarkMul(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { Mul(x[0], x[1], x[2], 1, 1) })
}

func BenchmarkDiv(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { Div(x[0], x[1], x[2], 1, 1) })
}

func BenchmarkScale(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Scale(x[0], x[1], 0.5) })
}

func BenchmarkRelu(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Relu(x[0], x[1]) })
}

func BenchmarkReluGradient(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { ReluGradient(x[0], x[1], x[2]) })
}

func BenchmarkExp(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Exp(x[0], x[1]) })
}

func BenchmarkLog(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Log(x[0], x[1]) })
}

func BenchmarkTanh(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Tanh(x[0], x[1]) })
}

func BenchmarkTanhGradient(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { TanhGradient(x[0], x[1], x[2]) })
}

func BenchmarkSigmoid(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Sigmoid(x[0], x[1]) })
}

func BenchmarkErf(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Erf(x[0], x[1]) })
}

func BenchmarkErfGradient(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { ErfGradient(x[0], x[1], x[2]) })
}

func BenchmarkGelu(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Gelu(x[0], x[1]) })
}

func BenchmarkGeluGradient(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { GeluGradient(x[0], x[1], x[2]) })
}

func BenchmarkGeluTanh(b *testing.B) {
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { GeluTanh(x[0], x[1]) })
}

func BenchmarkGeluTanhGradient(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { GeluTanhGradient(x[0], x[1], x[2]) })
}

// benchmarkRows is benchmarkElements for matrices of a transformer's and of the MLP's size.
func benchmarkRows(b *testing.B, slices int, call func(x [][]float32, rows, columns int)) {
	for _, size := range [][2]int{{128, 128}, {64, 256}, {32, 10}} {
		b.Run(fmt.Sprintf("%dx%d", size[0], size[1]), func(b *testing.B) {
			benchmarkElements(b, size[0]*size[1], slices, func(x [][]float32) { call(x, size[0], size[1]) })
		})
	}
}

func BenchmarkSoftmax(b *testing.B) {
	benchmarkRows(b, 2, func(x [][]float32, rows, columns int) { Softmax(x[0], x[1], columns, 1, 0, rows) })
}

func BenchmarkSoftmaxGradient(b *testing.B) {
	benchmarkRows(b, 3, func(x [][]float32, rows, columns int) { SoftmaxGradient(x[0], x[1], x[2], columns, 1, 0, rows) })
}

func BenchmarkLogSoftmax(b *testing.B) {
	benchmarkRows(b, 2, func(x [][]float32, rows, columns int) { LogSoftmax(x[0], x[1], columns, 0, rows) })
}

func BenchmarkCrossEntropyGradient(b *testing.B) {
	target := make([]int64, 128)
	benchmarkRows(b, 2, func(x [][]float32, rows, columns int) {
		CrossEntropyGradient(x[0], x[1], target[:rows], columns, 0, rows, 0.03)
	})
}

func BenchmarkLayerNorm(b *testing.B) {
	mean, inverse, scale, shift := make([]float32, 128), make([]float32, 128), make([]float32, 256), make([]float32, 256)
	benchmarkRows(b, 2, func(x [][]float32, rows, columns int) {
		LayerNorm(x[0], mean, inverse, x[1], scale[:columns], shift[:columns], columns, 1e-5, 0, rows)
	})
}

func BenchmarkLayerNormGradient(b *testing.B) {
	mean, inverse, scale := make([]float32, 128), make([]float32, 128), make([]float32, 256)
	dScale, dShift := make([]float32, 256), make([]float32, 256)
	benchmarkRows(b, 3, func(x [][]float32, rows, columns int) {
		LayerNormGradient(x[0], dScale, dShift, x[1], x[2], mean, inverse, scale[:columns], nil, columns, 0, rows)
	})
}

func BenchmarkSumRows(b *testing.B) {
	y := make([]float32, 256)
	benchmarkRows(b, 1, func(x [][]float32, rows, columns int) { SumRows(y, x[0], rows, columns, 0, columns) })
}

func BenchmarkSum(b *testing.B) {
	benchmarkElements(b, cachedElements, 1, func(x [][]float32) { x[0][0] = Sum(x[0]) })
}

func BenchmarkSumOfSquares(b *testing.B) {
	benchmarkElements(b, cachedElements, 1, func(x [][]float32) { x[0][0] = float32(SumOfSquares(x[0])) })
}

func BenchmarkDropout(b *testing.B) {
	keep := make([]bool, cachedElements)
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) {
		Keep(keep, philox.Stream{Seed: 1, Step: 2}, 0, 0.2)
		Mask(x[0], x[1], keep, 1.25)
	})
}

func BenchmarkMask(b *testing.B) {
	keep := make([]bool, cachedElements)
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) { Mask(x[0], x[1], keep, 1.25) })
}

func BenchmarkBatchNorm(b *testing.B) {
	norm := BatchNorm[float32]{Images: 16, Channels: 1, Size: cachedElements / 16, Epsilon: 1e-5}
	benchmarkElements(b, cachedElements, 2, func(x [][]float32) {
		mean, variance := norm.Statistics(x[1], 0)
		norm.Apply(x[0], x[1], 0, float32(mean), float32(norm.InverseDeviation(variance)), 1, 0)
	})
}

func BenchmarkBatchNormGradient(b *testing.B) {
	norm := BatchNorm[float32]{Images: 16, Channels: 1, Size: cachedElements / 16, Epsilon: 1e-5}
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) {
		sum, product := norm.Sums(x[1], x[2], 0, 0, 1)
		norm.Data(x[0], x[1], x[2], 0, 0, 1, 1, sum, product)
	})
}
