//go:build !amd64 || noasm

package kernel

func vectorPaths() []*path { return nil }

// The generic path has no vectors, so that no one calls these.
func (k *path) accumulate(*float32, *float32, int)           { panic("kernel: no vectors") }
func (k *path) keep(*bool, int, int, uint32, *keepConstants) { panic("kernel: no vectors") }

func (k *path) narrowSumExp(*float32, *float32, int, int, *float64) {
	panic("kernel: no vectors")
}

func (k *path) narrowSubtract(*float32, *float32, *float32, *float32, int, int) {
	panic("kernel: no vectors")
}

func (k *path) winogradInput(*float32, uintptr, **float32, int) { panic("kernel: no vectors") }

func (k *path) winogradOutputGradient(*float32, uintptr, **float32, int) { panic("kernel: no vectors") }

func (k *path) winogradOutput(**float32, *float32, uintptr, int) { panic("kernel: no vectors") }

func (k *path) winogradOutputAdd(_, _ **float32, _ *float32, _ uintptr, _ int) {
	panic("kernel: no vectors")
}

func (k *path) winogradWeights(*float32, uintptr, uintptr, *float32, uintptr, uintptr, int, int) {
	panic("kernel: no vectors")
}

func (k *path) winogradWeightsGradient(*float32, uintptr, uintptr, *float32, uintptr, uintptr, int, int) {
	panic("kernel: no vectors")
}

// pause has nothing to rest with here.
func pause() {}
