//go:build !noasm

package kernel

var approximationsAVX2 = approximations{
	exp: expAVX2, log: logAVX2, tanh: tanhAVX2, sigmoid: sigmoidAVX2, erf: erfAVX2, gelu: geluAVX2, geluTanh: geluTanhAVX2,
	tanhGradient: tanhGradientAVX2, sigmoidGradient: sigmoidGradientAVX2, erfGradient: erfGradientAVX2,
	geluGradient: geluGradientAVX2, geluTanhGradient: geluTanhGradientAVX2, geluBoth: geluBothAVX2,
}

var approximationsAVX512 = approximations{
	exp: expAVX512, log: logAVX512, tanh: tanhAVX512, sigmoid: sigmoidAVX512, erf: erfAVX512, gelu: geluAVX512, geluTanh: geluTanhAVX512,
	tanhGradient: tanhGradientAVX512, sigmoidGradient: sigmoidGradientAVX512, erfGradient: erfGradientAVX512,
	geluGradient: geluGradientAVX512, geluTanhGradient: geluTanhGradientAVX512, geluBoth: geluBothAVX512,
}

var arithmeticAVX2 = arithmetic{
	add: addAVX2, sub: subAVX2, mul: mulAVX2, div: divAVX2, addNumber: addNumberAVX2, mulNumber: mulNumberAVX2, divNumber: divNumberAVX2,
	subFromNumber: subFromNumberAVX2, divNumberBy: divNumberByAVX2,
}

var arithmeticAVX512 = arithmetic{
	add: addAVX512, sub: subAVX512, mul: mulAVX512, div: divAVX512, addNumber: addNumberAVX512, mulNumber: mulNumberAVX512, divNumber: divNumberAVX512,
	subFromNumber: subFromNumberAVX512, divNumberBy: divNumberByAVX512,
}
