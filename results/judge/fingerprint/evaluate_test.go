package fingerprint

import (
	"math"
	"slices"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/record"
	"tandem/results/trace"
)

const (
	batch, length, heads, headWidth = 2, 5, 2, 3
	modelWidth                      = heads * headWidth
	dropped                         = 0.25
)

// attention is a normalization, causal attention with dropout and a projection, written as loops: what the graph of attends says in operators.
type attention struct {
	x, gamma, beta, qkv, projection []float64
	epsilon, scale                  float64
	ahead                           int
	unbiased, eval                  bool
	seed, step                      uint64
}

// normed is the normalization's result, projected the projection's.
func (a *attention) compute() (normed, projected []float64) {
	for at := 0; at < len(a.x); at += modelWidth {
		mean, square := 0.0, 0.0
		for _, v := range a.x[at : at+modelWidth] {
			mean += v
			square += v * v
		}
		mean /= modelWidth
		n := 1.0 * modelWidth
		variance := square/n - mean*mean
		if a.unbiased {
			variance *= n / (n - 1)
		}
		for i, v := range a.x[at : at+modelWidth] {
			normed = append(normed, (v-mean)/math.Sqrt(variance+a.epsilon)*a.gamma[i]+a.beta[i])
		}
	}
	mask := sharedMask(a.seed, a.step, 0, dropped, batch*heads*length*length)
	part := func(which, b, t, h, i int) float64 { // an element of query, key or value
		sum := 0.0
		for k := range modelWidth {
			sum += normed[(b*length+t)*modelWidth+k] * a.qkv[(which*modelWidth+h*headWidth+i)*modelWidth+k]
		}
		return sum
	}
	mixed := make([]float64, batch*length*modelWidth)
	for b := range batch {
		for h := range heads {
			for t := range length {
				var weights []float64
				total := 0.0
				for u := range length {
					score := 0.0
					for i := range headWidth {
						score += part(0, b, t, h, i) * part(1, b, u, h, i) * a.scale
					}
					w := math.Exp(score)
					if u > t+a.ahead {
						w = 0
					}
					weights = append(weights, w)
					total += w
				}
				for u, w := range weights {
					w /= total
					if keep := mask[((b*heads+h)*length+t)*length+u]; !a.eval {
						w /= 1 - dropped
						if !keep {
							w = 0
						}
					}
					for i := range headWidth {
						mixed[(b*length+t)*modelWidth+h*headWidth+i] += w * part(2, b, u, h, i)
					}
				}
			}
		}
	}
	return normed, timesOnce(mixed, a.projection, nil, [3]int{batch * length, modelWidth, modelWidth}, true)
}

