package compare

import (
	"math"
	"strings"
	"testing"

	"tandem/onnx/tensor"
	"tandem/results/record"
	"tandem/results/trace"
)

func scores(t *testing.T, data []float32, shape ...int) trace.Tensors {
	t.Helper()
	v, err := tensor.Of(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return trace.Tensors{"outputs/logits": v}
}

func TestPerplexity(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		name    string
		outputs trace.Tensors
		targets []int64
		want    float64
	}{
		// Four equal scores are as hard to tell as four equally likely classes.
		{"equal", scores(t, make([]float32, 24), 2, 3, 4), []int64{0, 1, 2, 3, 0, 1}, 4},
		{"sure and right", scores(t, []float32{0, 99, 99, 0}, 1, 2, 2), []int64{1, 0}, 1},
		// -log softmax is log(1+e) and log(1+1/e): the mean is log(1+e) - 1/2.
		{"one of each", scores(t, []float32{1, 0, 1, 0}, 1, 2, 2), []int64{0, 1}, (1 + math.E) * math.Exp(-0.5)},
		{"large scores", scores(t, []float32{10000, 10000}, 1, 1, 2), []int64{1}, 2},
		{"not a number", scores(t, []float32{nan, 0}, 1, 1, 2), []int64{1}, math.NaN()},
		{"infinite", scores(t, []float32{inf, 0}, 1, 1, 2), []int64{0}, math.NaN()},
	} {
		got, err := perplexity(tt.outputs, labels{targets: tt.targets})
		if err != nil || !(math.Abs(got-tt.want) <= 1e-12*tt.want) && !(math.IsNaN(got) && math.IsNaN(tt.want)) {
			t.Errorf("%s: %v, want %v (%v)", tt.name, got, tt.want, err)
		}
	}
	for _, tt := range []struct {
		name    string
		outputs trace.Tensors
		targets []int64
		want    string
	}{
		{"no output", trace.Tensors{}, []int64{0}, "the model has 0"},
		{"no target", scores(t, nil, 0, 1, 2), nil, "for 0 targets"},
		{"too few targets", scores(t, make([]float32, 8), 2, 2, 2), []int64{0, 1}, "[2 2 2] for 2 targets"},
		{"no class", scores(t, make([]float32, 2), 1, 1, 2), []int64{2}, "class 2 of 2"},
	} {
		if _, err := perplexity(tt.outputs, labels{targets: tt.targets}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: the error is %v", tt.name, err)
		}
	}
}

// TestQuality: what is reported depends on whether a sample has one target or one for each position.
func TestQuality(t *testing.T) {
	outputs := scores(t, []float32{0, 1, 0, 1}, 2, 2)
	common := trace.Common{EvalInitial: outputs, EvalTrained: outputs}
	o, r := &Options{Data: Data{TestTargets: []int64{1, 0}}}, &record.Run{}
	if err := o.quality(r, &trace.Reference{Common: common}, &trace.Candidate{Common: common}); err != nil || r.Accuracy == nil || r.Accuracy.Candidate != 0.5 || r.Perplexity != nil {
		t.Errorf("%+v, %+v, %v", r.Accuracy, r.Perplexity, err)
	}
	o.Data.Positions, r = 1, &record.Run{}
	if err := o.quality(r, &trace.Reference{Common: common}, &trace.Candidate{Common: common}); err != nil || r.Perplexity == nil || r.Perplexity.Positions != 2 || r.Accuracy != nil {
		t.Errorf("%+v, %+v, %v", r.Accuracy, r.Perplexity, err)
	}
}
