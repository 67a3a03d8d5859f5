package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The polynomials, the highest order first, as minimax.py prints them.
var (
	expPolynomial   = []float32{0x1.6a49340000000p-10, 0x1.123be40000000p-7, 0x1.5558b20000000p-5, 0x1.55548e0000000p-3, 0x1.fffffc0000000p-2}
	expm1Polynomial = []float32{
		0x1.9df7e60000000p-13, 0x1.6d43800000000p-10, 0x1.11130e0000000p-7, 0x1.5554f00000000p-5, 0x1.5555540000000p-3, 0x1.0000000000000p-1,
	}
	logPolynomial = []float32{
		-0x1.35736a0000000p-4, 0x1.04b0300000000p-3, -0x1.0dcde20000000p-3, 0x1.22f3f20000000p-3, -0x1.546da80000000p-3, 0x1.999f1c0000000p-3,
		-0x1.0002360000000p-2, 0x1.5555540000000p-2,
	}
	erfPolynomial = []float32{
		-0x1.3ecdee0000000p-11, 0x1.48534c0000000p-8, -0x1.b6b7e20000000p-6, 0x1.ce1d3a0000000p-4, -0x1.8126f40000000p-2, 0x1.06eba60000000p-3,
	}
	logErfcPolynomial = []float32{
		-0x1.61880e0000000p-18, 0x1.a07f220000000p-15, 0x1.e01a7e0000000p-16, -0x1.7863e00000000p-9, 0x1.71ed5c0000000p-6, -0x1.aec8260000000p-4,
		-0x1.4576e20000000p-1, -0x1.20e8180000000p+0,
	}
	tanhPolynomial = []float32{-0x1.8269620000000p-8, 0x1.54bdac0000000p-6, -0x1.b899f20000000p-5, 0x1.1109ba0000000p-3, -0x1.55553e0000000p-2}
	tailPolynomial = []float32{
		0x1.0956de0000000p-11, 0x1.2867200000000p-10, -0x1.fb4d260000000p-10, -0x1.bd33620000000p-8, -0x1.ebae6e0000000p-12, 0x1.2cd5be0000000p-5,
		0x1.d7d26e0000000p-6, -0x1.535bb60000000p-2, 0x1.5845dc0000000p-1,
	}
	normalPolynomial = []float32{
		-0x1.06f2a00000000p-17, 0x1.de961c0000000p-14, -0x1.37325c0000000p-10, 0x1.46d2400000000p-7, -0x1.1058540000000p-4, 0x1.9884540000000p-2,
	}
	geluDerivativePolynomial = []float32{
		-0x1.6926fc0000000p-14, 0x1.25bb920000000p-10, -0x1.36909c0000000p-7, 0x1.ea2ad20000000p-5, -0x1.1057fc0000000p-2, 0x1.9884520000000p-1,
	}
)

// log(2) in two parts, the first with 16 bits, so that its product with an exponent is exact (Cody and Waite, "Software Manual for the
// Elementary Functions", 1980).
const log2High, log2Low = 0x1.62e4p-1, 0x1.7f7d1cp-20

var negativeInfinity = float32(math.Inf(-1))

// polynomial returns the polynomial at x by Horner's rule.
func (v vector) polynomial(coefficients []float32, x Op) reg.VecVirtual {
	q := v.number(coefficients[0])
	for _, c := range coefficients[1:] {
		v.multiplyAddNumber(c, x, q)
	}
	return q
}

// reduce returns n and r with x = n log(2) + r, n an integer and r at most half of log(2) in size. x is lost, r lies in its place.
func (v vector) reduce(x reg.VecVirtual) (n, r reg.VecVirtual) {
	n = v.new()
	v.mulNumber(math.Log2E, x, n)
	v.round(n, n)
	v.subtractProduct(log2High, n, x)
	v.subtractProduct(log2Low, n, x)
	return n, x
}

// expReduced is exp(r) for a reduced r.
func (v vector) expReduced(r Op) reg.VecVirtual {
	q := v.polynomial(expPolynomial, r)
	v.multiplyAddNumber(1, r, q)
	v.multiplyAddNumber(1, r, q)
	return q
}

