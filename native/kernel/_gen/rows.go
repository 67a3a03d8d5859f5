package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// widen returns the lower and the upper half of a vector as float64.
func (v vector) widen(a reg.VecVirtual) (low, high reg.VecVirtual) {
	low, high = v.new(), v.new()
	if v.wide() {
		VEXTRACTF64X4(U8(1), a, high.AsY())
		VCVTPS2PD(high.AsY(), high)
		VCVTPS2PD(a.AsY(), low)
	} else {
		VEXTRACTF128(U8(1), a, high.AsX())
		VCVTPS2PD(high.AsX(), high)
		VCVTPS2PD(a.AsX(), low)
	}
	return low, high
}

// accumulator is a sum in float64, in two registers of a half each.
type accumulator struct {
	vector
	low, high reg.VecVirtual
}

func (v vector) accumulator() accumulator {
	s := accumulator{v, v.new(), v.new()}
	v.zero(s.low)
	v.zero(s.high)
	return s
}

func (s accumulator) add(a reg.VecVirtual) {
	low, high := s.widen(a)
	VADDPD(low, s.low, s.low)
	VADDPD(high, s.high, s.high)
}

// addProduct adds a * b.
func (s accumulator) addProduct(a, b reg.VecVirtual) {
	lowA, highA := s.widen(a)
	lowB, highB := lowA, highA
	if a != b {
		lowB, highB = s.widen(b)
	}
	VFMADD231PD(lowA, lowB, s.low)
	VFMADD231PD(highA, highB, s.high)
}

// result adds all up and returns the sum from the function, under the given name.
func (s accumulator) result(name string) { Store(s.total(), Return(name)) }

// total adds all up in the lowest lane.
func (s accumulator) total() reg.Register {
	sum := s.low
	VADDPD(s.high, sum, sum)
	upper := s.new()
	if s.wide() {
		VEXTRACTF64X4(U8(1), sum, upper.AsY())
		VADDPD(upper.AsY(), sum.AsY(), sum.AsY())
	}
	VEXTRACTF128(U8(1), sum.AsY(), upper.AsX())
	VADDPD(upper.AsX(), sum.AsX(), sum.AsX())
	VPERMILPD(U8(1), sum.AsX(), upper.AsX())
	VADDSD(upper.AsX(), sum.AsX(), sum.AsX())
	return sum.AsX()
}

// largestLane brings the largest number to the lowest lane.
func (v vector) largestLane(m reg.VecVirtual) {
	upper := v.new()
	if v.wide() {
		VEXTRACTF64X4(U8(1), m, upper.AsY())
		VMAXPS(upper.AsY(), m.AsY(), m.AsY())
	}
	VEXTRACTF128(U8(1), m.AsY(), upper.AsX())
	VMAXPS(upper.AsX(), m.AsX(), m.AsX())
	VPERMILPD(U8(1), m.AsX(), upper.AsX())
	VMAXPS(upper.AsX(), m.AsX(), m.AsX())
	VPERMILPS(U8(1), m.AsX(), upper.AsX())
	VMAXSS(upper.AsX(), m.AsX(), m.AsX())
}

// float64Parameter returns a float64 parameter in every lane.
func (v vector) float64Parameter(name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.new()
	VBROADCASTSD(p.Addr, r)
	return r
}

// zeroOutside sets the lanes outside the slice to 0.
func (v vector) zeroOutside(e *end, a reg.VecVirtual) {
	if e == nil {
		return
	}
	zero := v.new()
	v.zero(zero)
	v.within(e, a, zero, a)
}

// done ends a function.
func done() {
	VZEROUPPER()
	RET()
}

