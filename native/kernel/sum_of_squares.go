package kernel

// SumOfSquares returns the sum of the squares of x, accumulated in float64 in several sums.
func SumOfSquares[T Float](x []T) float64 {
	if k := vectorised[T](); k != nil {
		sum := 0.0
		for i := 0; i < len(x); i += elementsPerCall {
			sum += k.squares(address(x, i), min(elementsPerCall, len(x)-i))
		}
		return sum
	}
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		p, q, r, s := float64(x[0]), float64(x[1]), float64(x[2]), float64(x[3])
		a, b, c, d = a+p*p, b+q*q, c+r*r, d+s*s
	}
	for _, v := range x {
		a += float64(v) * float64(v)
	}
	return (a + b) + (c + d)
}

// squaresOf returns the sum of the squares of x - middle.
func squaresOf[T Float](k *path, x []T, middle float64) (sum float64) {
	for i := 0; i < len(x); i += elementsPerCall {
		sum += k.sumOfSquares(address(x, i), min(elementsPerCall, len(x)-i), middle)
	}
	return sum
}
