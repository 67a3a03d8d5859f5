package main

import (
	"math"
	"slices"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// What follows hides the differences between the two widths, for functions whose registers avo allocates. Operands are in the order of Go's
// assembler: sources, the last one first, then the destination.

func (v vector) wide() bool { return v.bytes == 64 }

func (v vector) lanes() int { return v.bytes / 4 }

func (v vector) new() reg.VecVirtual {
	if v.wide() {
		return ZMM()
	}
	return YMM()
}

// numbers are the constants of all functions, as bits of 32 each, in the order of their first use.
var numbers []uint32

// place returns where a constant lies, eight times.
func place(bits uint32) Mem {
	i := slices.Index(numbers, bits)
	if i < 0 {
		i = len(numbers)
		numbers = append(numbers, bits)
	}
	return NewDataAddr(NewStaticSymbol("numbers"), 32*i)
}

// writeNumbers emits the constants and the masks for the ends of slices, after all functions that use them.
func writeNumbers() {
	GLOBL("numbers", 8+16) // RODATA and NOPTR
	for i, bits := range numbers {
		for lane := range 4 {
			DATA(32*i+8*lane, U64(uint64(bits)<<32|uint64(bits)))
		}
	}
	GLOBL("ends", 8+16)
	for i := range 8 {
		value := uint64(math.MaxUint64)
		if i >= 4 {
			value = 0
		}
		DATA(8*i, U64(value))
	}
}

// with applies an instruction whose last source is the constant x: embedded where the width is 512 bits.
func (v vector) with(plain, embedded func(...Op), x float32, ops ...Op) {
	m := place(math.Float32bits(x))
	if v.wide() {
		embedded(append([]Op{m}, ops...)...)
	} else {
		plain(append([]Op{m}, ops...)...)
	}
}

// The arithmetic with a constant.
func (v vector) addNumber(x float32, a, dst Op) { v.with(VADDPS, VADDPS_BCST, x, a, dst) }
func (v vector) subNumber(x float32, a, dst Op) { v.with(VSUBPS, VSUBPS_BCST, x, a, dst) } // a - x
func (v vector) mulNumber(x float32, a, dst Op) { v.with(VMULPS, VMULPS_BCST, x, a, dst) }

// multiplyAddNumber is dst = dst * a + x.
func (v vector) multiplyAddNumber(x float32, a, dst Op) {
	v.with(VFMADD213PS, VFMADD213PS_BCST, x, a, dst)
}

// addProduct is dst = dst + x * a, subtractProduct dst - x * a.
func (v vector) addProduct(x float32, a, dst Op) {
	v.with(VFMADD231PS, VFMADD231PS_BCST, x, a, dst)
}

func (v vector) subtractProduct(x float32, a, dst Op) {
	v.with(VFNMADD231PS, VFNMADD231PS_BCST, x, a, dst)
}

// set fills a register with a constant.
func (v vector) set(x float32, dst Op) { VBROADCASTSS(place(math.Float32bits(x)), dst) }

// number returns a register with a constant.
func (v vector) number(x float32) reg.VecVirtual {
	r := v.new()
	v.set(x, r)
	return r
}

// atMost and atLeast bound a; NaN stays NaN.
func (v vector) atMost(x float32, a, dst Op)  { VMINPS(a, v.number(x), dst) }
func (v vector) atLeast(x float32, a, dst Op) { VMAXPS(a, v.number(x), dst) }

// The logic on bits, with a constant.
func (v vector) andBits(bits uint32, a, dst Op) {
	if v.wide() {
		VPANDD_BCST(place(bits), a, dst)
	} else {
		VPAND(place(bits), a, dst)
	}
}

func (v vector) orBits(bits uint32, a, dst Op) {
	if v.wide() {
		VPORD_BCST(place(bits), a, dst)
	} else {
		VPOR(place(bits), a, dst)
	}
}

func (v vector) or(a, b, dst Op) {
	if v.wide() {
		VPORD(a, b, dst)
	} else {
		VPOR(a, b, dst)
	}
}

func (v vector) xor(a, b, dst Op) {
	if v.wide() {
		VPXORD(a, b, dst)
	} else {
		VPXOR(a, b, dst)
	}
}

func (v vector) addBits(bits uint32, a, dst Op) {
	if v.wide() {
		VPADDD_BCST(place(bits), a, dst)
	} else {
		VPADDD(place(bits), a, dst)
	}
}

func (v vector) subBits(bits uint32, a, dst Op) {
	if v.wide() {
		VPSUBD_BCST(place(bits), a, dst)
	} else {
		VPSUBD(place(bits), a, dst)
	}
}

const signBit, sizeBits = 1 << 31, 1<<31 - 1

// The comparisons of VCMPPS that do not signal; of a NaN only the negated ones are true.
const (
	equal        = 0x00
	less         = 0x11
	notLess      = 0x15
	notLessEqual = 0x16
	greater      = 0x1e
)

// choose is dst = yes where comparison(a, x) holds, else no.
func (v vector) choose(comparison uint8, a Op, x float32, yes, no, dst Op) {
	if v.wide() {
		k := K()
		VCMPPS_BCST(U8(comparison), place(math.Float32bits(x)), a, k)
		VBLENDMPS(yes, no, k, dst)
	} else {
		m := v.new()
		VCMPPS(U8(comparison), place(math.Float32bits(x)), a, m)
		VBLENDVPS(m, yes, no, dst)
	}
}

// round is the nearest integer, the even one of two.
func (v vector) round(a, dst Op) {
	if v.wide() {
		VRNDSCALEPS(U8(8), a, dst)
	} else {
		VROUNDPS(U8(8), a, dst)
	}
}

// copy returns a register with the same numbers.
func (v vector) copy(a Op) reg.VecVirtual {
	r := v.new()
	VMOVAPS(a, r)
	return r
}

// end is the part of a vector that lies within a slice; nil means all of it.
type end struct {
	vector
	mask reg.Register
}

// before returns the end with n elements, 0 < n < lanes.
func (v vector) before(n reg.GPVirtual) *end {
	e := &end{vector: v}
	if v.wide() {
		k := K()
		bits, count := GP64(), reg.RCX
		MOVQ(n, count)
		MOVQ(U32(1), bits)
		SHLQ(reg.CL, bits)
		DECQ(bits)
		KMOVW(bits.As32(), k)
		e.mask = k
		return e
	}
	m := YMM()
	at, back := GP64(), GP64()
	LEAQ(NewDataAddr(NewStaticSymbol("ends"), 32), at)
	MOVQ(n, back)
	NEGQ(back)
	VMOVUPS(Mem{Base: at, Index: back, Scale: 4}, m)
	e.mask = m
	return e
}

// load reads a vector; lanes outside the slice are 0 and their memory is not touched.
func (v vector) load(m Mem, e *end, dst Op) {
	switch {
	case e == nil:
		VMOVUPS(m, dst)
	case v.wide():
		VMOVUPS_Z(m, e.mask, dst)
	default:
		VMASKMOVPS(m, e.mask, dst)
	}
}

// read is load to a new register.
func (v vector) read(m Mem, e *end) reg.VecVirtual {
	r := v.new()
	v.load(m, e, r)
	return r
}

// store writes the lanes of a vector that lie within the slice.
func (v vector) store(a Op, m Mem, e *end) {
	switch {
	case e == nil:
		VMOVUPS(a, m)
	case v.wide():
		VMOVUPS(a, e.mask, m)
	default:
		VMASKMOVPS(a, e.mask, m)
	}
}

// within sets the lanes outside the slice to those of other.
func (v vector) within(e *end, a, other, dst Op) {
	switch {
	case e == nil:
		if a != dst {
			VMOVAPS(a, dst)
		}
	case v.wide():
		VBLENDMPS(a, other, e.mask, dst)
	default:
		VBLENDVPS(e.mask, a, other, dst)
	}
}

// ahead is the number of bytes that a loop fetches ahead: to the next page, where the processor's own fetching stops at the end of each. It costs nothing to speak
// of where all is near, and may go past the end of a slice, which is no access.
const ahead = 2048

func fetchAhead(at []Mem) {
	for _, m := range at {
		m.Disp += ahead
		PREFETCHT0(m)
	}
}

// along generates a loop over n elements, behind the pointers, a vector at a time; the last one may be part of a vector. n and the pointers
// are lost.
func (v vector) along(label string, n reg.GPVirtual, pointers []reg.Register, body func(at []Mem, e *end)) {
	var at []Mem
	for _, p := range pointers {
		at = append(at, Mem{Base: p})
	}
	SUBQ(U32(uint32(v.lanes())), n)
	JLT(LabelRef(label + "End"))
	Label(label)
	fetchAhead(at)
	body(at, nil)
	for _, p := range pointers {
		ADDQ(U32(uint32(v.bytes)), p)
	}
	SUBQ(U32(uint32(v.lanes())), n)
	JGE(LabelRef(label))
	Label(label + "End")
	ADDQ(U32(uint32(v.lanes())), n)
	JEQ(LabelRef(label + "Done"))
	body(at, v.before(n))
	Label(label + "Done")
}

// alongSome is along with several vectors a turn where there are the registers: at has the addresses of each. n and the pointers are lost.
func (v vector) alongSome(n reg.GPVirtual, pointers []reg.Register, body func(at [][]Mem, e *end)) {
	if v.wide() {
		const count = 2
		var at [][]Mem
		for i := range count {
			var of []Mem
			for _, p := range pointers {
				of = append(of, Mem{Base: p, Disp: i * v.bytes})
			}
			at = append(at, of)
		}
		some := uint32(count * v.lanes())
		SUBQ(U32(some), n)
		JLT(LabelRef("few"))
		Label("some")
		for _, of := range at {
			fetchAhead(of)
		}
		body(at, nil)
		for _, p := range pointers {
			ADDQ(U32(count*uint32(v.bytes)), p)
		}
		SUBQ(U32(some), n)
		JGE(LabelRef("some"))
		Label("few")
		ADDQ(U32(some), n)
	}
	v.along("loop", n, pointers, func(at []Mem, e *end) { body([][]Mem{at}, e) })
}

// function begins a function over pointers to float32 and n elements; more are further parameters.
func (v vector) function(name string, pointers []string, more string, result string, doc ...string) (at []reg.Register, n reg.GPVirtual) {
	signature := "func("
	for i, p := range pointers {
		if i > 0 {
			signature += ", "
		}
		signature += p
	}
	if len(pointers) > 0 {
		signature += " *float32, "
	}
	TEXT(name+v.path, NOSPLIT, signature+"n int"+more+")"+result)
	Doc(append([]string{name + v.path + " " + doc[0]}, doc[1:]...)...)
	Pragma("noescape")
	for _, p := range pointers {
		at = append(at, Load(Param(p), GP64()))
	}
	n = GP64()
	Load(Param("n"), n)
	return at, n
}

// elementFunction generates y[i] = f(x[i], ...) for n elements behind the pointers, the first of which is the result.
func (v vector) elementFunction(name, doc string, pointers []string, more string, prepare func(), f func(x []reg.VecVirtual) Op) {
	at, n := v.function(name, pointers, more, "", doc)
	if prepare != nil {
		prepare()
	}
	v.along("loop", n, at, func(at []Mem, e *end) {
		var x []reg.VecVirtual
		for _, m := range at[1:] {
			x = append(x, v.read(m, e))
		}
		v.store(f(x), at[0], e)
	})
	VZEROUPPER()
	RET()
}

// parameter returns a float32 parameter in every lane.
func (v vector) parameter(name string) reg.VecVirtual {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	r := v.new()
	VBROADCASTSS(p.Addr, r)
	return r
}
