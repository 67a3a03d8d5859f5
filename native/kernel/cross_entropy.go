package kernel

import "math"

// LogSoftmax is y[r, c] = x[r, c] - log(sum over c' of exp(x[r, c'])) for rows lo ... hi of a matrix with the given
// number of columns, with the largest element subtracted first so that nothing overflows. The sum is taken in
// float64 whatever T is.
func LogSoftmax[T Float](y, x []T, columns, lo, hi int) {
	if k := vectorised[T](); k != nil {
		if 0 < columns && columns <= k.lanes {
			logSoftmaxNarrow(k, y, x, columns, lo, hi)
			return
		}
		for r := lo; r < hi; r++ {
			logSoftmaxRow(k, y[r*columns:(r+1)*columns], x[r*columns:(r+1)*columns])
		}
		return
	}
	for r := lo; r < hi; r++ {
		in, out := x[r*columns:(r+1)*columns], y[r*columns:(r+1)*columns]
		largest := T(math.Inf(-1))
		for _, v := range in {
			largest = max(largest, v)
		}
		sum := 0.0
		for _, v := range in {
			sum += math.Exp(float64(v - largest))
		}
		shift := T(math.Log(sum))
		for c, v := range in {
			out[c] = v - largest - shift
		}
	}
}

// logSoftmaxNarrow is LogSoftmax of rows that fit a vector, many in a call.
func logSoftmaxNarrow[T Float](k *path, y, x []T, columns, lo, hi int) {
	var largest, shifts [64]float32
	var sums [64]float64
	for r := lo; r < hi; r += len(sums) {
		rows := min(len(sums), hi-r)
		in, out := x[r*columns:(r+rows)*columns], y[r*columns:(r+rows)*columns]
		k.narrowSumExp(&largest[0], address(in, 0), columns, rows, &sums[0])
		for i, s := range sums[:rows] {
			shifts[i] = float32(math.Log(s))
		}
		k.narrowSubtract(address(out, 0), address(in, 0), &largest[0], &shifts[0], columns, rows)
	}
}

// NegativeLogLikelihood returns scale times the sum over r of -logProbability[r, target[r]], summed in float64.
func NegativeLogLikelihood[T Float](logProbability []T, target []int64, columns int, scale float64) T {
	sum := 0.0
	for r, c := range target {
		sum -= float64(logProbability[r*columns+int(c)])
	}
	return T(sum * scale)
}

// CrossEntropyGradient is dx[r, c] = scale * (exp(logProbability[r, c]) - [c = target[r]]) for rows lo ... hi.
func CrossEntropyGradient[T Float](dx, logProbability []T, target []int64, columns, lo, hi int, scale T) {
	if k := vectorised[T](); k != nil {
		applyNumber(k.scaledExp, dx[lo*columns:hi*columns], logProbability[lo*columns:hi*columns], scale)
		for r, c := range target[lo:hi] {
			at := (lo+r)*columns + int(c)
			dx[at] = T(float64(scale) * math.Expm1(float64(logProbability[at])))
		}
		return
	}
	for r := lo; r < hi; r++ {
		out := dx[r*columns : (r+1)*columns]
		for c, l := range logProbability[r*columns : (r+1)*columns] {
			p := T(math.Exp(float64(l)))
			if int64(c) == target[r] {
				p--
			}
			out[c] = scale * p
		}
	}
}
