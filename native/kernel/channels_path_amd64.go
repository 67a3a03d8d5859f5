//go:build !noasm

package kernel

var channelPassesAVX2 = channelPasses{
	channelMoments:           channelMomentsAVX2,
	channelGradientSums:      channelGradientSumsAVX2,
	channelGatedGradientSums: channelGatedGradientSumsAVX2,
	channelNormalize:         channelNormalizeAVX2,
	channelNormalizeRelu:     channelNormalizeReluAVX2,
	channelNormalizeAdd:      channelNormalizeAddAVX2,
	channelNormalizeAddRelu:  channelNormalizeAddReluAVX2,
	channelData:              channelDataAVX2,
	channelGatedData:         channelGatedDataAVX2,
	channelGatedDataKeep:     channelGatedDataKeepAVX2,
}

var channelPassesAVX512 = channelPasses{
	channelMoments:           channelMomentsAVX512,
	channelGradientSums:      channelGradientSumsAVX512,
	channelGatedGradientSums: channelGatedGradientSumsAVX512,
	channelNormalize:         channelNormalizeAVX512,
	channelNormalizeRelu:     channelNormalizeReluAVX512,
	channelNormalizeAdd:      channelNormalizeAddAVX512,
	channelNormalizeAddRelu:  channelNormalizeAddReluAVX512,
	channelData:              channelDataAVX512,
	channelGatedData:         channelGatedDataAVX512,
	channelGatedDataKeep:     channelGatedDataKeepAVX512,
}

var depthwisePassesAVX2 = depthwisePasses{depthwiseSums: depthwiseSumsAVX2, depthwiseProducts: depthwiseProductsAVX2}

var depthwisePassesAVX512 = depthwisePasses{depthwiseSums: depthwiseSumsAVX512, depthwiseProducts: depthwiseProductsAVX512}

var poolingPassesAVX2 = poolingPasses{maxPoolPixels: maxPoolPixelsAVX2}

var poolingPassesAVX512 = poolingPasses{maxPoolPixels: maxPoolPixelsAVX512}
