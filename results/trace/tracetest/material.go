package tracetest

import (
	"slices"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Experiment is what the engine trains, as far as a reader of its traces may ask.
func Experiment() *experiment.Experiment {
	return &experiment.Experiment{
		Name: "tracetest",
		Loss: experiment.Loss{Kind: "cross_entropy", Reduction: "mean"},
		Optimizer: experiment.Optimizer{
			Kind: "adamw", LearningRate: rate, Betas: [2]float64{beta1, beta2}, Eps: epsilon, WeightDecay: decaying,
		},
		Train: experiment.Train{Batch: batch, Epochs: 64},
	}
}

// Data returns the tensors of the data file that the engine of that seed would read.
func Data(seed uint64) (map[string]*tensor.Tensor, error) {
	e := &Engine{Seed: seed}
	e.makeData()
	offsets := []int64{0}
	for step := range int64(64 * perPass) {
		offsets = append(offsets, offsets[step]+int64(len(e.rows(step, true))))
	}
	out := map[string]*tensor.Tensor{}
	var err error
	put := func(name string, t *tensor.Tensor, bad error) {
		out[name] = t
		if bad != nil {
			err = bad
		}
	}
	x, bad := tensor.Of(e.x, samples, inputs)
	put("train/x", x, bad)
	ints := func(name string, v []int) {
		long := make([]int64, len(v))
		for i := range v {
			long[i] = int64(v[i])
		}
		t, bad := tensor.Of(long, len(long))
		put(name, t, bad)
	}
	ints("train/target", e.labels)
	ints("order", e.order)
	t, bad := tensor.Of(offsets, len(offsets))
	put("offsets", t, bad)
	return out, err
}

// Model is the network as a graph with the weights of a seed. Between z1 and a1 there is a value that no trace has.
func Model(seed uint64) (*onnx.Model, error) {
	e := &Engine{Seed: seed}
	e.weights(seed)
	scalar := func(t *tensor.Tensor, err error) *tensor.Tensor {
		if err == nil {
			t, err = t.Reshape()
		}
		if err != nil {
			panic("tracetest: " + err.Error()) // one element is a scalar
		}
		return t
	}
	linear := map[string]any{"transB": 1}
	b := onnx.NewBuilder("tracetest", 20).Input("x", tensor.Float32, -1, inputs)
	for _, name := range slices.Sorted(slices.Values([]string{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"})) {
		b.Initializer(name, e.tensor("parameters/"+name))
	}
	return b.
		Initializer("p", scalar(tensor.Of([]float32{1 - keep}))).Initializer("yes", scalar(tensor.Of([]bool{true}))).
		Node("Gemm", []string{"x", "fc1.weight", "fc1.bias"}, []string{"z1"}, linear).
		Node("Relu", []string{"z1"}, []string{"r1"}, nil).
		Node("Dropout", []string{"r1", "p", "yes"}, []string{"a1"}, nil).
		Node("Gemm", []string{"a1", "fc2.weight", "fc2.bias"}, []string{"logits"}, linear).
		Output("logits", tensor.Float32, -1, classes).
		Build()
}
