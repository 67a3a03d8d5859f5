package fingerprint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// roundings are the ways to lose the lower bits of a float32.
var roundings = []struct {
	name  string
	round func(float32) float32
}{
	{"half precision", func(v float32) float32 { return toBits(v, 13, true) }},
	{"half precision, truncated", func(v float32) float32 { return toBits(v, 13, false) }},
	{"bfloat16", func(v float32) float32 { return toBits(v, 16, true) }},
	{"bfloat16, truncated", func(v float32) float32 { return toBits(v, 16, false) }},
	{"float16 with its small exponents", toFloat16},
}

// toBits drops the lowest bits of the fraction, rounding to nearest even or towards zero.
func toBits(v float32, drop int, nearest bool) float32 {
	b := math.Float32bits(v)
	if nearest {
		b += 1<<(drop-1) - 1 + b>>drop&1
	}
	return math.Float32frombits(b &^ (1<<drop - 1))
}

// toFloat16 rounds to IEEE 754 binary16, whose smallest step is 2^-24.
func toFloat16(v float32) float32 {
	a := math.Abs(float64(v))
	if a < 1.0/(1<<14) { // subnormal
		return float32(math.RoundToEven(float64(v)*(1<<24)) / (1 << 24))
	}
	return toBits(v, 13, true)
}

// differing lists the tensors of the initial state that differ, of those that both have in the same shape.
func (l *Look) differing() (differ []engine.TensorInfo, alike, foreign int) {
	got := map[string]engine.TensorInfo{}
	for _, t := range l.Cand.Initial {
		got[t.Name] = t
	}
	for _, want := range l.Ref.Initial {
		g, ok := got[want.Name]
		switch {
		case !ok || !slices.Equal(g.Shape, want.Shape) || g.DType != want.DType:
			foreign++
		case g.SHA256 != want.SHA256:
			differ = append(differ, g)
		default:
			alike++
		}
	}
	return differ, alike, foreign + max(0, len(l.Cand.Initial)-len(l.Ref.Initial))
}

// initial returns a tensor of the reference's initial state, or nil.
func (l *Look) initial(name string) *tensor.Tensor {
	if len(l.Ref.Steps) > 0 && l.Ref.Steps[0].Step == 0 && l.Ref.Steps[0].State != nil {
		return l.Ref.Steps[0].State[name]
	}
	if l.Model != nil {
		_, after, _ := strings.Cut(name, "/")
		return l.Model.Graph.Initializer(after)
	}
	return nil
}

// becomes counts the differing tensors whose digest is that of the reference's tensor after f; f may refuse by nil.
func (l *Look) becomes(f func(t *tensor.Tensor) *tensor.Tensor) (fits, differing int, first string) {
	differ, _, _ := l.differing()
	for _, d := range differ {
		t := l.initial(d.Name)
		if t == nil {
			continue
		}
		if other := f(t); other != nil && other.SHA256() == d.SHA256 {
			if fits++; fits == 1 {
				first = d.Name
			}
		}
	}
	return fits, len(differ), first
}

func mapped(t *tensor.Tensor, f func(float32) float32) *tensor.Tensor {
	if t.DType() != tensor.Float32 {
		return nil
	}
	out := t.Clone()
	for i, v := range tensor.View[float32](out) {
		tensor.View[float32](out)[i] = f(v)
	}
	return out
}

func findWeightsHalf(l *Look) *Finding {
	for _, r := range roundings {
		if fits, n, first := l.becomes(func(t *tensor.Tensor) *tensor.Tensor { return mapped(t, r.round) }); fits > 0 {
			return &Finding{fmt.Sprintf("%s has, bit for bit, the digest of the reference's rounded to %s; so have %d of the %d tensors that differ", first, r.name, fits, n), 0}
		}
	}
	return nil
}

func findWeightsTransposed(l *Look) *Finding {
	fits, n, first := l.becomes(func(t *tensor.Tensor) *tensor.Tensor {
		shape := t.Shape()
		if len(shape) != 2 || t.DType() != tensor.Float32 {
			return nil
		}
		x := tensor.View[float32](t)
		out := tensor.New(tensor.Float32, shape...)
		y := tensor.View[float32](out)
		for i := range shape[0] {
			for j := range shape[1] {
				y[j*shape[0]+i] = x[i*shape[1]+j]
			}
		}
		return out
	})
	if fits == 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("%s has, bit for bit, the digest of the reference's with its elements transposed; so have %d of the %d tensors that differ", first, fits, n), 0}
}

func findWeightsZero(l *Look) *Finding {
	fits, n, first := l.becomes(func(t *tensor.Tensor) *tensor.Tensor { return tensor.New(t.DType(), t.Shape()...) })
	if fits == 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("%s is zero throughout; so are %d of the %d tensors that differ", first, fits, n), 0}
}

