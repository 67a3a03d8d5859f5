package kernel

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

// The conformance suite: every kernel that works on slices, one line each in conforming, runs on every path that the processor
// has, at all lengths from 0 to 67 and some large ones, with its slices right behind a page that faults, right before one, and at
// odd offsets between guard values. What is compared is the generic kernel: in float32, bit by bit, for kernels that promise
// the same bits on every path, in float64 for the others. The numbers drawn contain those at which vector instructions go wrong.
//
// Products have a suite of their own, TestTiles and FuzzTiles.

// operands are what a kernel gets in a test.
type operands[T Float] struct {
	rows, columns int
	x             [][]T
	keep          []bool  // as many as x[0]
	target        []int64 // a column for each row
}

// conformance is a kernel and what it promises.
type conformance[T Float] struct {
	name string // the function's, then what is special about the case
	// sizes has the length of each slice; the first of them, writes in number, may be written and hold numbers before.
	sizes  []size
	writes int
	run    func(o *operands[T])
	// ulps is how many units in the last place of float32 the result may differ from the float64 kernel's; 0 asks for
	// the bits of the generic kernel on every path.
	ulps float64
	// relativeTo is the number whose units in the last place count for element i of slice s, if it is larger than the result: the
	// size of what was added up, where terms can cancel. It gets what the kernel got and what the float64 kernel made of it.
	relativeTo func(o, want *operands[float64]) func(s, i int) float64
	// fill draws an element of slice s; nil means normally distributed numbers and special ones.
	fill func(rng *rand.Rand, s int) float64
}

// size is the length of a slice for a matrix of the given size.
type size func(rows, columns int) int

func whole(rows, columns int) int  { return rows * columns }
func perRow(rows, _ int) int       { return rows }
func perColumn(_, columns int) int { return columns }

// wholes are n slices of the matrix's size.
func wholes(n int) []size { return slices.Repeat([]size{whole}, n) }

// elementwise reports whether the kernel knows no rows.
func (k *conformance[T]) elementwise() bool {
	rows := [2]int{}
	for _, s := range k.sizes {
		rows[0] += s(1, 6)
		rows[1] += s(2, 3)
	}
	return rows[0] == rows[1]
}

// normal draws numbers that are neither special nor small.
func normal(rng *rand.Rand, _ int) float64 { return rng.NormFloat64() }

// anything draws normally distributed numbers of all sizes up to 1e3, and special ones.
func anything(rng *rand.Rand, _ int) float64 {
	switch rng.IntN(8) {
	case 0:
		return float64(special[rng.IntN(len(special))])
	case 1:
		return rng.NormFloat64() * math.Pow(10, float64(rng.IntN(13)-10))
	}
	return rng.NormFloat64()
}

var inf = math.Inf(1)

// derivative draws gradients of ordinary size for slice 1 and arguments or results of a function from lo to hi, special ones
// among them, for slice 2.
func derivative(lo, hi float64) func(rng *rand.Rand, s int) float64 {
	return func(rng *rand.Rand, s int) float64 {
		if s < 2 {
			return rng.NormFloat64()
		}
		return max(lo, min(anything(rng, s), hi))
	}
}

// ofDerivative is the gradient times what the error of the derivative is relative to, or times the smallest number that is not subnormal.
func ofDerivative(size func(x float64) float64) func(o, want *operands[float64]) func(s, i int) float64 {
	return func(o, _ *operands[float64]) func(s, i int) float64 {
		return func(_, i int) float64 { return o.x[1][i] * max(size(o.x[2][i]), 0x1p-126) }
	}
}

// ofRows computes for each row the mean of a function of its elements, and returns it for an element.
func ofRows(o *operands[float64], f func(row, at int) float64) func(i int) float64 {
	means := make([]float64, o.rows)
	for i := range o.rows * o.columns {
		means[i/o.columns] += f(i/o.columns, i) / float64(o.columns)
	}
	return func(i int) float64 { return means[i/max(1, o.columns)] }
}

// ofSoftmax is the result times the size of the difference to the largest element, which is rounded before its exponential is taken.
func ofSoftmax(_, want *operands[float64]) func(s, i int) float64 {
	return func(_, i int) float64 { y := want.x[0][i]; return max(y*(1-math.Log(y)), 0x1p-126) }
}

// lengths are those of the rows' parts that count, up to the target.
func lengths[T Float](o *operands[T]) []int {
	out := make([]int, len(o.target))
	for i, c := range o.target {
		out[i] = min(int(c)+1, o.columns)
	}
	return out
}

// ofLogSoftmax is the largest that the sum's logarithm can be.
func ofLogSoftmax(o, _ *operands[float64]) func(s, i int) float64 {
	return func(int, int) float64 { return math.Log(float64(max(1, o.columns))) }
}

// ofLayerNorm is what LayerNorm subtracts and adds: the mean is rounded.
func ofLayerNorm(o, want *operands[float64]) func(s, i int) float64 {
	sizes := ofRows(o, func(_, i int) float64 { return math.Abs(o.x[3][i]) })
	return func(s, i int) float64 {
		if s > 0 {
			return sizes(i * o.columns) // of the row
		}
		size := (math.Abs(o.x[3][i]) + math.Abs(want.x[1][i/o.columns])) * want.x[2][i/o.columns] * math.Abs(o.x[4][i%o.columns])
		if len(o.x) > 5 {
			size += math.Abs(o.x[5][i%o.columns])
		}
		return size
	}
}

