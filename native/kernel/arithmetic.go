package kernel

// arithmetic are a path's elementwise operations on n elements. Of those with a number c, sub and divide come in both orders.
type arithmetic struct {
	add, sub, mul, div                                          func(y, a, b *float32, n int)
	addNumber, mulNumber, divNumber, subFromNumber, divNumberBy func(y, a *float32, n int, c float32)
}

// Add is y[i] = a[i*stepA] + b[i*stepB]. y may be a or b when its step is 1. The steps of Add, Sub, Mul and Div are 0 or more; at 0
// and 1 they are fast. All four give the same bits on every path.
func Add[T Float](y, a, b []T, stepA, stepB int) {
	if k := vectorised[T](); k != nil {
		switch {
		case stepA == 1 && stepB == 1:
			apply2(k.add, y, a, b)
			return
		case stepA == 1 && stepB == 0 && len(y) > 0:
			applyNumber(k.addNumber, y, a, b[0])
			return
		case stepA == 0 && stepB == 1 && len(y) > 0:
			applyNumber(k.addNumber, y, b, a[0])
			return
		}
	}
	for i := range y {
		y[i] = a[i*stepA] + b[i*stepB]
	}
}

// Sub is y[i] = a[i*stepA] - b[i*stepB]; see Add.
func Sub[T Float](y, a, b []T, stepA, stepB int) {
	if k := vectorised[T](); k != nil {
		switch {
		case stepA == 1 && stepB == 1:
			apply2(k.sub, y, a, b)
			return
		case stepA == 1 && stepB == 0 && len(y) > 0:
			applyNumber(k.addNumber, y, a, -b[0])
			return
		case stepA == 0 && stepB == 1 && len(y) > 0:
			applyNumber(k.subFromNumber, y, b, a[0])
			return
		}
	}
	for i := range y {
		y[i] = a[i*stepA] - b[i*stepB]
	}
}

// Mul is y[i] = a[i*stepA] * b[i*stepB]; see Add.
func Mul[T Float](y, a, b []T, stepA, stepB int) {
	if k := vectorised[T](); k != nil {
		switch {
		case stepA == 1 && stepB == 1:
			apply2(k.mul, y, a, b)
			return
		case stepA == 1 && stepB == 0 && len(y) > 0:
			applyNumber(k.mulNumber, y, a, b[0])
			return
		case stepA == 0 && stepB == 1 && len(y) > 0:
			applyNumber(k.mulNumber, y, b, a[0])
			return
		}
	}
	for i := range y {
		y[i] = a[i*stepA] * b[i*stepB]
	}
}

// Div is y[i] = a[i*stepA] / b[i*stepB]; see Add.
func Div[T Float](y, a, b []T, stepA, stepB int) {
	if k := vectorised[T](); k != nil {
		switch {
		case stepA == 1 && stepB == 1:
			apply2(k.div, y, a, b)
			return
		case stepA == 1 && stepB == 0 && len(y) > 0:
			applyNumber(k.divNumber, y, a, b[0])
			return
		case stepA == 0 && stepB == 1 && len(y) > 0:
			applyNumber(k.divNumberBy, y, b, a[0])
			return
		}
	}
	for i := range y {
		y[i] = a[i*stepA] / b[i*stepB]
	}
}

// Scale is y[i] = factor * x[i], the same bits on every path.
func Scale[T Float](y, x []T, factor T) {
	if k := vectorised[T](); k != nil {
		applyNumber(k.mulNumber, y, x, factor)
		return
	}
	x = x[:len(y)]
	for i, v := range x {
		y[i] = factor * v
	}
}

// apply2 computes y = f(a, b) in calls that are not too long.
func apply2[T Float](f func(y, a, b *float32, n int), y, a, b []T) {
	a, b = a[:len(y)], b[:len(y)]
	for i := 0; i < len(y); i += elementsPerCall {
		f(address(y, i), address(a, i), address(b, i), min(elementsPerCall, len(y)-i))
	}
}

// applyNumber computes y = f(a, c) in calls that are not too long.
func applyNumber[T Float](f func(y, a *float32, n int, c float32), y, a []T, c T) {
	a = a[:len(y)]
	for i := 0; i < len(y); i += elementsPerCall {
		f(address(y, i), address(a, i), min(elementsPerCall, len(y)-i), float32(c))
	}
}
