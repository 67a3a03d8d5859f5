package main

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The transforms of Winograd's convolution F(4x4, 3x3) at the points 0, ±a, ±b and infinity, on vectors of channels. Each is a transform of
// columns, then one of rows; what is between them lies on the stack. ../winograd.go has the formulas.
const (
	pointA = 5. / 8
	pointB = 3. / 2
	a2, b2 = pointA * pointA, pointB * pointB

	normZero = a2 * b2
	normA    = 2 * a2 * (a2 - b2)
	normB    = 2 * b2 * (b2 - a2)
)

func winograd(v vector) {
	v.winogradImage("winogradInput", "input", 6, v.inputColumn)
	v.winogradImage("winogradOutputGradient", "gradient of the output", 4, v.outputGradientColumn)
	v.winogradOutput(false)
	v.winogradOutput(true)
	v.winogradWeights()
	v.winogradWeightsGradient()
}

// minus returns a - x * b, plus a + x * b, in a new register.
func (v vector) minus(a reg.VecVirtual, x float32, b Op) reg.VecVirtual {
	r := v.copy(a)
	v.subtractProduct(x, b, r)
	return r
}

func (v vector) plus(a reg.VecVirtual, x float32, b Op) reg.VecVirtual {
	r := v.copy(a)
	v.addProduct(x, b, r)
	return r
}

func (v vector) sum(a, b Op) reg.VecVirtual {
	r := v.new()
	VADDPS(a, b, r)
	return r
}

func (v vector) difference(a, b Op) reg.VecVirtual { // a - b
	r := v.new()
	VSUBPS(b, a, r)
	return r
}

func (v vector) times(x float32, a Op) reg.VecVirtual {
	r := v.new()
	v.mulNumber(x, a, r)
	return r
}

// inputColumn is the product of the 6 x 6 matrix of the input's transform with a column.
func (v vector) inputColumn(d []reg.VecVirtual, store func(i int, x reg.VecVirtual)) {
	p, q := v.minus(d[4], b2, d[2]), v.minus(d[3], b2, d[1])
	store(1, v.plus(p, pointA, q))
	store(2, v.minus(p, pointA, q))
	p, q = v.minus(d[4], a2, d[2]), v.minus(d[3], a2, d[1])
	store(3, v.plus(p, pointB, q))
	store(4, v.minus(p, pointB, q))
	store(0, v.minus(v.plus(d[4], a2*b2, d[0]), a2+b2, d[2]))
	store(5, v.minus(v.plus(d[5], a2*b2, d[1]), a2+b2, d[3]))
}

// outputGradientColumn is that of the 6 x 4 matrix of the gradient of the output.
func (v vector) outputGradientColumn(d []reg.VecVirtual, store func(i int, x reg.VecVirtual)) {
	store(0, d[0])
	store(5, d[3])
	p, q := v.plus(d[0], a2, d[2]), v.plus(d[1], a2, d[3])
	store(1, v.plus(p, pointA, q))
	store(2, v.minus(p, pointA, q))
	p, q = v.plus(d[0], b2, d[2]), v.plus(d[1], b2, d[3])
	store(3, v.plus(p, pointB, q))
	store(4, v.minus(p, pointB, q))
}

// outputColumn is that of the 4 x 6 matrix of the output's transform.
func (v vector) outputColumn(m []reg.VecVirtual, store func(i int, x reg.VecVirtual)) {
	sumA, sumB := v.sum(m[1], m[2]), v.sum(m[3], m[4])
	store(0, v.sum(v.sum(m[0], sumA), sumB))
	store(2, v.plus(v.times(a2, sumA), b2, sumB))
	differenceA, differenceB := v.difference(m[1], m[2]), v.difference(m[3], m[4])
	store(1, v.plus(v.times(pointA, differenceA), pointB, differenceB))
	store(3, v.plus(v.plus(m[5], pointA*a2, differenceA), pointB*b2, differenceB))
}

// between reserves so many vectors on the stack, aligned so that none lies in two cache lines, for what is between the two transforms. It is too much for
// a function that does not look whether the stack suffices (NOSPLIT).
func (v vector) between(vectors int) (slot func(i int) Mem) {
	memory := AllocLocal(vectors*v.bytes + 64)
	base := GP64()
	LEAQ(memory.Offset(63), base)
	ANDQ(I8(-64), base)
	return func(i int) Mem { return Mem{Base: base, Disp: i * v.bytes} }
}

// eachOf36 addresses the 36 positions behind a pointer, step bytes apart, in the order of their number.
type eachOf36 struct {
	at         reg.GPVirtual
	step       reg.Register
	step3, row reg.GPVirtual
}

