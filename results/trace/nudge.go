package trace

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"tandem/onnx/tensor"
)

// Nudge returns a copy of a float32 state in which every parameter element is moved to the next float32 up or down:
// the smallest change that the number format knows, and as large as the rounding of one operation. Directions are bits of
// math/rand/v2's PCG seeded with (seed, run), 64 from each Uint64, the lowest bit first and a set one meaning up, over
// the parameters in the order of their names and each row by row. Zeros stay: the number next to zero is 1e-45, which is no rounding
// of anything. So do infinities and NaN. Buffers and optimizer slots stay as well.
func Nudge(state Tensors, seed, run uint64) Tensors {
	out := maps.Clone(state)
	random := rand.NewPCG(seed, run)
	var bits uint64
	left := 0
	for _, name := range slices.Sorted(maps.Keys(state)) {
		t := state[name]
		if !strings.HasPrefix(name, "parameters/") || t.DType() != tensor.Float32 {
			continue
		}
		t = t.Clone()
		out[name] = t
		values := tensor.View[float32](t)
		for i, v := range values {
			if left == 0 {
				bits, left = random.Uint64(), 64
			}
			toward := float32(math.Inf(-1))
			if bits&1 == 1 {
				toward = float32(math.Inf(1))
			}
			bits >>= 1
			left--
			if v != 0 && !math.IsInf(float64(v), 0) {
				values[i] = math.Nextafter32(v, toward)
			}
		}
	}
	return out
}