// attends makes a value of attention the suspect, the candidate's with a mistake; the values before it are right.
func (s scene) attends(suspect string, mistake func(a *attention)) {
	round := func(x []float64) []float64 { return apply(x, func(v float32) float32 { return v }) }
	a := attention{
		x: s.normal(batch * length * modelWidth), gamma: round(s.normal(modelWidth)), beta: round(s.normal(modelWidth)),
		qkv: round(s.normal(3 * modelWidth * modelWidth)), projection: round(s.normal(modelWidth * modelWidth)),
		epsilon: 1e-5, scale: 1 / math.Sqrt(headWidth), seed: s.Experiment.Seed, step: uint64(s.Step),
	}
	if suspect == "normed" {
		for i := range a.x {
			a.x[i] *= 0.01 // beside an epsilon that counts
		}
	}
	mask := make([]bool, length*length)
	for i := range mask {
		mask[i] = i%length <= i/length
	}
	scalar := func(v float64) *tensor.Tensor { return must(singles([]float64{v}, 1).Reshape()) }
	integers := func(x ...int64) *tensor.Tensor { return must(tensor.Of(x, len(x))) }
	b := onnx.NewBuilder("attention", 20).Input("x", tensor.Float32, -1, length, modelWidth).
		Initializer("gamma", singles(a.gamma, modelWidth)).Initializer("beta", singles(a.beta, modelWidth)).
		Initializer("qkv", singles(a.qkv, 3*modelWidth, modelWidth)).Initializer("projection", singles(a.projection, modelWidth, modelWidth)).
		Initializer("scale", scalar(a.scale)).Initializer("mask", must(tensor.Of(mask, length, length))).
		Initializer("hidden", scalar(math.Inf(-1))).Initializer("p", scalar(dropped)).Initializer("yes", must(must(tensor.Of([]bool{true}, 1)).Reshape())).
		Initializer("rest", integers(-1)).Initializer("split", integers(length, heads, headWidth)).Initializer("joined", integers(length, modelWidth)).
		Node("LayerNormalization", []string{"x", "gamma", "beta"}, []string{"normed"}, map[string]any{"axis": -1, "epsilon": 1e-5}).
		Node("Transpose", []string{"qkv"}, []string{"qkvT"}, map[string]any{"perm": []int64{1, 0}}).
		Node("MatMul", []string{"normed", "qkvT"}, []string{"parts"}, nil).
		Node("Split", []string{"parts"}, []string{"q", "k", "v"}, map[string]any{"axis": 2, "num_outputs": 3}).
		Node("Shape", []string{"x"}, []string{"rows"}, map[string]any{"start": 0, "end": 1}).
		Node("Concat", []string{"rows", "split"}, []string{"shape"}, map[string]any{"axis": 0})
	for _, v := range []string{"q", "k", "v"} {
		b = b.Node("Reshape", []string{v, "shape"}, []string{v + "4"}, nil).
			Node("Transpose", []string{v + "4"}, []string{v + "h"}, map[string]any{"perm": []int64{0, 2, 1, 3}})
	}
	s.Model = must(b.Node("Transpose", []string{"kh"}, []string{"kT"}, map[string]any{"perm": []int64{0, 1, 3, 2}}).
		Node("MatMul", []string{"qh", "kT"}, []string{"scores"}, nil).
		Node("Mul", []string{"scores", "scale"}, []string{"scaled"}, nil).
		Node("Where", []string{"mask", "scaled", "hidden"}, []string{"masked"}, nil).
		Node("Softmax", []string{"masked"}, []string{"weights"}, map[string]any{"axis": -1}).
		Node("Dropout", []string{"weights", "p", "yes"}, []string{"kept"}, nil).
		Node("MatMul", []string{"kept", "vh"}, []string{"mixedh"}, nil).
		Node("Transpose", []string{"mixedh"}, []string{"mixed4"}, map[string]any{"perm": []int64{0, 2, 1, 3}}).
		Node("Concat", []string{"rows", "joined"}, []string{"flat"}, map[string]any{"axis": 0}).
		Node("Reshape", []string{"mixed4", "flat"}, []string{"mixed"}, nil).
		Node("Transpose", []string{"projection"}, []string{"projectionT"}, map[string]any{"perm": []int64{1, 0}}).
		Node("MatMul", []string{"mixed", "projectionT"}, []string{"projected"}, nil).
		Output("projected", tensor.Float32, -1, length, modelWidth).Build())
	manifest := &onnx.Manifest{Scalars: []onnx.Scalar{{Value: "scale", Number: a.scale}}, Constants: []string{"scale", "mask", "hidden", "p", "yes", "rest", "split", "joined"}}
	for _, n := range s.Model.Graph.Nodes {
		if n.OpType == "Dropout" {
			manifest.Dropout = append(manifest.Dropout, onnx.DropoutSite{Node: n.Name, P: dropped})
		}
	}
	s.Model.Manifest = manifest
	exactNormed, exactProjected := a.compute()
	mistake(&a)
	gotNormed, gotProjected := a.compute()
	right := func(name string, x []float64) Pair {
		return Pair{Name: "activations/" + name, Shape: []int{batch, length, modelWidth}, Exact: x, Got: x, Size: trace.Norm(x), Tolerance: 1e-10}
	}
	if suspect == "normed" {
		s.is("activations/normed", exactNormed, gotNormed, batch, length, modelWidth)
	} else {
		s.is("activations/projected", exactProjected, gotProjected, batch, length, modelWidth)
	}
	s.Pairs = append(s.Pairs, right("x", a.x))
	s.Suspect = &s.Pairs[0]
}

// TestNoMistakeInside has a suspect that is off by noise: no alteration may explain it, and the graph as it is gives the reference's value.
func TestNoMistakeInside(t *testing.T) {
	for _, suspect := range []string{"normed", "projected"} {
		s := newScene(1, record.StageForward)
		s.attends(suspect, func(*attention) {})
		if s.inside() == nil {
			t.Errorf("%s is not computed anew", suspect)
		}
		for i := range s.Suspect.Got {
			s.Suspect.Got = slices.Clone(s.Suspect.Got)
			s.Suspect.Got[i] += 1e-4 * s.random.NormFloat64()
		}
		if causes := Causes([]*Look{s.Look}); len(causes) > 0 {
			t.Errorf("%s: %+v", suspect, causes)
		}
	}
}

// TestEvaluationGivesUp has graphs that are not computed anew: nothing is found, and nothing breaks.
func TestEvaluationGivesUp(t *testing.T) {
	for _, test := range []struct {
		says   string
		change func(s scene)
	}{
		{"is not computed anew", func(s scene) { s.Model.Graph.Nodes[0].OpType = "Unheard" }},
		{"does not fit its inputs", func(s scene) { s.Pairs[1].Exact = s.Pairs[1].Exact[:7] }},
		{"is not known", func(s scene) { s.Pairs[1].Off, s.Data = true, nil }},
		{"its mask is not known", func(s scene) { s.Model.Manifest.Dropout = nil }},
	} {
		s := newScene(1, record.StageForward)
		s.attends("projected", func(*attention) {})
		test.change(s)
		if _, _, err := s.evaluate(alteration{}); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%v, want one that says %q", err, test.says)
		}
	}
}

// TestPhilox has the known answers of Random123, the paper's own library.
func TestPhilox(t *testing.T) {
	const all = 0xffffffff
	for _, test := range []struct {
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{[4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{[4]uint32{all, all, all, all}, [2]uint32{all, all}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{[4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	} {
		if got := philox(test.counter, test.key); got != test.want {
			t.Errorf("philox(%x, %x) = %x, want %x", test.counter, test.key, got, test.want)
		}
	}
}
