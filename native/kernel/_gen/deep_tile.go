package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// deepTile generates the product of rows rows of the left factor with one panel of the right one through all chains of its sums, so that C passes once. What
// stands in the third-level cache is fetched meanwhile, a little each few turns: C in the last chain; in the others a part of the next panel, or the rows
// that it is made of, which are then packed too.
func deepTile(v vector, rows, vectors int) {
	name := fmt.Sprintf("deepTile%dx%d%s", rows, vectors*v.lanes(), v.path)
	TEXT(name, NOSPLIT, "func(a *float32, rowStride, depthStride uintptr, b *float32, stepB uintptr, c *float32, stepC uintptr, sums *float32, lengths *int, chains int, alpha float32, add bool, next *float32, stepNext uintptr, into *float32, every int)")
	Doc(fmt.Sprintf("%s computes a tile of %d x %d elements of C; see deepTileFunc.", name, rows, vectors*v.lanes()))
	Pragma("noescape")
	address := func(name string) Mem {
		p, err := Param(name).Resolve()
		if err != nil {
			panic(err)
		}
		return p.Addr
	}
	width := vectors * v.bytes

	acc := func(r, c int) reg.VecPhysical { return v.register(4 + r*vectors + c) }
	stepB := Load(Param("stepB"), GP64())
	rowStride := Load(Param("rowStride"), GP64())
	depthStride := Load(Param("depthStride"), GP64())
	// The sums so far, which begin in C or nowhere, and their rows' distance.
	source, sourceStep := AllocLocal(8), AllocLocal(8)
	fetchStep, fetchEvery, length, into := AllocLocal(8), AllocLocal(8), AllocLocal(8), AllocLocal(8)
	x := GP64()
	MOVQ(U32(0), x)
	CMPB(address("add"), U8(0))
	JE(LabelRef("begin"))
	MOVQ(address("c"), x)
	Label("begin")
	MOVQ(x, source)
	MOVQ(address("stepC"), x)
	MOVQ(x, sourceStep)

	Label("chain")
	depth := GP64()
	MOVQ(address("lengths"), depth)
	MOVQ(Mem{Base: depth}, depth)
	MOVQ(depth, length)
	for r := range rows {
		for c := range vectors {
			v.zero(acc(r, c))
		}
	}
	fetched, wait := GP64(), GP64()
	MOVQ(address("stepNext"), fetched)
	MOVQ(fetched, fetchStep)
	MOVQ(address("into"), fetched)
	MOVQ(fetched, into)
	MOVQ(address("next"), fetched)
	MOVQ(address("every"), wait)
	CMPQ(address("chains"), Imm(1))
	JNE(LabelRef("fetches"))
	XORQ(fetched, fetched)
	MOVQ(fetched, into)
	MOVQ(address("c"), fetched)
	MOVQ(address("stepC"), wait)
	MOVQ(wait, fetchStep)
	// All of C is there after two thirds of the chain; in a short one it would keep what the product itself needs waiting.
	const long = 64
	MOVQ(U64(math.MaxInt64), wait)
	CMPQ(depth, Imm(long))
	JL(LabelRef("fetches"))
	IMUL3Q(U32(uint32(65536/(3*rows))), depth, wait)
	SHRQ(U8(16), wait)
	Label("fetches")
	MOVQ(wait, fetchEvery)
	fetch := func(name string) {
		DECQ(wait)
		JNZ(LabelRef(name + "Fetched"))
		to, step := GP64(), GP64()
		MOVQ(into, to)
		MOVQ(fetchStep, step)
		TESTQ(to, to)
		JZ(LabelRef(name + "Fetch"))
		// The registers of the loop's loads are free here.
		for i := range vectors {
			VMOVUPS(Mem{Base: fetched, Disp: i * v.bytes}, v.register(i))
		}
		for i := range vectors {
			VMOVUPS(v.register(i), Mem{Base: to, Disp: i * v.bytes})
		}
		for line := 0; line < width; line += 64 {
			PREFETCHT0(Mem{Base: fetched, Index: step, Scale: 4, Disp: line})
		}
		ADDQ(U32(uint32(width)), to)
		MOVQ(to, into)
		JMP(LabelRef(name + "Moved"))
		Label(name + "Fetch")
		for line := 0; line < width; line += 64 {
			PREFETCHT0(Mem{Base: fetched, Disp: line})
		}
		Label(name + "Moved")
		ADDQ(step, fetched)
		MOVQ(fetchEvery, wait)
		Label(name + "Fetched")
	}
	a, b := GP64(), GP64()
	MOVQ(address("a"), a)
	MOVQ(address("b"), b)
	multiplyAdds{v, rows, vectors, acc}.generate(a, rowStride, depthStride, b, stepB, depth, fetch, "summed")

	Label("summed")
	alpha := address("alpha")
	const one = 0x3f800000
	CMPL(alpha, U32(one))
	JE(LabelRef("scaled"))
	VBROADCASTSS(alpha, v.register(0))
	for r := range rows {
		for i := range vectors {
			// Two roundings and no FMA: the same bits as strip gives.
			VMULPS(v.register(0), acc(r, i), acc(r, i))
		}
	}
	Label("scaled")
	from, step := GP64(), GP64()
	MOVQ(source, from)
	TESTQ(from, from)
	JZ(LabelRef("added"))
	MOVQ(sourceStep, step)
	for r := range rows {
		for i := range vectors {
			VADDPS(Mem{Base: from, Disp: i * v.bytes}, acc(r, i), acc(r, i))
		}
		if r+1 < rows {
			ADDQ(step, from)
		}
	}
	Label("added")
	to := GP64()
	DECQ(address("chains"))
	JZ(LabelRef("last"))
	MOVQ(address("sums"), to)
	MOVQ(to, source)
	MOVQ(U32(uint32(width)), sourceStep)
	for r := range rows {
		for i := range vectors {
			VMOVUPS(acc(r, i), Mem{Base: to, Disp: r*width + i*v.bytes})
		}
	}
	// The next chain begins where this one ends.
	moved := GP64()
	MOVQ(length, moved)
	IMULQ(depthStride, moved)
	ADDQ(moved, address("a"))
	MOVQ(length, moved)
	IMULQ(stepB, moved)
	ADDQ(moved, address("b"))
	ADDQ(Imm(8), address("lengths"))
	MOVQ(fetched, address("next"))
	MOVQ(into, moved)
	MOVQ(moved, address("into"))
	JMP(LabelRef("chain"))
	Label("last")
	MOVQ(address("c"), to)
	MOVQ(address("stepC"), step)
	for r := range rows {
		for i := range vectors {
			VMOVUPS(acc(r, i), Mem{Base: to, Disp: i * v.bytes})
		}
		if r+1 < rows {
			ADDQ(step, to)
		}
	}
	VZEROUPPER()
	RET()
}