// rows generates what softmax, layer normalization and sums are put together from: passes over a row.
func rows(v vector) {
	at, n := v.function("largest", []string{"x"}, "", " (m float32)", "returns the largest of n elements, -Inf of none; whether NaN counts depends on its place.")
	least := v.number(negativeInfinity)
	m := v.copy(least)
	v.along("loop", n, at, func(at []Mem, e *end) {
		x := v.read(at[0], e)
		v.within(e, x, least, x)
		VMAXPS(x, m, m)
	})
	v.largestLane(m)
	Store(m.AsX(), Return("m"))
	done()

	for _, stores := range []bool{true, false} {
		name, pointers, doc := "expSum", []string{"y", "x"}, "writes exp(x[i] - shift) to y and returns the sum."
		if !stores {
			name, pointers, doc = "sumExp", []string{"x"}, "returns the sum of exp(x[i] - shift)."
		}
		at, n := v.function(name, pointers, ", shift float32", " (sum float64)", doc)
		shift, sum := v.parameter("shift"), v.accumulator()
		v.along("loop", n, at, func(at []Mem, e *end) {
			x := v.read(at[len(at)-1], e)
			VSUBPS(shift, x, x)
			q := v.exp(x)
			if stores {
				v.store(q, at[0], e)
			}
			v.zeroOutside(e, q)
			sum.add(q)
		})
		sum.result("sum")
		done()
	}

	var a, b reg.VecVirtual
	v.elementFunction("scaledExp", "is y[i] = c exp(x[i]).", []string{"y", "x"}, ", c float32", func() { a = v.parameter("c") }, func(x []reg.VecVirtual) Op {
		q := v.exp(x[0])
		VMULPS(a, q, q)
		return q
	})
	v.elementFunction("subtractBoth", "is y[i] = (x[i] - a) - b.", []string{"y", "x"}, ", a, b float32", func() { a, b = v.parameter("a"), v.parameter("b") }, func(x []reg.VecVirtual) Op {
		VSUBPS(a, x[0], x[0])
		VSUBPS(b, x[0], x[0])
		return x[0]
	})
	v.elementFunction("softmaxGradient", "is dx[i] = y[i] (dy[i] - sum).", []string{"dx", "dy", "y"}, ", sum float32", func() { a = v.parameter("sum") }, func(x []reg.VecVirtual) Op {
		VSUBPS(a, x[0], x[0])
		VMULPS(x[1], x[0], x[0])
		return x[0]
	})
	v.elementFunction("logSoftmaxGradient", "is dx[i] = dy[i] - exp(y[i]) sum.", []string{"dx", "dy", "y"}, ", sum float32", func() { a = v.parameter("sum") }, func(x []reg.VecVirtual) Op {
		VFNMADD231PS(a, v.exp(x[1]), x[0])
		return x[0]
	})

	at, n = v.function("sum", []string{"x"}, "", " (sum float64)", "returns the sum of n elements.")
	total := v.accumulator()
	v.along("loop", n, at, func(at []Mem, e *end) { total.add(v.read(at[0], e)) })
	total.result("sum")
	done()

	at, n = v.function("dot", []string{"x", "y"}, "", " (sum float64)", "returns the sum of x[i] y[i].")
	total = v.accumulator()
	v.along("loop", n, at, func(at []Mem, e *end) { total.addProduct(v.read(at[0], e), v.read(at[1], e)) })
	total.result("sum")
	done()

	at, n = v.function("sumOfSquares", []string{"x"}, ", middle float64", " (sum float64)", "returns the sum of (x[i] - middle)^2.")
	middle := v.float64Parameter("middle")
	total = v.accumulator()
	v.along("loop", n, at, func(at []Mem, e *end) {
		low, high := v.widen(v.read(at[0], e))
		if e == nil {
			VSUBPD(middle, low, low)
			VSUBPD(middle, high, high)
		} else {
			one := v.number(1)
			v.zeroOutside(e, one)
			lowOne, highOne := v.widen(one)
			VFNMADD231PD(middle, lowOne, low)
			VFNMADD231PD(middle, highOne, high)
		}
		VFMADD231PD(low, low, total.low)
		VFMADD231PD(high, high, total.high)
	})
	total.result("sum")
	done()

	squares(v)

	// Layer normalization: z is (x - mean) * inverse.
	var mean, inverse reg.VecVirtual
	statistics := func() { mean, inverse = v.parameter("mean"), v.parameter("inverse") }
	normalized := func(x reg.VecVirtual) reg.VecVirtual {
		VSUBPS(mean, x, x)
		VMULPS(inverse, x, x)
		return x
	}
	const parameters = ", mean, inverse float32"
	v.elementFunction("normalize", "is y[i] = z[i] scale[i] + shift[i].", []string{"y", "x", "scale", "shift"}, parameters, statistics, func(x []reg.VecVirtual) Op {
		z := normalized(x[0])
		VFMADD213PS(x[2], x[1], z)
		return z
	})
	v.elementFunction("normalizeUnshifted", "is y[i] = z[i] scale[i].", []string{"y", "x", "scale"}, parameters, statistics, func(x []reg.VecVirtual) Op {
		z := normalized(x[0])
		VMULPS(x[1], z, z)
		return z
	})
	at, n = v.function("layerNormSums", []string{"dy", "x", "scale"}, parameters, " (sum, product float64)", "returns the sums of g[i] = dy[i] scale[i] and of g[i] z[i].")
	statistics()
	total, product := v.accumulator(), v.accumulator()
	v.along("loop", n, at, func(at []Mem, e *end) {
		g, z := v.read(at[0], e), normalized(v.read(at[1], e))
		VMULPS(v.read(at[2], e), g, g)
		lowG, highG := v.widen(g) // 0 outside
		lowZ, highZ := v.widen(z)
		VADDPD(lowG, total.low, total.low)
		VADDPD(highG, total.high, total.high)
		VFMADD231PD(lowG, lowZ, product.low)
		VFMADD231PD(highG, highZ, product.high)
	})
	total.result("sum")
	product.result("product")
	done()
	v.elementFunction("layerNormGradient", "is dx[i] = (dy[i] scale[i] - meanG - z[i] meanZ) inverse.", []string{"dx", "dy", "x", "scale"}, parameters+", meanG, meanZ float32", func() {
		statistics()
		a, b = v.parameter("meanG"), v.parameter("meanZ")
	}, func(x []reg.VecVirtual) Op {
		z := normalized(x[1])
		g := x[0]
		VFMSUB213PS(a, x[2], g)
		VFNMADD231PS(z, b, g)
		VMULPS(inverse, g, g)
		return g
	})
	at, n = v.function("accumulateNormalized", []string{"y", "dy", "x"}, parameters, "", "is y[i] += dy[i] z[i].")
	statistics()
	v.along("loop", n, at, func(at []Mem, e *end) {
		y, dy, z := v.read(at[0], e), v.read(at[1], e), normalized(v.read(at[2], e))
		VFMADD231PS(dy, z, y)
		v.store(y, at[0], e)
	})
	done()

	// Batch normalization.
	at, n = v.function("dotCentred", []string{"dy", "x"}, ", middle float64", " (sum float64)", "returns the sum of dy[i] (x[i] - middle).")
	middle = v.float64Parameter("middle")
	total = v.accumulator()
	v.along("loop", n, at, func(at []Mem, e *end) {
		low, high := v.widen(v.read(at[1], e))
		lowDY, highDY := v.widen(v.read(at[0], e)) // 0 outside
		VSUBPD(middle, low, low)
		VSUBPD(middle, high, high)
		VFMADD231PD(lowDY, low, total.low)
		VFMADD231PD(highDY, high, total.high)
	})
	total.result("sum")
	done()
	var factor, shift, slope reg.VecVirtual
	v.elementFunction("centreAndScale", "is y[i] = (x[i] - mean) factor + shift.", []string{"y", "x"}, ", mean, factor, shift float32", func() {
		mean, factor, shift = v.parameter("mean"), v.parameter("factor"), v.parameter("shift")
	}, func(x []reg.VecVirtual) Op {
		VSUBPS(mean, x[0], x[0])
		VFMADD213PS(shift, factor, x[0])
		return x[0]
	})
	v.elementFunction("batchNormData", "is dx[i] = (dy[i] - off - (x[i] - mean) slope) factor.", []string{"dx", "dy", "x"}, ", mean, off, slope, factor float32", func() {
		mean, shift, slope, factor = v.parameter("mean"), v.parameter("off"), v.parameter("slope"), v.parameter("factor")
	}, func(x []reg.VecVirtual) Op {
		d, z := x[0], x[1]
		VSUBPS(mean, z, z)
		VSUBPS(shift, d, d)
		VFNMADD231PS(slope, z, d)
		VMULPS(factor, d, d)
		return d
	})

	sumRows(v)
	narrowRows(v)
	softmaxRows(v)
	layerNormRows(v)
}

