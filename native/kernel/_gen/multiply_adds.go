package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// multiplyAdds is the inner loop of the products: a tile of rows rows and so many vectors of columns, whose sums are the registers acc.
type multiplyAdds struct {
	vector
	rows, vectors int
	acc           func(r, c int) reg.VecPhysical
}

// generate adds the products of so many columns of the left factor, which begins at a, with as many rows of the right one, at b, and then jumps to done.
// It changes a, b and depth. fetch is called with a name of its own at each turn of the loop.
func (m multiplyAdds) generate(a, rowStride, depthStride, b, stepB, depth reg.Register, fetch func(name string), done string) {
	// multiply adds the products of one column of the left factor, whose elements are given, with a row of the right one.
	multiply := func(element func(r int) Mem, row Mem) {
		for c := range m.vectors {
			at := row
			at.Disp += c * m.bytes
			VMOVUPS(at, m.register(c))
		}
		for r := range m.rows {
			x := m.register(2 + r%2)
			VBROADCASTSS(element(r), x)
			for c := range m.vectors {
				VFMADD231PS(m.register(c), x, m.acc(r, c))
			}
		}
	}
	// turns does all of the depth, two at a time, so that few additions to pointers compete with the multiply-adds: element
	// tells where the left factor's elements are, next moves it by so many columns.
	turns := func(name string, element func(p, r int) Mem, next func(columns int)) {
		SUBQ(Imm(2), depth)
		JL(LabelRef(name + "Rest"))
		Label(name)
		fetch(name)
		for p := range 2 {
			row := Mem{Base: b}
			if p == 1 {
				row.Index, row.Scale = stepB, 1
			}
			multiply(func(r int) Mem { return element(p, r) }, row)
		}
		LEAQ(Mem{Base: b, Index: stepB, Scale: 2}, b)
		next(2)
		SUBQ(Imm(2), depth)
		JGE(LabelRef(name))
		Label(name + "Rest")
		CMPQ(depth, I8(-2))
		JE(LabelRef(done))
		multiply(func(r int) Mem { return element(0, r) }, Mem{Base: b})
	}
	// One of the two strides is that of neighbours.
	const neighbour = 4
	CMPQ(rowStride, Imm(neighbour))
	JNE(LabelRef("apart"))
	turns("beside", func(p, r int) Mem {
		m := Mem{Base: a, Disp: r * neighbour}
		if p == 1 {
			m.Index, m.Scale = depthStride, 1
		}
		return m
	}, func(int) { LEAQ(Mem{Base: a, Index: depthStride, Scale: 2}, a) })
	JMP(LabelRef(done))
	Label("apart")
	// One pointer for each three rows, which the scaled index reaches.
	bases := []reg.Register{a}
	for r := 3; r < m.rows; r += 3 {
		next := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: rowStride, Scale: 2}, next)
		ADDQ(rowStride, next)
		bases = append(bases, next)
	}
	turns("along", func(p, r int) Mem {
		m := Mem{Base: bases[r/3], Disp: p * neighbour}
		if r%3 > 0 {
			m.Index, m.Scale = rowStride, uint8(r%3)
		}
		return m
	}, func(columns int) {
		for _, base := range bases {
			ADDQ(Imm(uint64(columns*neighbour)), base)
		}
	})
}
