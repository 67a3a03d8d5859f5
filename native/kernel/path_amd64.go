//go:build !noasm

package kernel

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

//go:generate go -C _gen run . -part kernel -out ../kernel_amd64.s -stubs ../kernel_amd64.go -pkg kernel
//go:generate go -C _gen run . -part philox -out ../philox_amd64.s -stubs ../philox_amd64.go -pkg kernel
//go:generate go -C _gen run . -part math -out ../math_amd64.s -stubs ../math_amd64.go -pkg kernel
//go:generate go -C _gen run . -part channels -out ../channels_amd64.s -stubs ../channels_amd64.go -pkg kernel
//go:generate go -C _gen run . -part winograd -out ../winograd_amd64.s -stubs ../winograd_amd64.go -pkg kernel

// vectorPaths returns the paths for which the processor has the instructions and the operating system saves the registers.
func vectorPaths() (ps []*path) {
	if !cpu.X86.HasAVX2 || !cpu.X86.HasFMA {
		return nil
	}
	ps = append(ps, &path{
		name: "avx2", lanes: 8, tileRows: 6,
		strips: [2][]stripFunc{
			{nil, strip1x8AVX2, strip2x8AVX2, strip3x8AVX2, strip4x8AVX2, strip5x8AVX2, strip6x8AVX2},
			{nil, strip1x16AVX2, strip2x16AVX2, strip3x16AVX2, strip4x16AVX2, strip5x16AVX2, strip6x16AVX2},
		},
		deepTiles: [2][]deepTileFunc{
			{nil, deepTile1x8AVX2, deepTile2x8AVX2, deepTile3x8AVX2, deepTile4x8AVX2, deepTile5x8AVX2, deepTile6x8AVX2},
			{nil, deepTile1x16AVX2, deepTile2x16AVX2, deepTile3x16AVX2, deepTile4x16AVX2, deepTile5x16AVX2, deepTile6x16AVX2},
		},
		transpose8: transpose8AVX2, transposeAdd8: transposeAdd8AVX2, copyRows: copyRowsAVX2, copyPanel: copyPanelAVX2,
		relu:                    reluAVX2,
		reluGradient:            reluGradientAVX2,
		gate:                    gateAVX2,
		clip:                    clipAVX2,
		clipGradient:            clipGradientAVX2,
		hardSwish:               hardSwishAVX2,
		hardSwishGradient:       hardSwishGradientAVX2,
		mask:                    maskAVX2,
		reluDropout:             reluDropoutAVX2,
		adam:                    adamAVX2,
		sgd:                     sgdAVX2,
		sgdMomentum:             sgdMomentumAVX2,
		sgdNesterov:             sgdNesterovAVX2,
		rmsprop:                 rmspropAVX2,
		rmspropMomentum:         rmspropMomentumAVX2,
		rmspropCentered:         rmspropCenteredAVX2,
		rmspropCenteredMomentum: rmspropCenteredMomentumAVX2,
		adagrad:                 adagradAVX2,
		nadam:                   nadamAVX2,
		lion:                    lionAVX2,
		addScaled:               addScaledAVX2,
		peak:                    peakAVX2,
		approximations:          approximationsAVX2, arithmetic: arithmeticAVX2, rowPasses: rowPassesAVX2, channelPasses: channelPassesAVX2,
		depthwisePasses: depthwisePassesAVX2, poolingPasses: poolingPassesAVX2,
	})
	if cpu.X86.HasAVX512F {
		ps = append(ps, &path{
			name: "avx512", lanes: 16, tileRows: 12,
			strips: [2][]stripFunc{
				{
					nil, strip1x16AVX512, strip2x16AVX512, strip3x16AVX512, strip4x16AVX512, strip5x16AVX512, strip6x16AVX512,
					strip7x16AVX512, strip8x16AVX512, strip9x16AVX512, strip10x16AVX512, strip11x16AVX512, strip12x16AVX512,
				},
				{
					nil, strip1x32AVX512, strip2x32AVX512, strip3x32AVX512, strip4x32AVX512, strip5x32AVX512, strip6x32AVX512,
					strip7x32AVX512, strip8x32AVX512, strip9x32AVX512, strip10x32AVX512, strip11x32AVX512, strip12x32AVX512,
				},
			},
			deepTiles: [2][]deepTileFunc{
				{
					nil, deepTile1x16AVX512, deepTile2x16AVX512, deepTile3x16AVX512, deepTile4x16AVX512, deepTile5x16AVX512, deepTile6x16AVX512, deepTile7x16AVX512, deepTile8x16AVX512, deepTile9x16AVX512, deepTile10x16AVX512, deepTile11x16AVX512, deepTile12x16AVX512,
				},
				{
					nil, deepTile1x32AVX512, deepTile2x32AVX512, deepTile3x32AVX512, deepTile4x32AVX512, deepTile5x32AVX512, deepTile6x32AVX512, deepTile7x32AVX512, deepTile8x32AVX512, deepTile9x32AVX512, deepTile10x32AVX512, deepTile11x32AVX512, deepTile12x32AVX512,
				},
			},
			stripsAdam: [2][]stripAdamFunc{
				{
					nil, stripAdam1x32AVX512, stripAdam2x32AVX512, stripAdam3x32AVX512, stripAdam4x32AVX512, stripAdam5x32AVX512, stripAdam6x32AVX512,
					stripAdam7x32AVX512, stripAdam8x32AVX512, stripAdam9x32AVX512, stripAdam10x32AVX512, stripAdam11x32AVX512, stripAdam12x32AVX512,
				},
				{
					nil, stripAdamDecay1x32AVX512, stripAdamDecay2x32AVX512, stripAdamDecay3x32AVX512, stripAdamDecay4x32AVX512, stripAdamDecay5x32AVX512, stripAdamDecay6x32AVX512,
					stripAdamDecay7x32AVX512, stripAdamDecay8x32AVX512, stripAdamDecay9x32AVX512, stripAdamDecay10x32AVX512, stripAdamDecay11x32AVX512, stripAdamDecay12x32AVX512,
				},
			},
			transpose8: transpose8AVX2, transposeAdd8: transposeAdd8AVX2, copyRows: copyRowsAVX2, copyPanel: copyPanelAVX512,
			relu:                    reluAVX512,
			reluGradient:            reluGradientAVX512,
			gate:                    gateAVX512,
			clip:                    clipAVX512,
			clipGradient:            clipGradientAVX512,
			hardSwish:               hardSwishAVX512,
			hardSwishGradient:       hardSwishGradientAVX512,
			mask:                    maskAVX512,
			reluDropout:             reluDropoutAVX512,
			adam:                    adamAVX512,
			sgd:                     sgdAVX512,
			sgdMomentum:             sgdMomentumAVX512,
			sgdNesterov:             sgdNesterovAVX512,
			rmsprop:                 rmspropAVX512,
			rmspropMomentum:         rmspropMomentumAVX512,
			rmspropCentered:         rmspropCenteredAVX512,
			rmspropCenteredMomentum: rmspropCenteredMomentumAVX512,
			adagrad:                 adagradAVX512,
			nadam:                   nadamAVX512,
			lion:                    lionAVX512,
			addScaled:               addScaledAVX512,
			peak:                    peakAVX512,
			approximations:          approximationsAVX512, arithmetic: arithmeticAVX512, rowPasses: rowPassesAVX512, channelPasses: channelPassesAVX512,
			depthwisePasses: depthwisePassesAVX512, poolingPasses: poolingPassesAVX512,
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

func (k *path) keep(keep *bool, groups, rows int, step uint32, c *keepConstants) {
	if k.lanes == 16 {
		keepAVX512(keep, groups, rows, step, (*uint32)(unsafe.Pointer(c)))
	} else {
		keepAVX2(keep, groups, rows, step, (*uint32)(unsafe.Pointer(c)))
	}
}

// pause lets a waiting loop rest for about a hundred nanoseconds to a microsecond.
func pause() { pauseAMD64(8) }
