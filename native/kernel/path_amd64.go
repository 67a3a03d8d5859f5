//go:build !noasm

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C _gen run . -part kernel -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg kernel
//go:generate go -C _gen run . -part philox -out ../philox_amd64.s -stubs ../philox_amd64.go -pkg kernel
//go:generate go -C _gen run . -part math -out ../math_amd64.s -stubs ../math_amd64.go -pkg kernel

// vectorPaths returns the paths for which the processor has the instructions and the operating system saves the registers.
func vectorPaths() (ps []*path) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	ps = append(ps, &path{
		name: "avx2", lanes: 8, tileRows: 6,
		tiles: [2][]tileFunc{
			{nil, tile1x8AVX2, tile2x8AVX2, tile3x8AVX2, tile4x8AVX2, tile5x8AVX2, tile6x8AVX2},
			{nil, tile1x16AVX2, tile2x16AVX2, tile3x16AVX2, tile4x16AVX2, tile5x16AVX2, tile6x16AVX2},
		},
		transpose8: transpose8AVX2, transposeAdd8: transposeAdd8AVX2,
		relu:           reluAVX2,
		reluGradient:   reluGradientAVX2,
		mask:           maskAVX2,
		adam:           adamAVX2,
		sgd:            sgdAVX2,
		sgdMomentum:    sgdMomentumAVX2,
		sgdNesterov:    sgdNesterovAVX2,
		peak:           peakAVX2,
		approximations: approximationsAVX2, arithmetic: arithmeticAVX2, rowPasses: rowPassesAVX2,
	})
	if cpu.X86.HasAVX512F {
		ps = append(ps, &path{
			name: "avx512", lanes: 16, tileRows: 12,
			tiles: [2][]tileFunc{
				{
					nil, tile1x16AVX512, tile2x16AVX512, tile3x16AVX512, tile4x16AVX512, tile5x16AVX512, tile6x16AVX512,
					tile7x16AVX512, tile8x16AVX512, tile9x16AVX512, tile10x16AVX512, tile11x16AVX512, tile12x16AVX512,
				},
				{
					nil, tile1x32AVX512, tile2x32AVX512, tile3x32AVX512, tile4x32AVX512, tile5x32AVX512, tile6x32AVX512,
					tile7x32AVX512, tile8x32AVX512, tile9x32AVX512, tile10x32AVX512, tile11x32AVX512, tile12x32AVX512,
				},
			},
			transpose8: transpose8AVX2, transposeAdd8: transposeAdd8AVX2,
			relu:           reluAVX512,
			reluGradient:   reluGradientAVX512,
			mask:           maskAVX512,
			adam:           adamAVX512,
			sgd:            sgdAVX512,
			sgdMomentum:    sgdMomentumAVX512,
			sgdNesterov:    sgdNesterovAVX512,
			peak:           peakAVX512,
			approximations: approximationsAVX512, arithmetic: arithmeticAVX512, rowPasses: rowPassesAVX512,
		})
	}
	return ps
}

// accumulate and keep are not fields, as the other kernels are, because their callers pass what lies on the stack, which a call
// through a variable would move to the heap.
func (k *path) accumulate(y, x *float32, vectors int) {
	if k.lanes == 16 {
		accumulateAVX512(y, x, vectors)
	} else {
		accumulateAVX2(y, x, vectors)
	}
}

func (k *path) keep(keep *bool, groups int, c *keepConstants) {
	if k.lanes == 16 {
		keepAVX512(keep, groups, (*uint32)(unsafe.Pointer(c)))
	} else {
		keepAVX2(keep, groups, (*uint32)(unsafe.Pointer(c)))
	}
}

// pause lets a waiting loop rest for about a hundred nanoseconds to a microsecond.
func pause() { pauseAMD64(8) }
