package kernel

import "math"

// Reduction says which elements of an operand each element of a result is made of: element i of those at Kept[i] + Reduced[k] for all k.
type Reduction struct{ Kept, Reduced []int }

// Reduce is y[i] = end(step(... step(step(start, x0), x1) ...)) over the elements of result i, in order, for results lo ... hi, in
// float64.
func Reduce[T Float](y, x []T, r *Reduction, start float64, step func(sum, x float64) float64, end func(sum float64) float64, lo, hi int) {
	for i := lo; i < hi; i++ {
		sum, at := start, r.Kept[i]
		for _, k := range r.Reduced {
			sum = step(sum, float64(x[at+k]))
		}
		y[i] = T(end(sum))
	}
}

// ReduceIntegers is Reduce for integers.
func ReduceIntegers(y, x []int64, r *Reduction, start int64, step func(sum, x int64) int64) {
	for i := range y {
		sum, at := start, r.Kept[i]
		for _, k := range r.Reduced {
			sum = step(sum, x[at+k])
		}
		y[i] = sum
	}
}

// ReduceTruths tells for each result whether any of its elements is true or, without any, whether all are.
func ReduceTruths(y, x []bool, r *Reduction, any bool) {
	for i, at := range r.Kept {
		y[i] = !any
		for _, k := range r.Reduced {
			if x[at+k] == any {
				y[i] = any
				break
			}
		}
	}
}

// ReduceLogSumExp is the logarithm of the sum of exponentials of result i's elements, taken so that none overflows.
func ReduceLogSumExp[T Float](y, x []T, r *Reduction, lo, hi int) {
	for i := lo; i < hi; i++ {
		largest, sum, at := math.Inf(-1), 0.0, r.Kept[i]
		for _, k := range r.Reduced {
			largest = max(largest, float64(x[at+k]))
		}
		if math.IsInf(largest, 0) { // nothing to scale by: -Inf, also of no elements, or +Inf
			y[i] = T(largest)
			continue
		}
		for _, k := range r.Reduced {
			sum += math.Exp(float64(x[at+k]) - largest)
		}
		y[i] = T(largest + math.Log(sum))
	}
}

// ReduceGradient is dx = dy * derivative(x, y) for the elements of results lo ... hi.
func ReduceGradient[T Float](dx, dy, x, y []T, r *Reduction, derivative func(x, y float64) float64, lo, hi int) {
	for i := lo; i < hi; i++ {
		at := r.Kept[i]
		for _, k := range r.Reduced {
			dx[at+k] = T(float64(dy[i]) * derivative(float64(x[at+k]), float64(y[i])))
		}
	}
}

// ReduceExtremumGradient shares dy equally between the elements that are equal to the result.
func ReduceExtremumGradient[T Float](dx, dy, x, y []T, r *Reduction, lo, hi int) {
	for i := lo; i < hi; i++ {
		at, equal := r.Kept[i], 0
		for _, k := range r.Reduced {
			if x[at+k] == y[i] {
				equal++
			}
		}
		for _, k := range r.Reduced {
			dx[at+k] = 0
			if x[at+k] == y[i] {
				dx[at+k] = dy[i] / T(equal)
			}
		}
	}
}

// ReduceProductGradient is dy times the product of all other elements: of those before, which pass through dx, and those after.
func ReduceProductGradient[T Float](dx, dy, x []T, r *Reduction, lo, hi int) {
	for i := lo; i < hi; i++ {
		at, product := r.Kept[i], float64(dy[i])
		for _, k := range r.Reduced {
			dx[at+k] = T(product)
			product *= float64(x[at+k])
		}
		product = 1
		for j := len(r.Reduced) - 1; j >= 0; j-- {
			k := r.Reduced[j]
			dx[at+k] = T(float64(dx[at+k]) * product)
			product *= float64(x[at+k])
		}
	}
}
