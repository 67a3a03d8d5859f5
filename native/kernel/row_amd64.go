//go:build !noasm

package kernel

var rowPassesAVX2 = rowPasses{
	largest:               largestAVX2,
	sum:                   sumAVX2,
	dot:                   dotAVX2,
	sumOfSquares:          sumOfSquaresAVX2,
	squares:               squaresAVX2,
	expSum:                expSumAVX2,
	sumExp:                sumExpAVX2,
	scaledExp:             scaledExpAVX2,
	subtractBoth:          subtractBothAVX2,
	softmaxGradient:       softmaxGradientAVX2,
	logSoftmaxGradient:    logSoftmaxGradientAVX2,
	normalize:             normalizeAVX2,
	normalizeUnshifted:    normalizeUnshiftedAVX2,
	layerNormSums:         layerNormSumsAVX2,
	layerNormGradient:     layerNormGradientAVX2,
	accumulateNormalized:  accumulateNormalizedAVX2,
	sumRows:               sumRowsAVX2,
	softmaxRows:           softmaxRowsAVX2,
	softmaxGradientRows:   softmaxGradientRowsAVX2,
	layerNormRows:         layerNormRowsAVX2,
	layerNormGradientRows: layerNormGradientRowsAVX2,
	dotCentred:            dotCentredAVX2,
	centreAndScale:        centreAndScaleAVX2,
	batchNormData:         batchNormDataAVX2,
}

var rowPassesAVX512 = rowPasses{
	largest:               largestAVX512,
	sum:                   sumAVX512,
	dot:                   dotAVX512,
	sumOfSquares:          sumOfSquaresAVX512,
	squares:               squaresAVX512,
	expSum:                expSumAVX512,
	sumExp:                sumExpAVX512,
	scaledExp:             scaledExpAVX512,
	subtractBoth:          subtractBothAVX512,
	softmaxGradient:       softmaxGradientAVX512,
	logSoftmaxGradient:    logSoftmaxGradientAVX512,
	normalize:             normalizeAVX512,
	normalizeUnshifted:    normalizeUnshiftedAVX512,
	layerNormSums:         layerNormSumsAVX512,
	layerNormGradient:     layerNormGradientAVX512,
	accumulateNormalized:  accumulateNormalizedAVX512,
	sumRows:               sumRowsAVX512,
	softmaxRows:           softmaxRowsAVX512,
	softmaxGradientRows:   softmaxGradientRowsAVX512,
	layerNormRows:         layerNormRowsAVX512,
	layerNormGradientRows: layerNormGradientRowsAVX512,
	dotCentred:            dotCentredAVX512,
	centreAndScale:        centreAndScaleAVX512,
	batchNormData:         batchNormDataAVX512,
}

// These two are no fields because what their callers pass lies on the stack, which a call through a variable would move to the heap.
func (k *path) narrowSumExp(largest, x *float32, n, rows int, sums *float64) {
	if k.lanes == 16 {
		narrowSumExpAVX512(largest, x, n, rows, sums)
	} else {
		narrowSumExpAVX2(largest, x, n, rows, sums)
	}
}

func (k *path) narrowSubtract(y, x, a, b *float32, n, rows int) {
	if k.lanes == 16 {
		narrowSubtractAVX512(y, x, a, b, n, rows)
	} else {
		narrowSubtractAVX2(y, x, a, b, n, rows)
	}
}