// narrowRows generates the passes of sumExp and subtractBoth over many rows of at most a vector each: a call a row would take longer than
// they do.
func narrowRows(v vector) {
	begin := func(name, more, doc string, pointers ...string) (at []reg.Register, e *end, rows, step reg.GPVirtual) {
		at, n := v.function(name, pointers, more, "", doc, "n is at most a vector's lanes, rows is positive.")
		rows, step = GP64(), GP64()
		Load(Param("rows"), rows)
		MOVQ(n, step)
		SHLQ(U8(2), step)
		return at, v.before(n), rows, step
	}
	at, e, rows, step := begin("narrowSumExp", ", rows int, sums *float64", "writes each row's largest element and its sum of exp(x[i] - largest).", "largest", "x")
	largest, from := at[0], at[1]
	sums := GP64()
	Load(Param("sums"), sums)
	least := v.number(negativeInfinity)
	Label("loop")
	x, m, shift := v.read(Mem{Base: from}, e), v.new(), v.new()
	v.within(e, x, least, m)
	v.largestLane(m)
	VMOVSS(m.AsX(), Mem{Base: largest})
	VBROADCASTSS(m.AsX(), shift)
	VSUBPS(shift, x, x)
	q := v.exp(x)
	v.zeroOutside(e, q)
	low, high := v.widen(q)
	VMOVSD(accumulator{v, low, high}.total(), Mem{Base: sums})
	ADDQ(step, from)
	ADDQ(U32(4), largest)
	ADDQ(U32(8), sums)
	DECQ(rows)
	JNZ(LabelRef("loop"))
	done()

	at, e, rows, step = begin("narrowSubtract", ", rows int", "is y[i] = (x[i] - a) - b with the row's own a and b.", "y", "x", "a", "b")
	y, from, a, b := at[0], at[1], at[2], at[3]
	first, second := v.new(), v.new()
	Label("loop")
	x = v.read(Mem{Base: from}, e)
	VBROADCASTSS(Mem{Base: a}, first)
	VBROADCASTSS(Mem{Base: b}, second)
	VSUBPS(first, x, x)
	VSUBPS(second, x, x)
	v.store(x, Mem{Base: y}, e)
	ADDQ(step, from)
	ADDQ(step, y)
	ADDQ(U32(4), a)
	ADDQ(U32(4), b)
	DECQ(rows)
	JNZ(LabelRef("loop"))
	done()
}

