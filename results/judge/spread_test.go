package judge

import (
	"math"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/record"
	"tandem/results/trace"
)

// TestGapOfARunningMean has a mean that is nothing but rounding beside the spread of its terms: a float64 rounding of those is no mistake, one of
// float32 is; and without the spread nothing is known of the terms.
func TestGapOfARunningMean(t *testing.T) {
	set := func(mean float64, variance string) trace.Set {
		s := trace.Set{}
		for name, v := range map[string]float64{"buffers/bn.running_mean": mean, "buffers/" + variance: 4, "buffers/far.running_mean": 100} {
			values, err := tensor.Of([]float64{v}, 1)
			if err != nil {
				t.Fatal(err)
			}
			s[name] = trace.Sampled{Shape: []int{1}, Values: values}
		}
		return s
	}
	limits := experiment.Thresholds{StructuralZero: 1e-12}
	for _, tt := range []struct {
		variance string
		off      float64
		want     float64
	}{
		{"bn.running_var", 2e-16, 1e-16},
		{"bn.running_var", 2e-8, 1e-8},
		{"other.running_var", 2e-16, 2e-7},
	} {
		exact, double := set(1e-9, tt.variance), set(1e-9+tt.off, tt.variance)
		j, s := &judgement{limits: limits}, &stage{name: record.StageBuffers}
		f := family{what: "buffer", prefix: "buffers/", trim: true, exact: exact, single: exact, double: double, bare: true}
		for _, e := range j.compare(s, f) {
			if e.Name != "bn.running_mean" {
				continue
			}
			if got := float64(*e.Float64Gap); math.Abs(got/tt.want-1) > 1e-6 {
				t.Errorf("with %s, off by %g: the gap is %g, want %g", tt.variance, tt.off, got, tt.want)
			}
		}
	}
}