func newEachOf36(step reg.Register) *eachOf36 {
	e := &eachOf36{at: GP64(), step: step, step3: GP64(), row: GP64()}
	LEAQ(Mem{Base: step, Index: step, Scale: 2}, e.step3)
	LEAQ(Mem{Base: e.step3, Index: e.step3, Scale: 1}, e.row)
	return e
}

func (e *eachOf36) begin(pointer reg.Register) { MOVQ(pointer, e.at) }

// position is column j of the row at hand; nextRow goes on to the next.
func (e *eachOf36) position(j int) Mem {
	switch j {
	case 1:
		return Mem{Base: e.at, Index: e.step, Scale: 1}
	case 2:
		return Mem{Base: e.at, Index: e.step, Scale: 2}
	case 3:
		return Mem{Base: e.at, Index: e.step3, Scale: 1}
	case 4:
		return Mem{Base: e.at, Index: e.step, Scale: 4}
	case 5:
		panic("position 5 is reached from position 2 or 3")
	}
	return Mem{Base: e.at}
}

// sixth returns column 5 of the row at hand.
func (e *eachOf36) sixth() Mem {
	m := GP64()
	LEAQ(Mem{Base: e.at, Index: e.step, Scale: 2}, m)
	return Mem{Base: m, Index: e.step3, Scale: 1}
}

func (e *eachOf36) of(j int) Mem {
	if j == 5 {
		return e.sixth()
	}
	return e.position(j)
}

func (e *eachOf36) nextRow() { ADDQ(e.row, e.at) }

// winogradImage generates the transform of size x size pixels behind as many pointers to 36 vectors.
func (v vector) winogradImage(name, what string, size int, column func(d []reg.VecVirtual, store func(i int, x reg.VecVirtual))) {
	TEXT(name+v.path, 0, "func(to *float32, step uintptr, pixels **float32, vectors int)")
	Doc(name+v.path+" transforms a tile of the "+what+" whose pixels are so many vectors of channels behind the pointers: position p of 36 goes to p*step bytes", "behind to.")
	Pragma("noescape")
	to, step := Load(Param("to"), GP64()), Load(Param("step"), GP64())
	pixels, vectors := Load(Param("pixels"), GP64()), Load(Param("vectors"), GP64())
	positions := newEachOf36(step)
	between := v.between(6 * size)
	channel := GP64() // in bytes
	XORQ(channel, channel)
	TESTQ(vectors, vectors)
	JZ(LabelRef("done"))
	Label("vector")
	slot := func(i, j int) Mem { return between(i*size + j) }
	for j := range size {
		var d []reg.VecVirtual
		for i := range size {
			pixel := GP64()
			MOVQ(Mem{Base: pixels, Disp: 8 * (i*size + j)}, pixel)
			d = append(d, v.read(Mem{Base: pixel, Index: channel, Scale: 1}, nil))
		}
		column(d, func(i int, x reg.VecVirtual) { VMOVUPS(x, slot(i, j)) })
	}
	positions.begin(to)
	for i := range 6 {
		var d []reg.VecVirtual
		for j := range size {
			d = append(d, v.read(slot(i, j), nil))
		}
		column(d, func(j int, x reg.VecVirtual) { VMOVUPS(x, positions.of(j)) })
		if i < 5 {
			positions.nextRow()
		}
	}
	ADDQ(U32(uint32(v.bytes)), channel)
	ADDQ(U32(uint32(v.bytes)), to)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	Label("done")
	VZEROUPPER()
	RET()
}

// winogradOutput generates the transform of 36 vectors to 4 x 4 pixels, which it may add to.
func (v vector) winogradOutput(add bool) {
	name, doc, others := "winogradOutput", "", ""
	if add {
		name, doc, others = "winogradOutputAdd", " to others and writes", ", others"
	}
	TEXT(name+v.path, 0, "func(pixels"+others+" **float32, from *float32, step uintptr, vectors int)")
	Doc(name+v.path+" transforms"+doc+" a tile of the output, whose pixels are so many vectors of channels behind the pointers: position p of 36 lies", "p*step bytes behind from.")
	Pragma("noescape")
	pixels, from := Load(Param("pixels"), GP64()), Load(Param("from"), GP64())
	step, vectors := Load(Param("step"), GP64()), Load(Param("vectors"), GP64())
	var other reg.Register
	if add {
		other = Load(Param("others"), GP64())
	}
	positions := newEachOf36(step)
	between := v.between(6 * 4)
	channel := GP64() // in bytes
	XORQ(channel, channel)
	TESTQ(vectors, vectors)
	JZ(LabelRef("done"))
	Label("vector")
	slot := func(i, j int) Mem { return between(i*4 + j) }
	positions.begin(from)
	for i := range 6 { // rows first here: they are read one after the other
		var m []reg.VecVirtual
		for j := range 6 {
			m = append(m, v.read(positions.of(j), nil))
		}
		v.outputColumn(m, func(j int, x reg.VecVirtual) { VMOVUPS(x, slot(i, j)) })
		if i < 5 {
			positions.nextRow()
		}
	}
	for j := range 4 {
		var m []reg.VecVirtual
		for i := range 6 {
			m = append(m, v.read(slot(i, j), nil))
		}
		v.outputColumn(m, func(i int, x reg.VecVirtual) {
			pixel := GP64()
			MOVQ(Mem{Base: pixels, Disp: 8 * (i*4 + j)}, pixel)
			at := Mem{Base: pixel, Index: channel, Scale: 1}
			if add {
				added := GP64()
				MOVQ(Mem{Base: other, Disp: 8 * (i*4 + j)}, added)
				VADDPS(Mem{Base: added, Index: channel, Scale: 1}, x, x)
			}
			VMOVUPS(x, at)
		})
	}
	ADDQ(U32(uint32(v.bytes)), channel)
	ADDQ(U32(uint32(v.bytes)), from)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	Label("done")
	VZEROUPPER()
	RET()
}

