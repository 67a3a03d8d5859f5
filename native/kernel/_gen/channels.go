package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// channels generates the passes of batch normalization over rows of channels: so many vectors a row, one row after the other.
func channels(v vector) {
	v.channelMoments()
	v.channelGradientSums(false)
	v.channelGradientSums(true)
	for _, add := range []bool{false, true} {
		for _, relu := range []bool{false, true} {
			v.channelNormalize(add, relu)
		}
	}
	v.channelData(false, false)
	v.channelData(true, false)
	v.channelData(true, true)
}

// columnsOfRows generates a loop over vectors of channels and in it one over rows: begin and end run once for each half of a vector, which is a vector of float64, with the
// memory of its channels in float32 and float64.
func (v vector) columnsOfRows(rowPointers []string, begin func(half int, single, double Mem), row func(half int, at []Mem), end func(half int, double Mem)) {
	var pointers []reg.Register
	for _, name := range rowPointers {
		pointers = append(pointers, Load(Param(name), GP64()))
	}
	vectors, step := Load(Param("vectors"), GP64()), Load(Param("step"), GP64())
	TESTQ(vectors, vectors)
	JZ(LabelRef("done"))
	single, double := GP64(), GP64() // offsets in bytes
	XORQ(single, single)
	XORQ(double, double)
	Label("vector")
	for half := range 2 {
		begin(half, Mem{Index: single, Scale: 1, Disp: half * v.bytes / 2}, Mem{Index: double, Scale: 1, Disp: half * v.bytes})
	}
	rows := Load(Param("rows"), GP64())
	offset := GP64()
	MOVQ(single, offset)
	TESTQ(rows, rows)
	JZ(LabelRef("end"))
	Label("row")
	for half := range 2 {
		var at []Mem
		for _, p := range pointers {
			at = append(at, Mem{Base: p, Index: offset, Scale: 1, Disp: half * v.bytes / 2})
		}
		row(half, at)
	}
	ADDQ(step, offset)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("end")
	for half := range 2 {
		end(half, Mem{Index: double, Scale: 1, Disp: half * v.bytes})
	}
	ADDQ(U32(uint32(v.bytes)), single)
	ADDQ(U32(uint32(2*v.bytes)), double)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	Label("done")
	VZEROUPPER()
	RET()
}

// two returns a register for each half of a vector.
func (v vector) two() [2]reg.VecVirtual { return [2]reg.VecVirtual{v.new(), v.new()} }

// behind adds a pointer to an offset.
func behind(pointer reg.Register, offset Mem) Mem {
	offset.Base = pointer
	return offset
}

func (v vector) channelMoments() {
	TEXT("channelMoments"+v.path, NOSPLIT, "func(sums, squares *float64, x, middle *float32, vectors, rows int, step uintptr)")
	Doc("channelMoments"+v.path+" adds the sums of x - middle over rows, step bytes apart, and of its square to sums and squares, in float64, for so many vectors", "of channels.")
	Pragma("noescape")
	sums, squares, middle := Load(Param("sums"), GP64()), Load(Param("squares"), GP64()), Load(Param("middle"), GP64())
	sum, square, centre := v.two(), v.two(), v.two()
	v.columnsOfRows([]string{"x"}, func(half int, single, double Mem) {
		VMOVUPD(behind(sums, double), sum[half])
		VMOVUPD(behind(squares, double), square[half])
		VCVTPS2PD(behind(middle, single), centre[half])
	}, func(half int, at []Mem) {
		x := v.new()
		VCVTPS2PD(at[0], x)
		VSUBPD(centre[half], x, x)
		VADDPD(x, sum[half], sum[half])
		VFMADD231PD(x, x, square[half])
	}, func(half int, double Mem) {
		VMOVUPD(sum[half], behind(sums, double))
		VMOVUPD(square[half], behind(squares, double))
	})
}

// gate is dy where y > 0, else 0, in registers of half the width.
func (v vector) gate(dy, y Mem) reg.VecVirtual {
	const greater = 0x1e // ordered, quiet
	zero, mask := v.narrow(), v.narrow()
	VXORPS(zero, zero, zero)
	VMOVUPS(y, mask)
	VCMPPS(U8(greater), zero, mask, mask)
	VANDPS(dy, mask, mask)
	return mask
}

func (v vector) channelGradientSums(gated bool) {
	name, pointers, what := "channelGradientSums", []string{"dy", "x"}, "dy"
	if gated {
		name, pointers, what = "channelGatedGradientSums", []string{"dy", "x", "y"}, "dy where y > 0"
	}
	parameters := ""
	for _, p := range pointers {
		parameters += p + ", "
	}
	TEXT(name+v.path, NOSPLIT, "func(sums, products *float64, "+parameters+"mean *float32, vectors, rows int, step uintptr)")
	Doc(name+v.path+" adds the sums over rows, step bytes apart, of "+what+" and of its product with x - mean to sums and products, in float64, for so many", "vectors of channels.")
	Pragma("noescape")
	sums, products, mean := Load(Param("sums"), GP64()), Load(Param("products"), GP64()), Load(Param("mean"), GP64())
	sum, product, centre := v.two(), v.two(), v.two()
	v.columnsOfRows(pointers, func(half int, single, double Mem) {
		VMOVUPD(behind(sums, double), sum[half])
		VMOVUPD(behind(products, double), product[half])
		VCVTPS2PD(behind(mean, single), centre[half])
	}, func(half int, at []Mem) {
		dy, x := v.new(), v.new()
		if gated {
			VCVTPS2PD(v.gate(at[0], at[2]), dy)
		} else {
			VCVTPS2PD(at[0], dy)
		}
		VCVTPS2PD(at[1], x)
		VSUBPD(centre[half], x, x)
		VADDPD(dy, sum[half], sum[half])
		VFMADD231PD(x, dy, product[half])
	}, func(half int, double Mem) {
		VMOVUPD(sum[half], behind(sums, double))
		VMOVUPD(product[half], behind(products, double))
	})
}

