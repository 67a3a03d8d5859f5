package trace

import (
	"math"
	"slices"
)

// Norm is the Euclidean norm. It is scaled by the largest element, so that squares neither overflow nor underflow;
// an infinity or NaN among the elements gives one.
func Norm(x []float64) float64 {
	return scaledNorm(len(x), func(i int) float64 { return x[i] })
}

// Distance is the Euclidean norm of x - o. Two infinities of one sign at the same place are no distance apart: masked scores hold them. Any other
// infinity gives one, a NaN gives NaN. It panics when the lengths differ.
func Distance(x, o []float64) float64 {
	if len(x) != len(o) {
		panic("trace: distance of vectors of different lengths")
	}
	d := scaledNorm(len(x), func(i int) float64 {
		if x[i] == o[i] {
			return 0
		}
		return x[i] - o[i]
	})
	if math.IsInf(d, 1) && Finite(x) && Finite(o) {
		// A difference overflowed; halves of finite numbers cannot.
		return 2 * scaledNorm(len(x), func(i int) float64 { return x[i]/2 - o[i]/2 })
	}
	return d
}

func scaledNorm(n int, at func(int) float64) float64 {
	scale := 0.0
	for i := range n {
		a := math.Abs(at(i))
		if math.IsNaN(a) {
			return math.NaN()
		}
		scale = max(scale, a)
	}
	if scale == 0 || math.IsInf(scale, 0) {
		return scale
	}
	sum := 0.0
	for i := range n {
		v := at(i) / scale
		sum += v * v
	}
	return scale * math.Sqrt(sum)
}

// WithoutInfinities is x with zeros where it holds infinities: what the norm of a tensor with masked elements is taken of.
func WithoutInfinities(x []float64) []float64 {
	if !slices.ContainsFunc(x, func(v float64) bool { return math.IsInf(v, 0) }) {
		return x
	}
	out := slices.Clone(x)
	for i, v := range out {
		if math.IsInf(v, 0) {
			out[i] = 0
		}
	}
	return out
}

// Finite reports whether no element is NaN or infinite.
func Finite(x []float64) bool {
	for _, v := range x {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return false
		}
	}
	return true
}