// doubles are the constants of float64, as bits, in the order of their first use.
var doubles []uint64

// double returns where a constant lies, four times.
func double(x float64) Mem {
	bits := math.Float64bits(x)
	i := slices.Index(doubles, bits)
	if i < 0 {
		i = len(doubles)
		doubles = append(doubles, bits)
	}
	return NewDataAddr(NewStaticSymbol("doubles"), 32*i)
}

// writeDoubles emits the constants of float64.
func writeDoubles() {
	GLOBL("doubles", 8+16) // RODATA and NOPTR
	for i, bits := range doubles {
		for lane := range 4 {
			DATA(32*i+8*lane, U64(bits))
		}
	}
}

// The arithmetic in float64: products with a constant, alone or added to dst.
func (v vector) timesDouble(x float64, a Op) reg.VecVirtual {
	r := v.new()
	if v.wide() {
		VMULPD_BCST(double(x), a, r)
	} else {
		VMULPD(double(x), a, r)
	}
	return r
}

func (v vector) addTimesDouble(x float64, a, dst Op) {
	if v.wide() {
		VFMADD231PD_BCST(double(x), a, dst)
	} else {
		VFMADD231PD(double(x), a, dst)
	}
}

func (v vector) sumDouble(a, b Op) reg.VecVirtual {
	r := v.new()
	VADDPD(a, b, r)
	return r
}

func (v vector) differenceDouble(a, b Op) reg.VecVirtual { // a - b
	r := v.new()
	VSUBPD(b, a, r)
	return r
}

// narrow returns a register of half the width.
func (v vector) narrow() reg.VecVirtual {
	if v.wide() {
		return YMM()
	}
	return XMM()
}

