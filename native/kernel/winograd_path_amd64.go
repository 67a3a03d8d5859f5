//go:build !noasm

package kernel

// The kernels of Winograd's convolution are no fields of the path because what their callers pass lies on the stack, which a call through a variable would move
// to the heap.

func (k *path) winogradInput(to *float32, step uintptr, pixels **float32, vectors int) {
	if k.lanes == 16 {
		winogradInputAVX512(to, step, pixels, vectors)
	} else {
		winogradInputAVX2(to, step, pixels, vectors)
	}
}

func (k *path) winogradOutputGradient(to *float32, step uintptr, pixels **float32, vectors int) {
	if k.lanes == 16 {
		winogradOutputGradientAVX512(to, step, pixels, vectors)
	} else {
		winogradOutputGradientAVX2(to, step, pixels, vectors)
	}
}

func (k *path) winogradOutput(pixels **float32, from *float32, step uintptr, vectors int) {
	if k.lanes == 16 {
		winogradOutputAVX512(pixels, from, step, vectors)
	} else {
		winogradOutputAVX2(pixels, from, step, vectors)
	}
}

func (k *path) winogradOutputAdd(pixels, others **float32, from *float32, step uintptr, vectors int) {
	if k.lanes == 16 {
		winogradOutputAddAVX512(pixels, others, from, step, vectors)
	} else {
		winogradOutputAddAVX2(pixels, others, from, step, vectors)
	}
}

func (k *path) winogradWeights(to *float32, stepTo, rowTo uintptr, from *float32, stepFrom, rowFrom uintptr, vectors, rows int) {
	if k.lanes == 16 {
		winogradWeightsAVX512(to, stepTo, rowTo, from, stepFrom, rowFrom, vectors, rows)
	} else {
		winogradWeightsAVX2(to, stepTo, rowTo, from, stepFrom, rowFrom, vectors, rows)
	}
}

func (k *path) winogradWeightsGradient(to *float32, stepTo, rowTo uintptr, from *float32, stepFrom, rowFrom uintptr, vectors, rows int) {
	if k.lanes == 16 {
		winogradWeightsGradientAVX512(to, stepTo, rowTo, from, stepFrom, rowFrom, vectors, rows)
	} else {
		winogradWeightsGradientAVX2(to, stepTo, rowTo, from, stepFrom, rowFrom, vectors, rows)
	}
}