// sumRows generates the columns' sums of some rows, four vectors of columns at a time where there are as many.
func sumRows(v vector) {
	at, n := v.function("sumRows", []string{"y", "x"}, ", rows int, step uintptr", "", "is y[j] += x[j] + x[j + step/4] + ... over the rows, first added up by themselves. rows must be positive.")
	y, x := at[0], at[1]
	rows, step := GP64(), GP64()
	Load(Param("rows"), rows)
	Load(Param("step"), step)
	columns := func(label string, vectors int, e *end) {
		var sums []reg.VecVirtual
		for range vectors {
			s := v.new()
			v.zero(s)
			sums = append(sums, s)
		}
		from, left := GP64(), GP64()
		MOVQ(x, from)
		MOVQ(rows, left)
		Label(label + "Rows")
		for i, s := range sums {
			m := Mem{Base: from, Disp: i * v.bytes}
			if e == nil {
				VADDPS(m, s, s)
			} else {
				VADDPS(v.read(m, e), s, s)
			}
		}
		ADDQ(step, from)
		DECQ(left)
		JNZ(LabelRef(label + "Rows"))
		for i, s := range sums {
			m := Mem{Base: y, Disp: i * v.bytes}
			VADDPS(v.read(m, e), s, s)
			v.store(s, m, e)
		}
	}
	group := 4 * v.lanes()
	SUBQ(U32(uint32(group)), n)
	JLT(LabelRef("fewer"))
	Label("four")
	columns("four", 4, nil)
	ADDQ(U32(uint32(4*group)), x)
	ADDQ(U32(uint32(4*group)), y)
	SUBQ(U32(uint32(group)), n)
	JGE(LabelRef("four"))
	Label("fewer")
	ADDQ(U32(uint32(group)), n)
	calls := 0
	v.along("loop", n, []reg.Register{y, x}, func(_ []Mem, e *end) {
		calls++
		columns([]string{"", "one", "last"}[calls], 1, e)
	})
	done()
}

// squares generates the sum of squares of many elements: four vectors a turn, each with sums of its own, so that none waits for the one before.
func squares(v vector) {
	at, n := v.function("squares", []string{"x"}, "", " (sum float64)", "returns the sum of x[i]^2.")
	x := at[0]
	var sums []accumulator
	for range 4 {
		sums = append(sums, v.accumulator())
	}
	add := func(s accumulator, low, high reg.VecVirtual) {
		VFMADD231PD(low, low, s.low)
		VFMADD231PD(high, high, s.high)
	}
	group := 4 * v.lanes()
	SUBQ(U32(uint32(group)), n)
	JLT(LabelRef("fewer"))
	Label("four")
	for i, s := range sums {
		m := Mem{Base: x, Disp: i * v.bytes}
		if m.Disp%64 == 0 {
			fetchAhead([]Mem{m})
		}
		low, high := v.halves(m)
		add(s, low, high)
	}
	ADDQ(U32(uint32(4*group)), x)
	SUBQ(U32(uint32(group)), n)
	JGE(LabelRef("four"))
	Label("fewer")
	ADDQ(U32(uint32(group)), n)
	v.along("loop", n, at, func(at []Mem, e *end) {
		low, high := v.widen(v.read(at[0], e)) // 0 outside
		add(sums[0], low, high)
	})
	for _, s := range sums[1:] {
		VADDPD(s.low, sums[0].low, sums[0].low)
		VADDPD(s.high, sums[0].high, sums[0].high)
	}
	sums[0].result("sum")
	done()
}
