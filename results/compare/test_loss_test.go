package compare

import (
	"math"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/record"
	"tandem/results/trace"
)

// TestQualityFollowsTheLoss: the accuracy of classes, ignored ones aside, and the loss of numbers; of several outputs the first counts.
func TestQualityFollowsTheLoss(t *testing.T) {
	of := func(data []float32, shape ...int) *tensor.Tensor {
		x, err := tensor.Of(data, shape...)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	quality := func(o *Options, outputs trace.Tensors) (*record.Run, error) {
		common := trace.Common{EvalInitial: outputs, EvalTrained: outputs}
		r := &record.Run{}
		return r, o.quality(r, &trace.Reference{Common: common}, &trace.Candidate{Common: common})
	}
	ignored := 1
	outputs := trace.Tensors{"outputs/logits": of([]float32{0, 2, 3, 1, 5, 4}, 3, 2), "outputs/output_1": of([]float32{1, 2, 3}, 3)}
	entropy := &experiment.Experiment{Loss: experiment.Loss{Kind: "cross_entropy", Reduction: "mean"}}
	for _, tt := range []struct {
		ignore *int
		want   float64
		rows   int
	}{{nil, 2.0 / 3, 3}, {&ignored, 0.5, 2}} {
		entropy.Loss.IgnoreIndex = tt.ignore
		r, err := quality(&Options{Experiment: entropy, Data: Data{TestTargets: []int64{1, 0, 1}}}, outputs)
		if tt.ignore != nil {
			r, err = quality(&Options{Experiment: entropy, Data: Data{TestTargets: []int64{1, 0, 2}}}, trace.Tensors{"outputs/y": of([]float32{0, 2, 0, 3, 1, 0, 5, 4, 0}, 3, 3)})
		}
		if err != nil || r.Accuracy == nil || math.Abs(r.Accuracy.Reference-tt.want) > 1e-15 || r.Accuracy.Rows != tt.rows {
			t.Errorf("%+v, %v", r.Accuracy, err)
		}
	}
	squares := &experiment.Experiment{Loss: experiment.Loss{Kind: "mse", Reduction: "mean"}}
	r, err := quality(&Options{Experiment: squares, Data: Data{TestNumbers: []float64{0, 2, 3, 1, 5, 1}}}, outputs)
	if err != nil || r.TestLoss == nil || float64(r.TestLoss.Candidate) != 1.5 || r.TestLoss.Rows != 3 || r.Accuracy != nil {
		t.Errorf("%+v, %v", r.TestLoss, err)
	}
	if _, err := quality(&Options{Experiment: squares, Data: Data{TestNumbers: []float64{0}}}, outputs); err == nil {
		t.Error("one target for six numbers")
	}
	if _, err := quality(&Options{Experiment: squares}, trace.Tensors{"outputs/a": of([]float32{1}, 1), "outputs/b": of([]float32{1}, 1)}); err == nil {
		t.Error("two outputs, and none called logits")
	}
}