// alongRows generates a loop over rows that lie one after the other and in it one over vectors of channels.
func (v vector) alongRows(rowPointers, channelPointers []string, body func(row, channel []Mem)) {
	var rows, channels []reg.Register
	for _, name := range rowPointers {
		rows = append(rows, Load(Param(name), GP64()))
	}
	for _, name := range channelPointers {
		channels = append(channels, Load(Param(name), GP64()))
	}
	count, width := Load(Param("rows"), GP64()), Load(Param("vectors"), GP64())
	if v.wide() {
		SHLQ(U8(6), width)
	} else {
		SHLQ(U8(5), width)
	}
	JZ(LabelRef("done"))
	TESTQ(count, count)
	JZ(LabelRef("done"))
	Label("row")
	at := GP64()
	XORQ(at, at)
	Label("vector")
	mems := func(pointers []reg.Register) (m []Mem) {
		for _, p := range pointers {
			m = append(m, Mem{Base: p, Index: at, Scale: 1})
		}
		return m
	}
	body(mems(rows), mems(channels))
	ADDQ(U32(uint32(v.bytes)), at)
	CMPQ(at, width)
	JL(LabelRef("vector"))
	for _, p := range rows {
		ADDQ(width, p)
	}
	DECQ(count)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

func (v vector) channelNormalize(add, relu bool) {
	name, doc, pointers := "channelNormalize", "(x - mean) * factor + shift", []string{"y", "x"}
	if add {
		name, doc, pointers = name+"Add", doc+" + other", append(pointers, "other")
	}
	if relu {
		name, doc = name+"Relu", "max("+doc+", 0)"
	}
	v.rowsFunction(name, doc, "y", pointers, []string{"mean", "factor", "shift"})
	zero := v.new()
	if relu {
		v.zero(zero)
	}
	v.alongRows(pointers, []string{"mean", "factor", "shift"}, func(row, channel []Mem) {
		x := v.read(row[1], nil)
		VSUBPS(channel[0], x, x)
		VMULPS(channel[1], x, x)
		VADDPS(channel[2], x, x)
		if add {
			VADDPS(row[2], x, x)
		}
		if relu {
			VMAXPS(x, zero, x) // of NaN and of zeros the instruction returns the second source: x
		}
		VMOVUPS(x, row[0])
	})
}

// rowsFunction begins a function over rows of channels.
func (v vector) rowsFunction(name, doc, result string, rowPointers, channelPointers []string) {
	signature := "func("
	for _, p := range append(append([]string{}, rowPointers...), channelPointers...) {
		signature += p + ", "
	}
	TEXT(name+v.path, NOSPLIT, signature[:len(signature)-2]+" *float32, vectors, rows int)")
	Doc(name + v.path + " is " + result + " = " + doc + " for rows of so many vectors of channels.")
	Pragma("noescape")
}

func (v vector) channelData(gated, store bool) {
	name, doc, pointers := "channelData", "factor * (dy - off - (x - mean) * slope)", []string{"dx", "dy", "x"}
	if gated {
		name, doc, pointers = "channelGatedData", doc+", dy counting as 0 where y <= 0,", append(pointers, "y")
	}
	if store {
		name, doc, pointers = "channelGatedDataKeep", doc+" and gate is that dy,", append(pointers, "gate")
	}
	v.rowsFunction(name, doc, "dx", pointers, []string{"mean", "off", "slope", "factor"})
	zero := v.new()
	if gated {
		v.zero(zero)
	}
	v.alongRows(pointers, []string{"mean", "off", "slope", "factor"}, func(row, channel []Mem) {
		const greater = 0x1e // ordered, quiet
		d, x := v.new(), v.read(row[2], nil)
		switch {
		case gated && v.wide():
			k := K()
			y := v.read(row[3], nil)
			VCMPPS(U8(greater), zero, y, k)
			VMOVUPS_Z(row[1], k, d)
		case gated:
			VMOVUPS(row[3], d)
			VCMPPS(U8(greater), zero, d, d)
			VANDPS(row[1], d, d)
		default:
			VMOVUPS(row[1], d)
		}
		if store {
			VMOVUPS(d, row[4])
		}
		VSUBPS(channel[0], x, x)
		VMULPS(channel[2], x, x)
		VSUBPS(channel[1], d, d)
		VSUBPS(x, d, d)
		VMULPS(channel[3], d, d)
		VMOVUPS(d, row[0])
	})
}
