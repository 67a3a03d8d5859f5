package kernel

// approximations are a path's elementwise functions, for n elements. The vectorised paths compute them in float32 by polynomials whose coefficients
// _gen/minimax.py finds, and give the same bits as each other; the generic path computes in float64 with package math and rounds once. The largest
// errors that the functions' comments state were measured with "go test ./native/kernel -run Approximations -exhaustive -v" at
// every float32 number where the function is not nearly constant or linear; the same test bounds them, at numbers spread over the same range,
// whenever the tests run. A last part of a vector is computed like the others, by masked loads, so that no result depends on
// where a slice begins or ends.
type approximations struct {
	exp, log, tanh, sigmoid, erf, gelu, geluTanh                               func(y, x *float32, n int)
	tanhGradient, sigmoidGradient, erfGradient, geluGradient, geluTanhGradient func(dx, dy, v *float32, n int)
	geluBoth                                                                   func(dx, dy, x *float32, n int) // changes x
}

// apply computes y = f(x) in calls that are not too long.
func apply[T Float](f func(y, x *float32, n int), y, x []T) {
	x = x[:len(y)]
	for i := 0; i < len(y); i += elementsPerCall {
		f(address(y, i), address(x, i), min(elementsPerCall, len(y)-i))
	}
}