// findOtherWeights is what remains: the same layout with other numbers.
func findOtherWeights(l *Look) *Finding {
	differ, alike, foreign := l.differing()
	if len(differ) == 0 || foreign > 0 {
		return nil
	}
	parameters := 0
	for _, d := range differ {
		if strings.HasPrefix(d.Name, "parameters/") {
			parameters++
		}
	}
	if parameters == 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("%d parameters have other bits, %d tensors of the initial state the same: the weights are not the exported ones", parameters, alike), math.NaN()}
}

func findOtherLayout(l *Look) *Finding {
	if _, _, foreign := l.differing(); foreign > 0 {
		return &Finding{fmt.Sprintf("%d tensors of the initial state are on one side alone or have another shape or type: another model", foreign), math.NaN()}
	}
	return nil
}

// findStateNotTaken is for initial states that are alike and given ones that were not taken over.
func findStateNotTaken(l *Look) *Finding {
	differ, _, foreign := l.differing()
	if len(differ) > 0 || foreign > 0 || len(l.Cand.Steps) == 0 {
		return nil
	}
	return &Finding{"the initial state is right, and a state that the candidate was given is not what it held afterwards: set_state does not take all of it, or grad and update change it", math.NaN()}
}

// dataBecomes reports whether the candidate's digest of a tensor of the data is that of the reference's after f.
func (l *Look) dataBecomes(name string, f func(t *tensor.Tensor) *tensor.Tensor) bool {
	if l.Data == nil {
		return false
	}
	t := l.Data.tensors[name]
	want, got := l.Ref.Loaded.Data[name], l.Cand.Loaded.Data[name]
	if t == nil || got == "" || got == want {
		return false
	}
	other := f(t)
	return other != nil && other.SHA256() == got
}

func ints(t *tensor.Tensor, f func(x []int64) []int64) *tensor.Tensor {
	if t.DType() != tensor.Int64 {
		return nil
	}
	x := f(slices.Clone(tensor.View[int64](t)))
	shape := slices.Clone(t.Shape())
	if len(shape) != 1 {
		return nil
	}
	out, err := tensor.Of(x, len(x))
	if err != nil {
		return nil
	}
	return out
}

func (l *Look) digestLabels() *Finding {
	for _, by := range []int64{1, -1} {
		for _, name := range []string{"train/target", "test/target"} {
			if l.dataBecomes(name, func(t *tensor.Tensor) *tensor.Tensor {
				return ints(t, func(x []int64) []int64 {
					classes := slices.Max(x) + 1
					for i, c := range x {
						x[i] = (c + by + classes) % classes
					}
					return x
				})
			}) {
				return &Finding{fmt.Sprintf("%s has, bit for bit, the digest of the reference's with every label moved by %+d", name, by), 0}
			}
		}
	}
	return nil
}

func (l *Look) digestOffsets() *Finding {
	if !l.dataBecomes("offsets", func(t *tensor.Tensor) *tensor.Tensor {
		return ints(t, func(x []int64) []int64 {
			out := []int64{0}
			for i := 1; i < len(x); i++ {
				if x[i]-x[i-1] == x[1]-x[0] {
					out = append(out, out[len(out)-1]+x[1]-x[0])
				}
			}
			return out
		})
	}) {
		return nil
	}
	return &Finding{"the offsets have, bit for bit, the digest of the reference's without its short batches", 0}
}

// findPermuted knows the orders that a forgotten shuffle leaves.
func findPermuted(l *Look) *Finding {
	if l.Data == nil {
		return nil
	}
	samples := l.Data.samples()
	for _, o := range []struct {
		name string
		f    func(x []int64) []int64
	}{
		{"in the order of the file, not shuffled", func(x []int64) []int64 {
			for i := range x {
				x[i] = int64(i) % samples
			}
			return x
		}},
		{"backwards", func(x []int64) []int64 { slices.Reverse(x); return x }},
		{"in the order of the first epoch every time", func(x []int64) []int64 {
			for i := samples; i < int64(len(x)); i++ {
				x[i] = x[i-samples]
			}
			return x
		}},
	} {
		if l.dataBecomes("order", func(t *tensor.Tensor) *tensor.Tensor { return ints(t, o.f) }) {
			return &Finding{"the same samples come " + o.name + ": the order has that digest, bit for bit", 0}
		}
	}
	return nil
}

func findInputScaled(l *Look) *Finding {
	if l.Data == nil {
		return nil
	}
	for name := range l.Data.Inputs {
		for _, f := range []struct {
			name string
			f    func(float32) float32
		}{
			{"times 255", func(v float32) float32 { return v * 255 }},
			{"divided by 255", func(v float32) float32 { return v / 255 }},
			{"divided by 256", func(v float32) float32 { return v / 256 }},
			{"times 255/256", func(v float32) float32 { return v * (255.0 / 256) }},
			{"2x-1", func(v float32) float32 { return 2*v - 1 }},
		} {
			if l.dataBecomes("train/"+name, func(t *tensor.Tensor) *tensor.Tensor { return mapped(t, f.f) }) {
				return &Finding{fmt.Sprintf("train/%s has, bit for bit, the digest of the reference's %s", name, f.name), 0}
			}
		}
	}
	return nil
}