// scale is x = x * 2^n for an integer n from -160 to 130, with one rounding; n is lost.
func (v vector) scale(n, x reg.VecVirtual) {
	if v.wide() {
		VSCALEFPS(n, x, x)
		return
	}
	// In two steps, the first of which is exact: half of n may be an exponent where n may not.
	half := v.new()
	VCVTPS2DQ(n, n)
	VPSRAD(U8(1), n, half)
	VPSUBD(half, n, n)
	for _, part := range []reg.VecVirtual{half, n} {
		v.addBits(127, part, part)
		VPSLLD(U8(23), part, part)
		VMULPS(part, x, x)
	}
}

// exp is the exponential function; x is lost.
func (v vector) exp(x reg.VecVirtual) reg.VecVirtual {
	v.atMost(89, x, x)
	v.atLeast(-104, x, x)
	return v.expInside(x)
}

// expInside is exp for x from -110 to 89; x is lost.
func (v vector) expInside(x reg.VecVirtual) reg.VecVirtual {
	n, r := v.reduce(x)
	q := v.expReduced(r)
	v.scale(n, q)
	return q
}

// size is |x|.
func (v vector) size(x Op) reg.VecVirtual {
	r := v.new()
	v.andBits(sizeBits, x, r)
	return r
}

// withSign gives a the sign of x; a had none.
func (v vector) withSign(a, x reg.VecVirtual) {
	s := v.new()
	v.andBits(signBit, x, s)
	v.or(s, a, a)
}

// log is the natural logarithm.
func (v vector) log(x reg.VecVirtual) reg.VecVirtual {
	// Subnormal numbers are scaled by 2^23, and the exponent corrected.
	y, correction, zero := v.new(), v.new(), v.new()
	v.mulNumber(0x1p23, x, y)
	v.choose(less, x, 0x1p-126, y, x, y)
	v.zero(zero)
	v.choose(less, x, 0x1p-126, v.number(-23), zero, correction)
	// y = 2^n m with m from sqrt(1/2) to sqrt(2), f = m - 1.
	n, f := v.new(), v.new()
	v.subBits(math.Float32bits(math.Sqrt2/2), y, n)
	VPSRAD(U8(23), n, n)
	VPSLLD(U8(23), n, f)
	VPSUBD(f, y, f)
	v.subNumber(1, f, f)
	VCVTDQ2PS(n, n)
	VADDPS(correction, n, n)
	// f + (f^2 (-1/2 + f p(f)) + n log2Low), and n log2High.
	q := v.polynomial(logPolynomial, f)
	v.multiplyAddNumber(-0.5, f, q)
	square := v.new()
	VMULPS(f, f, square)
	low := v.new()
	v.mulNumber(log2Low, n, low)
	VFMADD213PS(low, square, q)
	VADDPS(f, q, q)
	v.addProduct(log2High, n, q)
	// Infinity and NaN stay; of 0 it is -Inf, of negative numbers NaN.
	v.choose(notLess, x, float32(math.Inf(1)), x, q, q)
	v.choose(less, x, 0, v.number(float32(math.NaN())), q, q)
	v.choose(equal, x, 0, v.number(negativeInfinity), q, q)
	return q
}

// tanh is x + x^3 p(x^2) up to 0.6, then e/(e + 2) with e = exp(2|x|) - 1 and the sign of x.
func (v vector) tanh(x reg.VecVirtual) reg.VecVirtual {
	square := v.new()
	VMULPS(x, x, square)
	small := v.polynomial(tanhPolynomial, square)
	VMULPS(square, small, small)
	VFMADD213PS(x, x, small)
	size := v.size(x)
	a := v.new()
	VADDPS(size, size, a)
	v.atMost(19, a, a) // from there on it is 1
	n, r := v.reduce(a)
	q := v.polynomial(expm1Polynomial, r)
	rest := v.new()
	VMULPS(r, r, rest)
	VFMADD213PS(r, rest, q) // exp(r) - 1
	power, e := v.new(), v.new()
	VCVTPS2DQ(n, n)
	v.addBits(127, n, n)
	VPSLLD(U8(23), n, power)
	v.subNumber(1, power, e)
	VFMADD231PS(q, power, e)
	v.addNumber(2, e, q)
	VDIVPS(q, e, q)
	v.choose(less, size, 0.6, small, q, q)
	v.withSign(q, x)
	return q
}

