package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// halves reads a vector from memory as float64, which takes no shuffle.
func (v vector) halves(m Mem) (low, high reg.VecVirtual) {
	low, high = v.new(), v.new()
	VCVTPS2PD(m, low)
	m.Disp += v.bytes / 2
	VCVTPS2PD(m, high)
	return low, high
}

// rowGroups generates a loop over groups of so many rows of n elements, whole vectors: the sums of one row are chains in which each waits for the one before, and
// those of two rows are computed side by side. The parameter named groups is their number. body gets the pointers to each row, rows[i] those of pointer i, and what the
// parameters named numbers have for each row, in every lane.
func (v vector) rowGroups(count int, n reg.GPVirtual, groups string, pointers []reg.Register, numbers []string, body func(rows [][]reg.Register, numbers [][]Op, step reg.GPVirtual)) {
	step := n
	SHLQ(U8(2), step)
	var rows [][]reg.Register
	for _, p := range pointers {
		of := []reg.Register{p}
		for range count - 1 {
			of = append(of, GP64())
		}
		rows = append(rows, of)
	}
	Label("group")
	for _, of := range rows {
		for i := range count - 1 {
			LEAQ(Mem{Base: of[i], Index: step, Scale: 1}, of[i+1])
		}
	}
	var values [][]Op
	for k, name := range numbers {
		at := Load(Param(name), GP64())
		var of []Op
		for r := range count {
			of = append(of, v.upperRegister(k*count+r))
			VBROADCASTSS(Mem{Base: at, Disp: 4 * r}, of[r])
		}
		values = append(values, of)
		ADDQ(U32(uint32(4*count)), parameterAddress(name))
	}
	body(rows, values, step)
	for _, of := range rows {
		LEAQ(Mem{Base: of[count-1], Index: step, Scale: 1}, of[0])
	}
	DECQ(parameterAddress(groups))
	JNZ(LabelRef("group"))
	done()
}

// parameterAddress is where a parameter lies.
func parameterAddress(name string) Mem {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	return p.Addr
}

// upperRegister is one of those that only instructions of AVX-512 reach, counted from the last, where there are such: older ones need the others.
func (v vector) upperRegister(i int) Op {
	if v.wide() {
		return v.register(31 - i)
	}
	return v.new()
}

// across generates a loop over the columns of rows of whole vectors; body gets how far they are from the beginning.
func (v vector) across(label string, step reg.GPVirtual, body func(at func(base reg.Register) Mem)) {
	i := GP64()
	XORQ(i, i)
	Label(label)
	body(func(base reg.Register) Mem { return Mem{Base: base, Index: i, Scale: 1} })
	ADDQ(U32(uint32(v.bytes)), i)
	CMPQ(i, step)
	JLT(LabelRef(label))
}

// layerNormRows generates layer normalization and its gradient for groups of rows, with the operations of sum, sumOfSquares and normalize, and of
// layerNormSums, accumulateNormalized, accumulate, layerNormGradient and accumulate, in their order.
func layerNormRows(v vector) {
	const count = 2
	at, n := v.function("layerNormRows", []string{"y", "mean", "inverse", "x", "scale", "shift"}, ", groups int, epsilon float64", "",
		"is LayerNorm of groups of two rows of n elements.", "n is a multiple of the lanes, it and groups are positive.")
	y, mean, inverse, x, scale, shift := at[0], at[1], at[2], at[3], at[4], at[5]
	columns := v.new().AsX()
	VXORPD(columns, columns, columns)
	VCVTSI2SDQ(n, columns, columns)
	epsilon, one := XMM(), v.number(1).AsX()
	Load(Param("epsilon"), epsilon)
	VCVTSS2SD(one, one, one)
	v.rowGroups(count, n, "groups", []reg.Register{y, x}, nil, func(rows [][]reg.Register, _ [][]Op, step reg.GPVirtual) {
		y, x := rows[0], rows[1]
		var sums [count]accumulator
		for r := range sums {
			sums[r] = v.accumulator()
		}
		v.across("sum", step, func(at func(reg.Register) Mem) {
			for r, s := range sums {
				m := at(x[r])
				fetchAhead([]Mem{m, at(y[r])})
				low, high := v.halves(m)
				VADDPD(low, s.low, s.low)
				VADDPD(high, s.high, s.high)
			}
		})
		var middles [count]reg.VecVirtual
		var rounded [count]reg.VecVirtual
		for r, s := range sums {
			middle := s.total()
			VDIVSD(columns, middle, middle)
			middles[r], rounded[r] = v.new(), v.new()
			VCVTSD2SS(middle, middle, rounded[r].AsX())
			VMOVSS(rounded[r].AsX(), Mem{Base: mean, Disp: 4 * r})
			VBROADCASTSD(middle, middles[r])
			VBROADCASTSS(rounded[r].AsX(), rounded[r])
		}
		for r := range sums {
			sums[r] = v.accumulator()
		}
		v.across("squares", step, func(at func(reg.Register) Mem) {
			for r, s := range sums {
				low, high := v.halves(at(x[r]))
				VSUBPD(middles[r], low, low)
				VSUBPD(middles[r], high, high)
				VFMADD231PD(low, low, s.low)
				VFMADD231PD(high, high, s.high)
			}
		})
		var factors [count]reg.VecVirtual
		for r, s := range sums {
			variance := s.total()
			VDIVSD(columns, variance, variance)
			VADDSD(epsilon, variance, variance)
			VSQRTSD(variance, variance, variance)
			VDIVSD(variance, one, variance)
			factors[r] = v.new()
			VCVTSD2SS(variance, variance, factors[r].AsX())
			VMOVSS(factors[r].AsX(), Mem{Base: inverse, Disp: 4 * r})
			VBROADCASTSS(factors[r].AsX(), factors[r])
		}
		v.across("normalize", step, func(at func(reg.Register) Mem) {
			a, b := v.read(at(scale), nil), v.read(at(shift), nil)
			for r := range count {
				z := v.read(at(x[r]), nil)
				VSUBPS(rounded[r], z, z)
				VMULPS(factors[r], z, z)
				VFMADD213PS(b, a, z)
				v.store(z, at(y[r]), nil)
			}
		})
		ADDQ(U32(4*count), mean)
		ADDQ(U32(4*count), inverse)
	})
	layerNormGradientRows(v)
}

