package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// ordered is a comparison that holds where neither number is NaN.
const ordered = 0x07

// maxPool generates max-pooling with channels last: for pixels side by side that see the same taps, one vector of channels after the other.
func (v vector) maxPool() {
	TEXT("maxPoolPixels"+v.path, NOSPLIT, "func(y *float32, index *int64, x *float32, stepX uintptr, taps *int, count, number int, order *int64, channels, pixels int)")
	Doc("maxPoolPixels" + v.path + " pools pixels side by side; see poolingPasses.")
	Pragma("noescape")
	order := Load(Param("order"), GP64())
	stepX, step := Load(Param("stepX"), GP64()), Load(Param("channels"), GP64())
	v.alongChannels(func(at reg.GPVirtual) {
		y, x, index, number, pixels := GP64(), GP64(), GP64(), GP64(), GP64()
		Load(Param("y"), y)
		ADDQ(at, y)
		Load(Param("x"), x)
		ADDQ(at, x)
		Load(Param("index"), index)
		TESTQ(index, index)
		JZ(LabelRef("unnumbered"))
		LEAQ(Mem{Base: index, Index: at, Scale: 2}, index)
		Label("unnumbered")
		MOVQ(at, number)
		SHRQ(U8(2), number)
		ADDQ(parameterAddress("number"), number)
		Load(Param("pixels"), pixels)
		Label("pixel")
		tap, count, offset := GP64(), GP64(), GP64()
		Load(Param("taps"), tap)
		Load(Param("count"), count)
		MOVQ(Mem{Base: tap, Disp: tapImage}, offset)
		largest, chosen, candidate, now := v.new(), v.new(), v.new(), v.new()
		VMOVUPS(Mem{Base: x, Index: offset, Scale: 4}, largest)
		VPBROADCASTD(Mem{Base: tap, Disp: tapImage}, chosen)
		DECQ(count)
		JZ(LabelRef("found"))
		Label("tap")
		ADDQ(Imm(tapBytes), tap)
		MOVQ(Mem{Base: tap, Disp: tapImage}, offset)
		VMOVUPS(Mem{Base: x, Index: offset, Scale: 4}, candidate)
		VPBROADCASTD(Mem{Base: tap, Disp: tapImage}, now)
		// What is greater, or the first NaN.
		if v.wide() {
			greater, number := K(), K()
			VCMPPS(U8(notLessEqual), largest, candidate, greater)
			VCMPPS(U8(ordered), largest, largest, number)
			KANDW(number, greater, greater)
			VBLENDMPS(candidate, largest, greater, largest)
			VPBLENDMD(now, chosen, greater, chosen)
		} else {
			greater, number := v.new(), v.new()
			VCMPPS(U8(notLessEqual), largest, candidate, greater)
			VCMPPS(U8(ordered), largest, largest, number)
			VANDPS(number, greater, greater)
			VBLENDVPS(greater, candidate, largest, largest)
			VBLENDVPS(greater, now, chosen, chosen)
		}
		DECQ(count)
		JNZ(LabelRef("tap"))
		Label("found")
		VMOVUPS(largest, Mem{Base: y})
		LEAQ(Mem{Base: y, Index: step, Scale: 4}, y)
		TESTQ(index, index)
		JZ(LabelRef("numbered"))
		base := v.new()
		if v.wide() {
			VPBROADCASTQ(number, base)
		} else {
			x := XMM()
			MOVQ(number, x)
			VPBROADCASTQ(x, base)
		}
		for i := range 2 {
			part, wide := v.narrow(), v.new()
			if v.wide() {
				VEXTRACTI64X4(U8(uint8(i)), chosen, part)
			} else {
				VEXTRACTI128(U8(uint8(i)), chosen, part)
			}
			VPMOVSXDQ(part, wide)
			VPADDQ(base, wide, wide)
			VPADDQ(Mem{Base: order, Disp: i * v.bytes}, wide, wide)
			VMOVUPS(wide, Mem{Base: index, Disp: i * v.bytes})
		}
		LEAQ(Mem{Base: index, Index: step, Scale: 8}, index)
		Label("numbered")
		ADDQ(stepX, x)
		MOVQ(stepX, offset)
		SHRQ(U8(2), offset)
		ADDQ(offset, number)
		DECQ(pixels)
		JNZ(LabelRef("pixel"))
	})
}