// logistic returns e = exp(-|x|), 1/(1 + e) and the sigmoid function of x: with the numerator 1 or e, so that nothing overflows.
func (v vector) logistic(x reg.VecVirtual) (e, w, s reg.VecVirtual) {
	e = v.new()
	v.orBits(signBit, x, e)
	e = v.exp(e)
	w, s = v.new(), v.new()
	one := v.number(1)
	VADDPS(one, e, w)
	v.choose(less, x, 0, e, one, s)
	VDIVPS(w, s, s)
	return e, w, s
}

// erf is x + x p(x^2) up to 0.9, then 1 - exp(|x| p(|x|)) with the sign of x.
func (v vector) erf(x reg.VecVirtual) reg.VecVirtual {
	a := v.size(x)
	square := v.new()
	VMULPS(x, x, square)
	small := v.polynomial(erfPolynomial, square)
	VFMADD213PS(a, a, small)
	bounded := v.new()
	v.atMost(3.95, a, bounded) // from there on it is 1
	q := v.polynomial(logErfcPolynomial, bounded)
	VMULPS(bounded, q, q)
	large := v.expInside(q)
	one := v.number(1)
	VSUBPS(large, one, large)
	v.choose(less, a, 0.9, small, large, large)
	v.withSign(large, x)
	return large
}

// bell returns n and p with exp(-a^2/2 * factor) = 2^n p: the rounding error of the square is made good, for it would count many
// times where a is large.
func (v vector) bell(a reg.VecVirtual, factor float32) (n, p reg.VecVirtual) {
	square, rest := v.new(), v.new()
	VMULPS(a, a, square)
	VMOVAPS(a, rest)
	VFMSUB213PS(square, a, rest)
	exponent := v.new()
	v.mulNumber(-factor/2, square, exponent) // exact: a power of two
	n, r := v.reduce(exponent)
	v.subtractProduct(factor/2, rest, r)
	return n, v.expReduced(r)
}

// tail returns n, p and q: the normal distribution's tail, Phi(-a) = 2^n p q, for a from 1 to 14.5.
func (v vector) tail(a reg.VecVirtual) (n, p, q reg.VecVirtual) {
	t := v.tails([]reg.VecVirtual{a})[0]
	return t.n, t.p, t.q
}

type tail struct{ n, p, q reg.VecVirtual }

// tails is tail of some vectors side by side.
func (v vector) tails(as []reg.VecVirtual) (tails []tail) {
	const k = 2
	var ws, ts []reg.VecVirtual
	for _, a := range as {
		w, t := v.new(), v.number(1)
		v.addNumber(k, a, w)
		VDIVPS(w, t, w)
		ws = append(ws, w)
	}
	for _, a := range as {
		n, p := v.bell(a, 1)
		tails = append(tails, tail{n: n, p: p})
	}
	for _, w := range ws {
		t := v.number(1)
		v.subtractProduct(2*k, w, t)
		ts = append(ts, t)
	}
	for i := range as {
		tails[i].q = v.number(tailPolynomial[0])
	}
	for _, c := range tailPolynomial[1:] {
		for i, t := range ts {
			v.multiplyAddNumber(c, t, tails[i].q)
		}
	}
	for i, w := range ws {
		VMULPS(w, tails[i].q, tails[i].q)
	}
	return tails
}

// nearHalf is 1/2 + x p(x^2).
func (v vector) nearHalf(coefficients []float32, x reg.VecVirtual) reg.VecVirtual {
	square := v.new()
	VMULPS(x, x, square)
	p := v.polynomial(coefficients, square)
	half := v.number(0.5)
	VFMADD213PS(half, x, p)
	return p
}

