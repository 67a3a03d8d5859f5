package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// rowsWithin is a loop over rows of n elements, of which only the first some count: a call a row would take longer than a short row does. body gets
// the pointers to a row, its length, and what stores the row's part of a vector to the first of the pointers.
//
// Where the row has room, that is a whole vector, with zeros behind the part: a processor takes a store with a mask for one of the whole vector, and keeps
// what reads the beginning of the next row, or this part again, waiting for it.
func (v vector) rowsWithin(name, doc string, pointers []string, body func(row []reg.Register, length reg.GPVirtual, store func(a reg.VecVirtual, m Mem, e *end))) {
	at, n := v.function(name, pointers, ", lengths *int, rows int", "", doc,
		"Of each of the rows of n elements only the first lengths[r] count, all of them where lengths is nil; the result's others are set to 0. rows is positive.")
	lengths, rows, step := GP64(), GP64(), GP64()
	Load(Param("lengths"), lengths)
	Load(Param("rows"), rows)
	MOVQ(n, step)
	SHLQ(U8(2), step)
	Label("row")
	length := GP64()
	MOVQ(n, length)
	TESTQ(lengths, lengths)
	JEQ(LabelRef("all"))
	MOVQ(Mem{Base: lengths}, length)
	ADDQ(U32(8), lengths)
	Label("all")
	// The row's vectors end within it, or with it.
	whole, limit := GP64(), GP64()
	LEAQ(Mem{Base: length, Disp: v.lanes() - 1}, whole)
	ANDQ(I32(int32(-v.lanes())), whole)
	MOVQ(n, limit)
	stores := 0
	body(at, length, func(a reg.VecVirtual, m Mem, e *end) {
		if e == nil {
			v.store(a, m, nil)
			return
		}
		stores++
		part, done := fmt.Sprintf("part%d", stores), fmt.Sprintf("stored%d", stores)
		v.zeroOutside(e, a)
		CMPQ(whole, limit)
		JGT(LabelRef(part))
		v.store(a, m, nil)
		JMP(LabelRef(done))
		Label(part)
		v.store(a, m, e)
		Label(done)
	})
	CMPQ(whole, limit)
	CMOVQGT(length, whole)
	left, from := GP64(), GP64()
	MOVQ(n, left)
	SUBQ(whole, left)
	LEAQ(Mem{Base: at[0], Index: whole, Scale: 4}, from)
	zero := v.new()
	v.zero(zero)
	v.along("hidden", left, []reg.Register{from}, func(at []Mem, e *end) { v.store(zero, at[0], e) })
	for _, p := range at {
		ADDQ(step, p)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	done()
}

// over is along for a part of a row: it keeps the pointers and the length.
func (v vector) over(label string, length reg.GPVirtual, pointers []reg.Register, body func(at []Mem, e *end)) {
	n := GP64()
	MOVQ(length, n)
	var copies []reg.Register
	for _, p := range pointers {
		c := GP64()
		MOVQ(p, c)
		copies = append(copies, c)
	}
	v.along(label, n, copies, body)
}

// inverse returns 1 / sum, rounded to float32, in every lane.
func (v vector) inverse(sum reg.Register) reg.VecVirtual {
	one, quotient, r := v.number(1).AsX(), v.new().AsX(), v.new()
	VCVTSS2SD(one, one, quotient)
	VDIVSD(sum, quotient, quotient)
	VCVTSD2SS(quotient, quotient, quotient)
	VBROADCASTSS(quotient, r)
	return r
}

// rounded returns a sum in float64, rounded to float32, in every lane.
func (v vector) rounded(sum reg.Register) reg.VecVirtual {
	r := v.new()
	VCVTSD2SS(sum, sum, sum)
	VBROADCASTSS(sum, r)
	return r
}

// softmaxRows generates softmax and its gradient over rows, with the operations of largest, expSum and mulNumber, and of dot and softmaxGradient, in
// their order.
func softmaxRows(v vector) {
	v.rowsWithin("softmaxRows", "is y[i] = exp(x[i] - largest) / sum of the same over the row.", []string{"y", "x"}, func(row []reg.Register, length reg.GPVirtual, store func(reg.VecVirtual, Mem, *end)) {
		least := v.number(negativeInfinity)
		m, shift := v.copy(least), v.new()
		v.over("largest", length, row[1:], func(at []Mem, e *end) {
			x := v.read(at[0], e)
			v.within(e, x, least, x)
			VMAXPS(x, m, m)
		})
		v.largestLane(m)
		VBROADCASTSS(m.AsX(), shift)
		sum := v.accumulator()
		v.over("exp", length, row, func(at []Mem, e *end) {
			x := v.read(at[1], e)
			VSUBPS(shift, x, x)
			q := v.exp(x)
			store(q, at[0], e)
			sum.add(q)
		})
		factor := v.inverse(sum.total())
		v.over("scale", length, row[:1], func(at []Mem, e *end) {
			y := v.read(at[0], e)
			VMULPS(factor, y, y)
			store(y, at[0], e)
		})
	})
	v.rowsWithin("softmaxGradientRows", "is dx[i] = y[i] (dy[i] - sum of dy y over the row).", []string{"dx", "dy", "y"}, func(row []reg.Register, length reg.GPVirtual, store func(reg.VecVirtual, Mem, *end)) {
		total := v.accumulator()
		v.over("dot", length, row[1:], func(at []Mem, e *end) { total.addProduct(v.read(at[0], e), v.read(at[1], e)) })
		sum := v.rounded(total.total())
		v.over("gradient", length, row, func(at []Mem, e *end) {
			d := v.read(at[1], e)
			VSUBPS(sum, d, d)
			VMULPS(v.read(at[2], e), d, d)
			store(d, at[0], e)
		})
	})
}
