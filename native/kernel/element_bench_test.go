package kernel

import (
	"math/rand/v2"
	"testing"
)

// The number of elements of each slice: several slices fit the second-level cache, or none does the last.
const cachedElements, memoryElements = 16 << 10, 8 << 20

// benchmarkElements times a kernel over the slices of n elements each on every path with one thread. ns/element and, counting each slice
// once, GB/s are of the fastest call.
func benchmarkElements(b *testing.B, n, slices int, call func(x [][]float32)) {
	for _, p := range paths {
		b.Run(p.name, func(b *testing.B) {
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
		})
	}
}

func BenchmarkAdd(b *testing.B) {
	benchmarkElements(b, cachedElements, 3, func(x [][]float32) { Add(x[0], x[1], x[2], 1, 1) })
}

func BenchmarkAddMemory(b *testing.B) {
	benchmarkElements(b, memoryElements, 3, func(x [][]float32) { Add(x[0], x[1], x[2], 1, 1) })
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