// gelu is x Phi(x), where Phi(x) = 1/2 + x p(x^2) up to 1 and from there on in the form max(x, 0) - a Phi(-a) with a = |x|: nothing
// cancels, and 2^n comes last, so that only the result is ever subnormal. It is computed of some vectors side by side, since each is a chain of operations
// that wait for each other.
func (v vector) gelu(xs []reg.VecVirtual) (ys []reg.VecVirtual) {
	var sizes, as []reg.VecVirtual
	for _, x := range xs {
		size, a := v.size(x), v.new()
		v.atMost(14.5, size, a) // from there on Phi(-a) is 0
		sizes, as = append(sizes, size), append(as, a)
	}
	tails := v.tails(as)
	for i, x := range xs {
		small := v.nearHalf(normalPolynomial, x)
		VMULPS(x, small, small)
		q := tails[i].q
		VMULPS(as[i], q, q)
		VMULPS(tails[i].p, q, q)
		v.scale(tails[i].n, q)
		zero, y := v.new(), v.new()
		v.zero(zero)
		VMAXPS(x, zero, y)
		VSUBPS(q, y, y)
		v.choose(less, sizes[i], 1, small, y, y)
		v.withSign(y, x) // of zeros
		ys = append(ys, y)
	}
	return ys
}

// geluDerivative is 1/2 + x p(x^2) up to 1, then d or 1 - d, by the sign of x, with d = Phi(-a) - a phi(a).
func (v vector) geluDerivative(x reg.VecVirtual) reg.VecVirtual {
	small := v.nearHalf(geluDerivativePolynomial, x)
	size := v.size(x)
	a := v.new()
	v.atMost(14.5, size, a)
	n, p, q := v.tail(a)
	v.subtractProduct(float32(1/math.Sqrt(2*math.Pi)), a, q)
	VMULPS(p, q, q)
	v.scale(n, q)
	other := v.number(1)
	VSUBPS(q, other, other)
	v.choose(less, x, 0, q, other, q)
	v.choose(less, size, 1, small, q, q)
	return q
}

// geluWithDerivative gives the bits of gelu and of geluDerivative; both have the normal distribution's tail in them.
func (v vector) geluWithDerivative(xs []reg.VecVirtual) (ys, ds []reg.VecVirtual) {
	var sizes, as []reg.VecVirtual
	for _, x := range xs {
		size, a := v.size(x), v.new()
		v.atMost(14.5, size, a)
		sizes, as = append(sizes, size), append(as, a)
	}
	tails := v.tails(as)
	for i, x := range xs {
		n, p, q := tails[i].n, tails[i].p, tails[i].q
		d := v.copy(q)
		v.subtractProduct(float32(1/math.Sqrt(2*math.Pi)), as[i], d)
		VMULPS(as[i], q, q)
		VMULPS(p, q, q)
		v.scale(v.copy(n), q) // which may change it
		VMULPS(p, d, d)
		v.scale(n, d)
		other := v.number(1)
		VSUBPS(d, other, other)
		v.choose(less, x, 0, d, other, d)
		v.choose(less, sizes[i], 1, v.nearHalf(geluDerivativePolynomial, x), d, d)
		zero, y := v.new(), v.new()
		v.zero(zero)
		VMAXPS(x, zero, y)
		VSUBPS(q, y, y)
		small := v.nearHalf(normalPolynomial, x)
		VMULPS(x, small, small)
		v.choose(less, sizes[i], 1, small, y, y)
		v.withSign(y, x)
		ys, ds = append(ys, y), append(ds, d)
	}
	return ys, ds
}

const (
	geluLinear = 1.5957691216057307117597842397375 // 2 sqrt(2/pi)
	geluCubic  = geluLinear * 0.044715
)

// geluTanhInner is twice the argument of the hyperbolic tangent: x (geluLinear + geluCubic x^2).
func (v vector) geluTanhInner(x reg.VecVirtual) (inner, square reg.VecVirtual) {
	square = v.new()
	VMULPS(x, x, square)
	inner = v.number(geluCubic)
	v.multiplyAddNumber(geluLinear, square, inner)
	VMULPS(x, inner, inner)
	return inner, square
}

// geluTanh is x sigmoid(inner), for (1 + tanh(u))/2 = sigmoid(2u).
func (v vector) geluTanh(x reg.VecVirtual) reg.VecVirtual {
	inner, _ := v.geluTanhInner(x)
	_, _, s := v.logistic(inner)
	y := v.new()
	v.atLeast(-20, x, y) // from there on the sigmoid function is 0
	VMULPS(s, y, y)
	return y
}

