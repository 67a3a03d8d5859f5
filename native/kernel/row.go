package kernel

// rowPasses are a path's passes over n elements of a row, which softmax, normalizations and sums are put together from. Sums are
// in float64.
type rowPasses struct {
	largest            func(x *float32, n int) float32
	sum                func(x *float32, n int) float64
	dot                func(x, y *float32, n int) float64
	sumOfSquares       func(x *float32, n int, middle float64) float64
	squares            func(x *float32, n int) float64
	expSum             func(y, x *float32, n int, shift float32) float64
	sumExp             func(x *float32, n int, shift float32) float64
	scaledExp          func(y, x *float32, n int, c float32)
	subtractBoth       func(y, x *float32, n int, a, b float32)
	softmaxGradient    func(dx, dy, y *float32, n int, sum float32)
	logSoftmaxGradient func(dx, dy, y *float32, n int, sum float32)

	normalize            func(y, x, scale, shift *float32, n int, mean, inverse float32)
	normalizeUnshifted   func(y, x, scale *float32, n int, mean, inverse float32)
	layerNormSums        func(dy, x, scale *float32, n int, mean, inverse float32) (sum, product float64)
	layerNormGradient    func(dx, dy, x, scale *float32, n int, mean, inverse, meanG, meanZ float32)
	accumulateNormalized func(y, dy, x *float32, n int, mean, inverse float32)

	dotCentred     func(dy, x *float32, n int, middle float64) float64
	centreAndScale func(y, x *float32, n int, mean, factor, shift float32)
	batchNormData  func(dx, dy, x *float32, n int, mean, off, slope, factor float32)

	// The rows' lengths may be nil; see [SoftmaxWithin].
	softmaxRows         func(y, x *float32, n int, lengths *int, rows int)
	softmaxGradientRows func(dx, dy, y *float32, n int, lengths *int, rows int)

	// Of groups of rows; see layerNormGroup.
	layerNormRows         func(y, mean, inverse, x, scale, shift *float32, n, groups int, epsilon float64)
	layerNormGradientRows func(dx, dScale, dShift, dy, x, added, scale *float32, n int, mean, inverse *float32, groups int)

	sumRows func(y, x *float32, n, rows int, step uintptr)
}