// ofLayerNormGradient is the size of the terms that LayerNormGradient adds, as often as it adds them over rows.
func ofLayerNormGradient(o, _ *operands[float64]) func(s, i int) float64 {
	z := func(i int) float64 {
		r := i / o.columns
		return (math.Abs(o.x[4][i]) + math.Abs(o.x[5][r])) * math.Abs(o.x[6][r])
	}
	g := func(i int) float64 { return math.Abs(o.x[3][i] * o.x[7][i%o.columns]) }
	meanG, meanZ := ofRows(o, func(_, i int) float64 { return g(i) }), ofRows(o, func(_, i int) float64 { return g(i) * z(i) })
	scales, shifts := make([]float64, o.columns), make([]float64, o.columns)
	for i := range o.x[3] {
		scales[i%o.columns] += math.Abs(o.x[3][i]) * z(i)
		shifts[i%o.columns] += math.Abs(o.x[3][i])
	}
	return func(s, i int) float64 {
		switch s {
		case 1:
			return (math.Abs(o.x[1][i]) + scales[i]) * float64(o.rows)
		case 2:
			return (math.Abs(o.x[2][i]) + shifts[i]) * float64(o.rows)
		}
		return (g(i) + meanG(i) + z(i)*meanZ(i)) * math.Abs(o.x[6][i/o.columns])
	}
}