// weightsLoop generates the loops over rows and over half vectors of a row, of `from` positions a row to `to`.
func (v vector) weightsLoop(name string, doc []string, rowFrom, rowTo string, body func(between func(i int) Mem, from, to reg.GPVirtual, stepFrom, stepTo reg.Register)) {
	TEXT(name+v.path, 0, "func(to *float32, stepTo, rowTo uintptr, from *float32, stepFrom, rowFrom uintptr, vectors, rows int)")
	Doc(append([]string{name + v.path + " " + doc[0]}, doc[1:]...)...)
	Pragma("noescape")
	to, from := Load(Param("to"), GP64()), Load(Param("from"), GP64())
	stepTo, stepFrom := Load(Param("stepTo"), GP64()), Load(Param("stepFrom"), GP64())
	rows := Load(Param("rows"), GP64())
	between := v.between(18)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	at, into := GP64(), GP64()
	MOVQ(from, at)
	MOVQ(to, into)
	halves := Load(Param("vectors"), GP64())
	ADDQ(halves, halves)
	Label("half")
	body(between, at, into, stepFrom, stepTo)
	ADDQ(U32(uint32(v.bytes/2)), at)
	ADDQ(U32(uint32(v.bytes/2)), into)
	DECQ(halves)
	JNZ(LabelRef("half"))
	for _, p := range []struct {
		name string
		at   reg.Register
	}{{rowFrom, from}, {rowTo, to}} {
		m, err := Param(p.name).Resolve()
		if err != nil {
			panic(err)
		}
		ADDQ(m.Addr, p.at)
	}
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

// winogradWeights generates the transform of 3 x 3 weights in float64.
func (v vector) winogradWeights() {
	column := func(g []reg.VecVirtual, store func(i int, x reg.VecVirtual)) {
		store(0, v.timesDouble(1/normZero, g[0]))
		store(5, g[2])
		for k, n := range []struct{ point, norm float64 }{{pointA, normA}, {pointB, normB}} {
			even, odd := v.timesDouble(1/n.norm, g[0]), v.timesDouble(n.point/n.norm, g[1])
			v.addTimesDouble(n.point*n.point/n.norm, g[2], even)
			store(1+2*k, v.sumDouble(even, odd))
			store(2+2*k, v.differenceDouble(even, odd))
		}
	}
	v.weightsLoop("winogradWeights", []string{
		"transforms rows of 3 x 3 weights, so many vectors each, in float64: weight i of 9 lies i*stepFrom bytes behind from, position p of 36 goes",
		"to p*stepTo bytes behind to; rowFrom and rowTo lead to the next row. vectors must be positive.",
	}, "rowFrom", "rowTo", func(between func(i int) Mem, from, to reg.GPVirtual, stepFrom, stepTo reg.Register) {
		slot := func(i, j int) Mem { return between(i*3 + j) }
		at := GP64()
		MOVQ(from, at)
		var g [3][]reg.VecVirtual
		for i := range 9 {
			x := v.new()
			VCVTPS2PD(Mem{Base: at}, x)
			g[i%3] = append(g[i%3], x)
			if i < 8 {
				ADDQ(stepFrom, at)
			}
		}
		for j := range 3 {
			column(g[j], func(i int, x reg.VecVirtual) { VMOVUPD(x, slot(i, j)) })
		}
		positions := newEachOf36(stepTo)
		positions.begin(to)
		for i := range 6 {
			var d []reg.VecVirtual
			for j := range 3 {
				x := v.new()
				VMOVUPD(slot(i, j), x)
				d = append(d, x)
			}
			column(d, func(j int, x reg.VecVirtual) {
				n := v.narrow()
				v.toSingle(x, n)
				VMOVUPS(n, positions.of(j))
			})
			if i < 5 {
				positions.nextRow()
			}
		}
	})
}

func (v vector) toSingle(x, n Op) {
	if v.wide() {
		VCVTPD2PS(x, n)
	} else {
		VCVTPD2PSY(x, n)
	}
}

// winogradWeightsGradient generates the transposed transform.
func (v vector) winogradWeightsGradient() {
	column := func(u []reg.VecVirtual, store func(i int, x reg.VecVirtual)) {
		sumA, sumB := v.sumDouble(u[1], u[2]), v.sumDouble(u[3], u[4])
		differenceA, differenceB := v.differenceDouble(u[1], u[2]), v.differenceDouble(u[3], u[4])
		g := v.timesDouble(1/normZero, u[0])
		v.addTimesDouble(1/normA, sumA, g)
		v.addTimesDouble(1/normB, sumB, g)
		store(0, g)
		g = v.timesDouble(pointA/normA, differenceA)
		v.addTimesDouble(pointB/normB, differenceB, g)
		store(1, g)
		g = v.timesDouble(a2/normA, sumA)
		v.addTimesDouble(b2/normB, sumB, g)
		store(2, v.sumDouble(g, u[5]))
	}
	v.weightsLoop("winogradWeightsGradient", []string{
		"is the transpose of winogradWeights: of rows of 36 positions, p*stepFrom bytes behind from, to the gradients of 3 x 3 weights,",
		"i*stepTo bytes behind to.",
	}, "rowFrom", "rowTo", func(between func(i int) Mem, from, to reg.GPVirtual, stepFrom, stepTo reg.Register) {
		slot := func(i, j int) Mem { return between(i*3 + j) }
		positions := newEachOf36(stepFrom)
		positions.begin(from)
		for i := range 6 {
			var u []reg.VecVirtual
			for j := range 6 {
				x := v.new()
				VCVTPS2PD(positions.of(j), x)
				u = append(u, x)
			}
			column(u, func(j int, x reg.VecVirtual) { VMOVUPD(x, slot(i, j)) })
			if i < 5 {
				positions.nextRow()
			}
		}
		at := GP64()
		for j := range 3 {
			var u []reg.VecVirtual
			for i := range 6 {
				x := v.new()
				VMOVUPD(slot(i, j), x)
				u = append(u, x)
			}
			// Column j of the gradient: weights j, j+3, j+6.
			column(u, func(i int, x reg.VecVirtual) {
				n := v.narrow()
				v.toSingle(x, n)
				k := 3*i + j
				MOVQ(to, at)
				for ; k > 2; k -= 2 {
					LEAQ(Mem{Base: at, Index: stepTo, Scale: 2}, at)
				}
				m := Mem{Base: at}
				if k > 0 {
					m.Index, m.Scale = stepTo, uint8(k)
				}
				VMOVUPS(n, m)
			})
		}
	})
}