func layerNormGradientRows(v vector) {
	count := 1
	if v.wide() {
		count = 2 // there are the registers
	}
	at, n := v.function("layerNormGradientRows", []string{"dx", "dScale", "dShift", "dy", "x", "added", "scale"}, ", mean, inverse *float32, groups int", "",
		fmt.Sprintf("is LayerNormGradient of groups of %d rows of n elements.", count), "n is a multiple of the lanes, it and groups are positive; added may be nil.")
	dx, dScale, dShift, dy, x, added, scale := at[0], at[1], at[2], at[3], at[4], at[5], at[6]
	columns := v.new().AsX()
	VXORPD(columns, columns, columns)
	VCVTSI2SDQ(n, columns, columns)
	// widened is widen by way of memory.
	widened := func(a reg.VecVirtual, m Mem) (low, high reg.VecVirtual) {
		v.store(a, m, nil)
		return v.halves(m)
	}
	// Within a cache line each: a load of half of a store that crosses two waits for it.
	local := GP64()
	LEAQ(AllocLocal((2*count+1)*v.bytes), local)
	ADDQ(U32(uint32(v.bytes-1)), local)
	ANDQ(I32(int32(-v.bytes)), local)
	gs, zs := make([]Mem, count), make([]Mem, count)
	for r := range count {
		gs[r], zs[r] = Mem{Base: local, Disp: 2 * r * v.bytes}, Mem{Base: local, Disp: (2*r + 1) * v.bytes}
	}
	v.rowGroups(count, n, "groups", []reg.Register{dx, dy, x, added}, []string{"mean", "inverse"}, func(rows [][]reg.Register, numbers [][]Op, step reg.GPVirtual) {
		dx, dy, x, added, means, inverses := rows[0], rows[1], rows[2], rows[3], numbers[0], numbers[1]
		normalized := func(r int, m Mem) reg.VecVirtual {
			z := v.read(m, nil)
			VSUBPS(means[r], z, z)
			VMULPS(inverses[r], z, z)
			return z
		}
		var sums, products []accumulator
		for range count {
			sums, products = append(sums, v.accumulator()), append(products, v.accumulator())
		}
		v.across("sums", step, func(at func(reg.Register) Mem) {
			ofScale, ofShift := v.upperRegister(4), v.upperRegister(5)
			v.load(at(dScale), nil, ofScale)
			v.load(at(dShift), nil, ofShift)
			for r := range count {
				fetchAhead([]Mem{at(dy[r]), at(x[r]), at(dx[r]), at(added[r])})
				d, z, g := v.read(at(dy[r]), nil), normalized(r, at(x[r])), v.new()
				VADDPS(d, ofShift, ofShift)
				VFMADD231PS(d, z, ofScale)
				VMULPS(at(scale), d, g)
				lowG, highG := widened(g, gs[r])
				lowZ, highZ := widened(z, zs[r])
				VADDPD(lowG, sums[r].low, sums[r].low)
				VADDPD(highG, sums[r].high, sums[r].high)
				VFMADD231PD(lowG, lowZ, products[r].low)
				VFMADD231PD(highG, highZ, products[r].high)
			}
			v.store(ofScale, at(dScale), nil)
			v.store(ofShift, at(dShift), nil)
		})
		var meanG, meanZ []reg.VecVirtual
		for r := range count {
			for _, of := range []struct {
				sum  accumulator
				mean *[]reg.VecVirtual
			}{{sums[r], &meanG}, {products[r], &meanZ}} {
				total, mean := of.sum.total(), v.new()
				VDIVSD(columns, total, total)
				VCVTSD2SS(total, total, mean.AsX())
				VBROADCASTSS(mean.AsX(), mean)
				*of.mean = append(*of.mean, mean)
			}
		}
		gradient := func(label string, finish func(at func(reg.Register) Mem, r int, d reg.VecVirtual)) {
			v.across(label, step, func(at func(reg.Register) Mem) {
				factor := v.read(at(scale), nil)
				for r := range count {
					z, d := normalized(r, at(x[r])), v.read(at(dy[r]), nil)
					VFMSUB213PS(meanG[r], factor, d)
					VFNMADD231PS(z, meanZ[r], d)
					VMULPS(inverses[r], d, d)
					finish(at, r, d)
					v.store(d, at(dx[r]), nil)
				}
			})
		}
		CMPQ(parameterAddress("added"), Imm(0))
		JEQ(LabelRef("alone"))
		gradient("andAdded", func(at func(reg.Register) Mem, r int, d reg.VecVirtual) {
			VADDPS(at(added[r]), d, d)
		})
		JMP(LabelRef("next"))
		Label("alone")
		gradient("gradient", func(func(reg.Register) Mem, int, reg.VecVirtual) {})
		Label("next")
	})
}