// geluTanhDerivative is s + x e/(1 + e)^2 inner'.
func (v vector) geluTanhDerivative(x reg.VecVirtual) reg.VecVirtual {
	bounded := v.new()
	v.atLeast(-20, x, bounded)
	v.atMost(20, bounded, bounded)
	inner, square := v.geluTanhInner(bounded)
	e, w, s := v.logistic(inner)
	slope := v.number(3 * geluCubic)
	v.multiplyAddNumber(geluLinear, square, slope)
	VMULPS(bounded, slope, slope)
	VMULPS(w, w, w)
	VDIVPS(w, e, e)
	VFMADD231PS(slope, e, s)
	return s
}

// approximations generates the elementwise functions and what their gradients multiply.
func approximations(v vector) {
	one := func(name, doc string, f func(reg.VecVirtual) reg.VecVirtual) {
		v.elementFunction(name, "is "+doc+".", []string{"y", "x"}, "", nil, func(x []reg.VecVirtual) Op { return f(x[0]) })
	}
	gradient := func(name, doc, of string, derivative func(reg.VecVirtual) reg.VecVirtual) {
		v.elementFunction(name, "is dx[i] = dy[i] * "+doc+".", []string{"dx", "dy", of}, "", nil, func(x []reg.VecVirtual) Op {
			d := derivative(x[1])
			VMULPS(x[0], d, d)
			return d
		})
	}
	one("exp", "y[i] = exp(x[i])", v.exp)
	one("log", "y[i] = log(x[i])", v.log)
	one("tanh", "y[i] = tanh(x[i])", v.tanh)
	gradient("tanhGradient", "(1 - y[i]^2)", "y", func(y reg.VecVirtual) reg.VecVirtual {
		d := v.number(1)
		VFNMADD231PS(y, y, d)
		return d
	})
	one("sigmoid", "y[i] = 1/(1 + exp(-x[i]))", func(x reg.VecVirtual) reg.VecVirtual {
		_, _, s := v.logistic(x)
		return s
	})
	gradient("sigmoidGradient", "(y[i] - y[i]^2)", "y", func(y reg.VecVirtual) reg.VecVirtual {
		d := v.copy(y)
		VFNMADD231PS(y, y, d)
		return d
	})
	one("erf", "y[i] = erf(x[i])", v.erf)
	gradient("erfGradient", "2/sqrt(pi) exp(-x[i]^2)", "x", func(x reg.VecVirtual) reg.VecVirtual {
		a := v.size(x)
		v.atMost(10.25, a, a) // from there on it is 0
		n, p := v.bell(a, 2)
		v.mulNumber(float32(2/math.SqrtPi), p, p)
		v.scale(n, p)
		return p
	})
	at, n := v.function("gelu", []string{"y", "x"}, "", "", "is y[i] = x[i] Phi(x[i]).")
	v.alongSome(n, at, func(at [][]Mem, e *end) {
		var x []reg.VecVirtual
		for _, m := range at {
			x = append(x, v.read(m[1], e))
		}
		for i, y := range v.gelu(x) {
			v.store(y, at[i][0], e)
		}
	})
	done()
	gradient("geluGradient", "(Phi(x[i]) + x[i] phi(x[i]))", "x", v.geluDerivative)
	at, n = v.function("geluBoth", []string{"dx", "dy", "x"}, "", "", "is dx[i] = dy[i] * (Phi(x[i]) + x[i] phi(x[i])), and then x[i] = x[i] Phi(x[i]).")
	v.alongSome(n, at, func(at [][]Mem, e *end) {
		var x []reg.VecVirtual
		for _, m := range at {
			x = append(x, v.read(m[2], e))
		}
		ys, ds := v.geluWithDerivative(x)
		for i, m := range at {
			VMULPS(v.read(m[1], e), ds[i], ds[i])
			v.store(ds[i], m[0], e)
			v.store(ys[i], m[2], e)
		}
	})
	done()
	one("geluTanh", "GELU in the form with the hyperbolic tangent", v.geluTanh)
	gradient("geluTanhGradient", "the derivative of geluTanh", "x", v.geluTanhDerivative)
}