// conforming is the list of kernels.
func conforming[T Float]() []conformance[T] {
	adam := AdamStep[T]{Shrink: 0.999, Decay: 0.01, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.01, Scale: 5, Eps: 1e-8}
	sgd := SGDStep[T]{Rate: 0.1, Decay: 0.01, Momentum: 0.9, Fresh: 0.75}
	rmsprop := RMSpropStep[T]{Rate: 0.01, Decay: 0.01, Alpha: 0.99, Fresh: 0.01, Momentum: 0.9, Eps: 1e-8}
	adagrad := AdagradStep[T]{Rate: 0.1, Decay: 0.01, Eps: 1e-10}
	nadam := NAdamStep[T]{Shrink: 0.999, Decay: 0.01, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Now: 0.01, Size: 0.05, Scale: 5, Eps: 1e-8}
	lion := LionStep[T]{Shrink: 0.999, Rate: 0.01, Beta1: 0.9, Fresh1: 0.1, Beta2: 0.99, Fresh2: 0.01}
	// The second moment is not negative.
	moments := func(rng *rand.Rand, s int) float64 {
		if s == 3 {
			return math.Abs(anything(rng, s))
		}
		return anything(rng, s)
	}
	type in = *operands[T]
	return []conformance[T]{
		{name: "Relu", sizes: wholes(2), writes: 1, run: func(o in) { Relu(o.x[0], o.x[1]) }},
		{name: "Relu in place", sizes: wholes(1), writes: 1, run: func(o in) { Relu(o.x[0], o.x[0]) }},
		{name: "ReluGradient", sizes: wholes(3), writes: 1, run: func(o in) { ReluGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Gate", sizes: wholes(3), writes: 1, run: func(o in) { Gate(o.x[0], o.x[1], o.x[2], 1.25) }},
		{name: "Clip", sizes: wholes(2), writes: 1, run: func(o in) { Clip(o.x[0], o.x[1], -0.5, 1) }},
		{name: "Clip, bounds the wrong way round", sizes: wholes(2), writes: 1, run: func(o in) { Clip(o.x[0], o.x[1], 1, -0.5) }},
		{name: "Clip in place, without an upper bound", sizes: wholes(1), writes: 1, run: func(o in) { Clip(o.x[0], o.x[0], 0, T(math.Inf(1))) }},
		{name: "ClipGradient", sizes: wholes(3), writes: 1, run: func(o in) { ClipGradient(o.x[0], o.x[1], o.x[2], -0.5, 1) }},
		{name: "HardSwish", sizes: wholes(2), writes: 1, run: func(o in) { HardSwish(o.x[0], o.x[1]) }},
		{name: "HardSwishGradient", sizes: wholes(3), writes: 1, run: func(o in) { HardSwishGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Mask", sizes: wholes(2), writes: 1, run: func(o in) { Mask(o.x[0], o.x[1], o.keep, 1.25) }},
		{name: "ReluDropout", sizes: []size{whole, perColumn}, writes: 1, run: func(o in) { ReluDropout(o.x[0], o.columns, o.x[1], o.keep, 1.25) }},
		{name: "ReluDropout of some columns", sizes: []size{whole, perColumn}, writes: 1, run: func(o in) {
			if left, n := o.columns/3&^15, (o.columns-o.columns/3)&^15; o.rows > 0 && n > 0 && left+n <= o.columns {
				ReluDropout(o.x[0][left:], o.columns, o.x[1][left:left+n], o.keep[:n*o.rows], 1.25)
			}
		}},
		{name: "Accumulate", sizes: wholes(2), writes: 1, run: func(o in) { Accumulate(o.x[0], o.x[1]) }},
		{name: "AddScaled", sizes: wholes(2), writes: 1, run: func(o in) { AddScaled(o.x[0], o.x[1], 0.3) }},
		{name: "Max", sizes: wholes(3), writes: 1, run: func(o in) { Max(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Min", sizes: wholes(3), writes: 1, run: func(o in) { Min(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Map", sizes: wholes(2), writes: 1, run: func(o in) { Map(o.x[0], o.x[1], math.Exp) }},
		{name: "MapGradient", sizes: wholes(3), writes: 1, run: func(o in) { MapGradient(o.x[0], o.x[1], o.x[2], math.Cos) }},
		{name: "Where", sizes: wholes(3), writes: 1, run: func(o in) { Where(o.x[0], o.keep, o.x[1], o.x[2], [3]int{1, 1, 1}) }},
		{name: "Convert", sizes: wholes(2), writes: 1, run: func(o in) { Convert(o.x[0], o.x[1], func(x T) T { return -x }) }},
		{name: "Adam", sizes: wholes(4), writes: 4, fill: moments, run: func(o in) { Adam(o.x[0], o.x[1], o.x[2], o.x[3], &adam) }},
		{name: "RMSprop", sizes: wholes(4), writes: 4, fill: moments, run: func(o in) { RMSprop(o.x[0], o.x[1], o.x[3], nil, nil, &rmsprop) }},
		{name: "RMSprop, momentum", sizes: wholes(5), writes: 5, fill: moments, run: func(o in) {
			RMSprop(o.x[0], o.x[1], o.x[3], nil, o.x[4], &rmsprop)
		}},
		{name: "RMSprop, centered", sizes: wholes(4), writes: 4, fill: moments, run: func(o in) {
			RMSprop(o.x[0], o.x[1], o.x[3], o.x[2], nil, &rmsprop)
		}},
		{name: "RMSprop, centered, momentum", sizes: wholes(5), writes: 5, fill: moments, run: func(o in) {
			RMSprop(o.x[0], o.x[1], o.x[3], o.x[2], o.x[4], &rmsprop)
		}},
		{name: "Adagrad", sizes: wholes(4), writes: 4, fill: moments, run: func(o in) { Adagrad(o.x[0], o.x[1], o.x[3], &adagrad) }},
		{name: "NAdam", sizes: wholes(4), writes: 4, fill: moments, run: func(o in) { NAdam(o.x[0], o.x[1], o.x[2], o.x[3], &nadam) }},
		{name: "Lion", sizes: wholes(3), writes: 3, run: func(o in) { Lion(o.x[0], o.x[1], o.x[2], &lion) }},
		{name: "SGD", sizes: wholes(2), writes: 1, run: func(o in) { SGD(o.x[0], o.x[1], &sgd) }},
		{name: "SGDMomentum", sizes: wholes(3), writes: 3, run: func(o in) { SGDMomentum(o.x[0], o.x[2], o.x[1], &sgd, false, false) }},
		{name: "SGDMomentum, first", sizes: wholes(3), writes: 3, run: func(o in) { SGDMomentum(o.x[0], o.x[2], o.x[1], &sgd, true, false) }},
		{name: "SGDMomentum, Nesterov", sizes: wholes(3), writes: 3, run: func(o in) { SGDMomentum(o.x[0], o.x[2], o.x[1], &sgd, false, true) }},
		{name: "SumRows", sizes: []size{perColumn, whole}, writes: 1, run: func(o in) { SumRows(o.x[0], o.x[1], o.rows, o.columns, 0, o.columns) }},
		{name: "SumRows of some columns", sizes: []size{perColumn, whole}, writes: 1, run: func(o in) {
			SumRows(o.x[0], o.x[1], o.rows, o.columns, o.columns/3, o.columns-o.columns/4)
		}},
		{name: "SumOfSquares", sizes: []size{func(_, _ int) int { return 1 }, whole}, writes: 1, ulps: 1, run: func(o in) { o.x[0][0] = T(SumOfSquares(o.x[1])) }},
		{name: "Add", sizes: wholes(3), writes: 1, run: func(o in) { Add(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Add, a number second", sizes: wholes(3), writes: 1, run: func(o in) { Add(o.x[0], o.x[1], o.x[2], 1, 0) }},
		{name: "Add, a number first", sizes: wholes(3), writes: 1, run: func(o in) { Add(o.x[0], o.x[1], o.x[2], 0, 1) }},
		{name: "Add, two numbers", sizes: wholes(3), writes: 1, run: func(o in) { Add(o.x[0], o.x[1], o.x[2], 0, 0) }},
		{name: "Sub", sizes: wholes(3), writes: 1, run: func(o in) { Sub(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Sub, a number second", sizes: wholes(3), writes: 1, run: func(o in) { Sub(o.x[0], o.x[1], o.x[2], 1, 0) }},
		{name: "Sub, a number first", sizes: wholes(3), writes: 1, run: func(o in) { Sub(o.x[0], o.x[1], o.x[2], 0, 1) }},
		{name: "Sub, two numbers", sizes: wholes(3), writes: 1, run: func(o in) { Sub(o.x[0], o.x[1], o.x[2], 0, 0) }},
		{name: "Mul", sizes: wholes(3), writes: 1, run: func(o in) { Mul(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Mul, a number second", sizes: wholes(3), writes: 1, run: func(o in) { Mul(o.x[0], o.x[1], o.x[2], 1, 0) }},
		{name: "Mul, a number first", sizes: wholes(3), writes: 1, run: func(o in) { Mul(o.x[0], o.x[1], o.x[2], 0, 1) }},
		{name: "Mul, two numbers", sizes: wholes(3), writes: 1, run: func(o in) { Mul(o.x[0], o.x[1], o.x[2], 0, 0) }},
		{name: "Div", sizes: wholes(3), writes: 1, run: func(o in) { Div(o.x[0], o.x[1], o.x[2], 1, 1) }},
		{name: "Div, a number second", sizes: wholes(3), writes: 1, run: func(o in) { Div(o.x[0], o.x[1], o.x[2], 1, 0) }},
		{name: "Div, a number first", sizes: wholes(3), writes: 1, run: func(o in) { Div(o.x[0], o.x[1], o.x[2], 0, 1) }},
		{name: "Div, two numbers", sizes: wholes(3), writes: 1, run: func(o in) { Div(o.x[0], o.x[1], o.x[2], 0, 0) }},
		{name: "Add in place", sizes: wholes(2), writes: 1, run: func(o in) { Add(o.x[0], o.x[1], o.x[0], 1, 1) }},
		{name: "Scale", sizes: wholes(2), writes: 1, run: func(o in) { Scale(o.x[0], o.x[1], -0.3) }},
		{name: "ExpGradient", sizes: wholes(3), writes: 1, run: func(o in) { ExpGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "LogGradient", sizes: wholes(3), writes: 1, run: func(o in) { LogGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Exp", sizes: wholes(2), writes: 1, ulps: 1, run: func(o in) { Exp(o.x[0], o.x[1]) }},
		{name: "Log", sizes: wholes(2), writes: 1, ulps: 1, run: func(o in) { Log(o.x[0], o.x[1]) }},
		{name: "Tanh", sizes: wholes(2), writes: 1, ulps: 1.75, run: func(o in) { Tanh(o.x[0], o.x[1]) }},
		{name: "TanhGradient", sizes: wholes(3), writes: 1, ulps: 2, fill: derivative(-1, 1), run: func(o in) { TanhGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Sigmoid", sizes: wholes(2), writes: 1, ulps: 2.5, run: func(o in) { Sigmoid(o.x[0], o.x[1]) }},
		{name: "SigmoidGradient", sizes: wholes(3), writes: 1, ulps: 2, fill: derivative(0, 1), run: func(o in) { SigmoidGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Erf", sizes: wholes(2), writes: 1, ulps: 1.25, run: func(o in) { Erf(o.x[0], o.x[1]) }},
		{name: "ErfGradient", sizes: wholes(3), writes: 1, ulps: 3.5, fill: derivative(-inf, inf), relativeTo: ofDerivative(func(float64) float64 { return 0 }), run: func(o in) { ErfGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "Gelu", sizes: wholes(2), writes: 1, ulps: 5.5, run: func(o in) { Gelu(o.x[0], o.x[1]) }},
		{name: "GeluGradient", sizes: wholes(3), writes: 1, ulps: 4, fill: derivative(-inf, inf), relativeTo: ofDerivative(geluTerms), run: func(o in) { GeluGradient(o.x[0], o.x[1], o.x[2]) }},
		{name: "GeluBoth", sizes: wholes(4), writes: 2, ulps: 5.5, fill: func(rng *rand.Rand, s int) float64 {
			if s < 3 {
				return rng.NormFloat64()
			}
			return anything(rng, s)
		}, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			return func(s, i int) float64 {
				if s == 1 {
					return 0
				}
				return o.x[2][i] * max(geluTerms(o.x[3][i]), 0x1p-126)
			}
		}, run: func(o in) {
			copy(o.x[1], o.x[3])
			GeluBoth(o.x[0], o.x[2], o.x[1])
		}},
		{name: "GeluTanh", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			return func(_, i int) float64 { return geluTanhSize(o.x[1][i]) }
		}, run: func(o in) { GeluTanh(o.x[0], o.x[1]) }},
		{name: "GeluTanhGradient", sizes: wholes(3), writes: 1, ulps: 5, fill: derivative(-inf, inf), relativeTo: ofDerivative(geluTanhTerms), run: func(o in) { GeluTanhGradient(o.x[0], o.x[1], o.x[2]) }},
		// 32 additions in order on the generic path.
		{name: "Sum", sizes: []size{func(_, _ int) int { return 1 }, whole}, writes: 1, fill: normal, ulps: 16, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			sizes := 0.0
			for _, v := range o.x[1] {
				sizes += math.Abs(v)
			}
			return func(int, int) float64 { return sizes }
		}, run: func(o in) { o.x[0][0] = Sum(o.x[1]) }},
		{name: "Softmax", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: ofSoftmax, run: func(o in) { Softmax(o.x[0], o.x[1], o.columns, 1, 0, o.rows) }},
		{name: "Softmax in place", sizes: wholes(1), writes: 1, ulps: 3, relativeTo: ofSoftmax, run: func(o in) { Softmax(o.x[0], o.x[0], o.columns, 1, 0, o.rows) }},
		{name: "Softmax along columns", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: ofSoftmax, run: func(o in) { Softmax(o.x[0], o.x[1], o.rows, o.columns, 0, o.columns) }},
		{name: "SoftmaxGradient", sizes: wholes(3), writes: 1, fill: derivative(0, 1), ulps: 3, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			sums := ofRows(o, func(_, i int) float64 { return math.Abs(o.x[1][i]*o.x[2][i]) * float64(o.columns) })
			return func(_, i int) float64 { return max(o.x[2][i]*(math.Abs(o.x[1][i])+sums(i)), 0x1p-126) }
		}, run: func(o in) { SoftmaxGradient(o.x[0], o.x[1], o.x[2], o.columns, 1, 0, o.rows) }},
		{name: "SoftmaxWithin", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: ofSoftmax, run: func(o in) { SoftmaxWithin(o.x[0], o.x[1], o.columns, lengths(o)) }},
		{name: "SoftmaxWithin in place", sizes: wholes(1), writes: 1, ulps: 3, relativeTo: ofSoftmax, run: func(o in) { SoftmaxWithin(o.x[0], o.x[0], o.columns, lengths(o)) }},
		{name: "SoftmaxGradientWithin", sizes: wholes(3), writes: 1, fill: derivative(0, 1), ulps: 3, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			length := lengths(o)
			sums := ofRows(o, func(row, i int) float64 {
				if i%o.columns >= length[row] {
					return 0
				}
				return math.Abs(o.x[1][i]*o.x[2][i]) * float64(o.columns)
			})
			return func(_, i int) float64 { return max(o.x[2][i]*(math.Abs(o.x[1][i])+sums(i)), 0x1p-126) }
		}, run: func(o in) { SoftmaxGradientWithin(o.x[0], o.x[1], o.x[2], o.columns, lengths(o)) }},
		{name: "LogSoftmaxAlong", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: ofLogSoftmax, run: func(o in) { LogSoftmaxAlong(o.x[0], o.x[1], o.columns, 1, 0, o.rows) }},
		{name: "LogSoftmax", sizes: wholes(2), writes: 1, ulps: 3, relativeTo: ofLogSoftmax, run: func(o in) { LogSoftmax(o.x[0], o.x[1], o.columns, 0, o.rows) }},
		{name: "LogSoftmaxGradient", sizes: wholes(3), writes: 1, fill: derivative(-200, 0), ulps: 3, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			sums := ofRows(o, func(_, i int) float64 { return math.Abs(o.x[1][i]) * float64(o.columns) })
			return func(_, i int) float64 { return math.Abs(o.x[1][i]) + max(math.Exp(o.x[2][i]), 0x1p-126)*sums(i) }
		}, run: func(o in) { LogSoftmaxGradient(o.x[0], o.x[1], o.x[2], o.columns, 1, 0, o.rows) }},
		{name: "CrossEntropyGradient", sizes: wholes(2), writes: 1, ulps: 2, fill: func(rng *rand.Rand, s int) float64 {
			return -math.Abs(anything(rng, s)) // the logarithm of a probability
		}, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			return func(_, i int) float64 {
				if o.target[i/o.columns] == int64(i%o.columns) {
					return 0.03125 // 1 is subtracted
				}
				return 0x1p-126
			}
		}, run: func(o in) {
			if o.columns > 0 {
				CrossEntropyGradient(o.x[0], o.x[1], o.target, o.columns, 0, o.rows, 0.0234375) // exact in float32, as all constants here
			}
		}},
		{name: "BatchNorm", sizes: []size{whole, func(_, _ int) int { return 2 }, whole}, writes: 2, fill: normal, ulps: 4, relativeTo: func(o, want *operands[float64]) func(s, i int) float64 {
			mean, variance := want.x[1][0], want.x[1][1]
			return func(s, i int) float64 {
				if s == 1 {
					return 1 // of numbers that are about as large
				}
				return (math.Abs(o.x[2][i])+math.Abs(mean))*0.6875/math.Sqrt(variance+1e-5) + 0.1875
			}
		}, run: func(o in) {
			b := BatchNorm[T]{Images: o.rows, Channels: 1, Size: o.columns, Epsilon: 1e-5}
			mean, variance := b.Statistics(o.x[2], 0)
			o.x[1][0], o.x[1][1] = T(mean), T(variance)
			b.Apply(o.x[0], o.x[2], 0, T(mean), T(b.InverseDeviation(variance)), 0.6875, -0.1875)
		}},
		{name: "BatchNorm, the gradient", sizes: []size{whole, func(_, _ int) int { return 2 }, whole, whole}, writes: 2, fill: normal, ulps: 4, relativeTo: func(o, _ *operands[float64]) func(s, i int) float64 {
			sum, product := 0.0, 0.0
			z := func(i int) float64 { return math.Abs(o.x[3][i]-0.3125) * 1.6875 }
			for i, dy := range o.x[2] {
				sum += math.Abs(dy)
				product += math.Abs(dy) * z(i)
			}
			return func(s, i int) float64 {
				if s == 1 {
					return max(sum, product)
				}
				return (math.Abs(o.x[2][i]) + (sum+z(i)*product)/float64(len(o.x[2]))) * 0.6875 * 1.6875
			}
		}, run: func(o in) {
			b := BatchNorm[T]{Images: o.rows, Channels: 1, Size: o.columns, Epsilon: 1e-5}
			sum, product := b.Sums(o.x[2], o.x[3], 0, 0.3125, 1.6875)
			o.x[1][0], o.x[1][1] = T(sum), T(product)
			b.Data(o.x[0], o.x[2], o.x[3], 0, 0.3125, 1.6875, 0.6875, sum, product)
		}},
		{
			name: "LayerNorm", sizes: []size{whole, perRow, perRow, whole, perColumn, perColumn}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNorm,
			run: func(o in) { LayerNorm(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], o.x[5], o.columns, 1e-5, 0, o.rows) },
		},
		{
			name: "LayerNorm without shift", sizes: []size{whole, perRow, perRow, whole, perColumn}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNorm,
			run: func(o in) { LayerNorm(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], nil, o.columns, 1e-5, 0, o.rows) },
		},
		{
			name: "LayerNormAgain", sizes: []size{whole, perRow, perRow, whole, perColumn, perColumn}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNorm,
			run: func(o in) {
				LayerNorm(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], o.x[5], o.columns, 1e-5, 0, o.rows)
				clear(o.x[0])
				LayerNormAgain(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], o.x[5], o.columns, 0, o.rows)
			},
		},
		{
			name: "LayerNormAgain without shift", sizes: []size{whole, perRow, perRow, whole, perColumn}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNorm,
			run: func(o in) {
				LayerNorm(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], nil, o.columns, 1e-5, 0, o.rows)
				clear(o.x[0])
				LayerNormAgain(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], nil, o.columns, 0, o.rows)
			},
		},
		{
			name: "LayerNormGradient", sizes: []size{whole, perColumn, perColumn, whole, whole, perRow, perRow, perColumn}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNormGradient,
			run: func(o in) {
				LayerNormGradient(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], o.x[5], o.x[6], o.x[7], nil, o.columns, 0, o.rows)
			},
		},
		{
			name: "LayerNormGradient, added", sizes: []size{whole, perColumn, perColumn, whole, whole, perRow, perRow, perColumn, whole}, writes: 3, fill: normal, ulps: 4, relativeTo: ofLayerNormGradient,
			run: func(o in) {
				LayerNormGradient(o.x[0], o.x[1], o.x[2], o.x[3], o.x[4], o.x[5], o.x[6], o.x[7], o.x[8], o.columns, 0, o.rows)
			},
		},
		{
			name: "LayerNormGradient, data alone", sizes: []size{whole, perColumn, perColumn, whole, whole, perRow, perRow, perColumn}, writes: 1, fill: normal, ulps: 4, relativeTo: ofLayerNormGradient,
			run: func(o in) {
				LayerNormGradient(o.x[0], nil, nil, o.x[3], o.x[4], o.x[5], o.x[6], o.x[7], nil, o.columns, 0, o.rows)
			},
		},
	}
}

// elsewhere are the kernels that the suite does not run, and where else they are tested.
var elsewhere = map[string]string{
	"Keep":                           "TestKeepIsPhilox: it has no float operand",
	"KeepRows":                       "TestKeepRowsIsPhilox: likewise",
	"Gather":                         "the operator's cases: copies rows",
	"GatherGradient":                 "the operator's cases: Accumulate of rows",
	"CopyStrided":                    "TestStrided: copies",
	"AddStrided":                     "TestStrided: one addition after the other",
	"CopyBlocks":                     "TestStrided: copies",
	"ScatterSum":                     "TestScatterSum: Accumulate and Sum of rows",
	"NegativeLogLikelihood":          "the operator's cases: generic alone",
	"ClassLoss, ClassWeight":         "the operator's cases: generic alone",
	"ClassLossGradient":              "the operator's cases: generic alone",
	"CumulativeSum":                  "the operator's cases: generic alone",
	"Triangle":                       "the operator's cases: copies rows",
	"GridSample, GridSampleGradient": "the operator's cases: generic alone",
	"NewPool, Workspace":             "pool_test.go",
	"MeasureLimits":                  "TestLimits: measures the machine",
	"Path, Paths, Use, UseVariable":  "path_test.go",

	"Unfold, Fold":         "the operator Conv's cases: copies, and Accumulate of rows",
	"UnfoldRows, FoldRows": "TestConvNHWC in package op: copies, and Accumulate of rows",
	"PrepareWeightsToRows, PrepareRowsToWeights":                            "TestWeightsToRows: copies and transposes",
	"PrepareWinograd, PrepareWinogradWeights":                               "TestWinograd: against the direct sums in float64",
	"PrepareGroupedRows, PrepareGroupedRowsData, PrepareGroupedRowsWeights": "TestConvNHWC in package op: products by strips",
	"PrepareMaxPoolRows": "TestMaxPoolRows: against its definition",
	"NewBatchNormRows":   "TestBatchNormRows: against BatchNorm in float64",
	"PrepareDepthwiseRows, PrepareDepthwiseRowsData, PrepareDepthwiseRowsWeights": "TestDepthwiseRows: against the direct sums in float64",
	"Depthwise, DepthwiseData, DepthwiseWeights":                                  "the operator Conv's cases: generic alone",
	"MaxPool, MaxPoolGradient":                                                    "the operator's cases: generic alone",
	"AveragePool, AveragePoolGradient":                                            "the operator's cases: generic alone",
	"NewPicking, Pick, PickGradient":                                              "the operators Pad's and Tile's cases: copies, and Accumulate of rows",
	"Interpolate":                                                                 "the operator Resize's cases: generic alone",
	"LSTMStep, LSTMStepGradient":                                                  "the operator's cases: Accumulate and the activations, on rows",
	"GRUGates, GRUStep, GRUStepGradient, GRUGatesGradient":                        "the operator's cases: Accumulate and the activations, on rows",
	"PRelu, PReluSlope":                                                           "the operator's cases: generic alone",
	"Reduce, ReduceIntegers, ReduceTruths, ReduceLogSumExp, ReduceGradient, ReduceExtremumGradient, ReduceProductGradient": "the operators' cases: generic alone",
	"StridedSum":        "the operator Einsum's cases: generic alone",
	"ArgExtremum, TopK": "the operators' cases and node tests: generic alone",
	"GatherElements, ScatterElements, GatherND, ScatterND, OneHot": "the operators' cases: copies elements",
	"LpNormalize, LpNormalizeGradient, Hardmax":                    "the operators' cases: generic alone",
	"RMSNorm, RMSNormGradient":                                     "the operator RMSNormalization's cases: generic alone, but for the sum of squares",
}

// TestEveryKernelConforms reads the package's own source: an exported function is in the suite, or elsewhere says where else it is tested.
func TestEveryKernelConforms(t *testing.T) {
	tested := map[string]bool{}
	for names := range elsewhere {
		for name := range strings.SplitSeq(names, ", ") {
			tested[name] = true
		}
	}
	for _, k := range conforming[float32]() {
		tested[strings.FieldsFunc(k.name, func(r rune) bool { return r == ' ' || r == ',' })[0]] = true
	}
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if types, ok := d.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				for _, spec := range types.Specs {
					found[spec.(*ast.TypeSpec).Name.Name] = true // methods are tested under the name of their type
				}
			}
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.IsExported() {
				found[f.Name.Name] = true
				if !tested[f.Name.Name] {
					t.Errorf("%s is not tested: add a line to conforming or, with the reason, to elsewhere", f.Name.Name)
				}
			}
		}
	}
	for name := range tested {
		if !found[name] {
			t.Errorf("%s is in the suite's lists and is no exported function of the package", name)
		}
	}
}

// fences keeps memory between fences for the slices of a test, so that not each case has to map its own.
type fences struct {
	t     testing.TB
	small []*fence // of the slots of operands
	large []*fence
}

// The bytes of a small and a large fence.
const smallFence, largeFence = 4 << 10, 512 << 10

// untouched stands wherever no slice is.
const untouched = 0xa5

type fence struct {
	memory     []byte
	begin, end int // of the slice
}

// place returns the memory of the slot, with a slice of size bytes at its beginning, its end or a random odd multiple of align bytes
// from its middle, and untouched elsewhere.
func (f *fences) place(slot, size, align int, position position, rng *rand.Rand) *fence {
	list, bytes := &f.small, smallFence
	if size > smallFence {
		list, bytes = &f.large, largeFence
	}
	for len(*list) <= slot {
		m := betweenFences(f.t, bytes)
		*list = append(*list, &fence{memory: m, end: len(m)})
	}
	m := (*list)[slot]
	// All else has been found untouched.
	for i := range m.memory[m.begin:m.end] {
		m.memory[m.begin+i] = untouched
	}
	switch position {
	case atBegin:
		m.begin = 0
	case atEnd:
		m.begin = len(m.memory) - size
	case between:
		m.begin = rng.IntN((len(m.memory)-size)/align+1) * align
	}
	m.end = m.begin + size
	return m
}

// stands reports whether nothing but the slice was written.
func (m *fence) stands() bool {
	for _, part := range [][]byte{m.memory[:m.begin], m.memory[m.end:]} {
		if bytes.Count(part, []byte{untouched}) != len(part) {
			return false
		}
	}
	return true
}

type position int

const (
	atBegin position = iota
	atEnd
	between
	positions
)

// slice returns the elements at a fence.
func slice[E any](m *fence) []E {
	var e E
	n := (m.end - m.begin) / int(unsafe.Sizeof(e))
	if n == 0 {
		return []E{}
	}
	// The capacity reaches to the end of the memory, so that a slice made too long would show.
	return unsafe.Slice((*E)(unsafe.Pointer(&m.memory[m.begin])), (len(m.memory)-m.begin)/int(unsafe.Sizeof(e)))[:n]
}

// conforms runs a float32 kernel, with its float64 twin for comparison, on one shape on the path in use.
func (f *fences) conforms(k *conformance[float32], k64 *conformance[float64], rows, columns int, p position, seed uint64) (err error) {
	rng := rand.New(rand.NewPCG(seed, uint64(rows*1000003+columns)))
	fill := k.fill
	if fill == nil {
		fill = anything
	}
	o := &operands[float32]{rows: rows, columns: columns}
	var used []*fence
	at := func(size, align int) *fence {
		m := f.place(len(used), size, align, p, rng)
		used = append(used, m)
		return m
	}
	for s, size := range k.sizes {
		x := slice[float32](at(4*size(rows, columns), 4))
		for i := range x {
			x[i] = float32(fill(rng, s))
		}
		o.x = append(o.x, x)
	}
	o.keep = slice[bool](at(k.sizes[0](rows, columns), 1))
	for i := range o.keep {
		o.keep[i] = rng.IntN(2) == 0
	}
	o.target = slice[int64](at(8*rows, 8))
	for i := range o.target {
		o.target[i] = int64(rng.IntN(max(columns, 1)))
	}
	before := copied[float32](o)
	if err := faults(func() { k.run(o) }); err != nil {
		return err
	}
	for i, m := range used {
		if !m.stands() {
			return fmt.Errorf("memory outside slice %d was written", i)
		}
	}
	for s := k.writes; s < len(o.x); s++ {
		if !sameBits(o.x[s], before.x[s]) {
			return fmt.Errorf("input %d was changed", s)
		}
	}
	if !slices.Equal(o.keep, before.keep) || !slices.Equal(o.target, before.target) {
		return errors.New("the mask or the targets were changed")
	}
	if k.ulps == 0 {
		want := copied[float32](before)
		path := active.Swap(paths[0])
		k.run(want)
		active.Store(path)
		for s := range k.writes {
			for i, w := range want.x[s] {
				if g := o.x[s][i]; math.Float32bits(w) != math.Float32bits(g) && (w == w || g == g) { // payloads of NaN aside
					return fmt.Errorf("element %d of slice %d is %g, generic %g", i, s, g, w)
				}
			}
		}
		return nil
	}
	want := copied[float64](before)
	k64.run(want)
	terms := func(int, int) float64 { return 0 }
	if k64.relativeTo != nil {
		terms = k64.relativeTo(copied[float64](before), want)
	}
	for s := range k.writes {
		for i, w := range want.x[s] {
			relative := max(math.Abs(w), math.Abs(terms(s, i)))
			if err := ulpsBetween(o.x[s][i], w, relative); !(err <= k.ulps) {
				return fmt.Errorf("element %d of slice %d is %g, want %g: off by %g units in the last place of %g, allowed %g", i, s, o.x[s][i], w, err, relative, k.ulps)
			}
		}
	}
	return nil
}

// faults runs a function and returns the panic it ends in, a fault among them, as an error.
func faults(run func()) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v\n%s", r, debug.Stack())
		}
	}()
	run()
	return nil
}

// copied returns the operands in ordinary memory, in another type perhaps.
func copied[To, From Float](o *operands[From]) *operands[To] {
	c := &operands[To]{rows: o.rows, columns: o.columns, keep: slices.Clone(o.keep), target: slices.Clone(o.target)}
	for _, x := range o.x {
		y := make([]To, len(x))
		for i, v := range x {
			y[i] = To(v)
		}
		c.x = append(c.x, y)
	}
	return c
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b })
}

// ulpsBetween returns the distance of got and want in units in the last place that float32 has at the size of relative. Infinity counts as
// the power of two behind the largest number, NaN equals NaN alone, and a zero must have its sign
// unless terms cancel.
func ulpsBetween(got float32, want, relative float64) float64 {
	g := float64(got)
	switch {
	case math.IsNaN(want) || math.IsNaN(g):
		if math.IsNaN(want) && math.IsNaN(g) {
			return 0
		}
		return math.Inf(1)
	case float32(want) == got && (want != 0 || math.Signbit(want) == math.Signbit(g)):
		return 0
	case want == 0 && g == 0 && relative == 0:
		return math.Inf(1)
	}
	limited := func(x float64) float64 { return max(-0x1p128, min(0x1p128, x)) }
	return math.Abs(limited(g)-limited(want)) / float32Ulp(relative)
}

// float32Ulp returns the distance of float32 numbers of the size of x, between powers of two.
func float32Ulp(x float64) float64 {
	_, exponent := math.Frexp(limitedSize(x))
	return math.Ldexp(1, max(exponent-24, -149))
}

func limitedSize(x float64) float64 { return min(math.Abs(x), math.MaxFloat32) }

// shapes are those that every kernel runs on: for elementwise ones all lengths to 67 and some of several calls of assembly.
func shapes(elementwise bool) (all [][2]int) {
	if elementwise {
		for n := range 68 {
			all = append(all, [2]int{1, n})
		}
		return append(all, [2]int{1, 257}, [2]int{1, 4099}, [2]int{1, 2*elementsPerCall + 37})
	}
	for columns := range 68 {
		for _, rows := range []int{0, 1, 2, 5} {
			all = append(all, [2]int{rows, columns})
		}
	}
	return append(all, [2]int{67, 3}, [2]int{33, 64}, [2]int{131, 10}, [2]int{3, 1000}, [2]int{2, 4099}, [2]int{1, 2*elementsPerCall + 37})
}

func TestConformance(t *testing.T) {
	f := &fences{t: t}
	kernels, twins := conforming[float32](), conforming[float64]()
	eachPath(t, func(t *testing.T) {
		for i := range kernels {
			k := &kernels[i]
			t.Run(k.name, func(t *testing.T) {
				for _, shape := range shapes(k.elementwise()) {
					for p := range positions {
						if err := f.conforms(k, &twins[i], shape[0], shape[1], p, 1); err != nil {
							t.Fatalf("%d x %d, position %d: %v", shape[0], shape[1], p, err)
						}
					}
				}
			})
		}
	})
}

// TestConformanceFinds runs kernels with mistakes: the suite must find each.
func TestConformanceFinds(t *testing.T) {
	beyond := func(x []float32, by int) *float32 {
		return (*float32)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(x)), 4*by))
	}
	type in = *operands[float32]
	right := func(o in) { copy(o.x[0], o.x[1]) }
	tests := []struct {
		name     string
		position position
		unix     bool // needs pages that fault
		run      func(o in)
		want     string
	}{
		{"none", between, false, right, ""},
		{"a write behind the slice", between, false, func(o in) { right(o); *beyond(o.x[0], len(o.x[0])) = 1 }, "outside slice 0"},
		{"a write before an input", between, false, func(o in) { right(o); *beyond(o.x[1], -1) = 1 }, "outside slice 1"},
		{"a read behind the slice", atEnd, true, func(o in) { right(o); o.x[0][0] += 0 * *beyond(o.x[1], len(o.x[1])) }, "fault"},
		{"a read before the slice", atBegin, true, func(o in) { right(o); o.x[0][0] += 0 * *beyond(o.x[1], -1) }, "fault"},
		{"a changed input", atEnd, false, func(o in) { right(o); o.x[1][2]++ }, "input 1 was changed"},
		{"a changed mask", atEnd, false, func(o in) { right(o); o.keep[0] = !o.keep[0] }, "mask"},
		{"an element left out", atEnd, false, func(o in) { copy(o.x[0][1:], o.x[1][1:]) }, "element 0"},
		{"one unit in the last place", atEnd, false, func(o in) {
			right(o)
			if active.Load() == paths[len(paths)-1] {
				o.x[0][4] = math.Float32frombits(math.Float32bits(o.x[0][4]) ^ 1)
			}
		}, "generic"},
	}
	for _, tt := range tests {
		if tt.unix && runtime.GOOS == "windows" || strings.HasPrefix(tt.want, "generic") && len(paths) == 1 {
			continue
		}
		for _, ulps := range []float64{0, 0.25} {
			if tt.want == "generic" && ulps > 0 {
				tt.want = "off by 1 units"
			}
			k := conformance[float32]{sizes: wholes(2), writes: 1, ulps: ulps, fill: normal, run: tt.run}
			k64 := conformance[float64]{run: func(o *operands[float64]) { copy(o.x[0], o.x[1]) }}
			err := (&fences{t: t}).conforms(&k, &k64, 1, 9, tt.position, 3)
			if tt.name == "an element left out" && ulps == 0 {
				continue // the generic path makes the same mistake
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%s, %g units allowed: %v, want %q", tt.name, ulps, err, tt.want)
			}
		}
	}
}

// FuzzConformance draws the kernel, the shape, the place in memory and the numbers.
func FuzzConformance(f *testing.F) {
	f.Add(uint8(0), uint8(1), uint16(33), uint8(0), uint64(1))
	f.Add(uint8(5), uint8(7), uint16(10), uint8(2), uint64(2))
	kernels, twins := conforming[float32](), conforming[float64]()
	f.Fuzz(func(t *testing.T, which, rows uint8, columns uint16, p uint8, seed uint64) {
		i := int(which) % len(kernels)
		r, c := int(rows), int(columns)%1100
		r = min(r, 100_000/max(c, 1)) // inside the memory between the fences
		mapped := &fences{t: t}
		for _, name := range Paths() {
			use(t, name)
			if err := mapped.conforms(&kernels[i], &twins[i], r, c, position(p%uint8(positions)), seed); err != nil {
				t.Fatalf("%s, %d x %d: %v", kernels[i].name, r, c, err)
			}
		}
	})
}
