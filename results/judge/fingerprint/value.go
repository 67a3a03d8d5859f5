package fingerprint

import (
	"slices"
	"strings"

	"tandem/onnx/tensor"
	"tandem/results/judge/updateformula"
	"tandem/results/trace"
)

// Value is a tensor of the reference's forward pass.
type Value struct {
	Shape   []int
	Whole   bool
	Float64 []float64
}

// value returns what the reference has for a value of the graph at the step: an input of the batch, a parameter or constant, an
// activation or output. It is good to rounding in float64 where the reference computed it, and exact otherwise.
func (l *Look) value(name string) (Value, bool) {
	if name == "" {
		return Value{}, false
	}
	if l.R != nil {
		for _, prefix := range []string{"activations/", "outputs/"} {
			if s, ok := l.R.Float64[prefix+name]; ok {
				x, err := s.Float64s(l.Ref.Sample)
				if err != nil {
					return Value{}, false
				}
				return Value{s.Shape, len(x) == s.Len(), x}, true
			}
		}
		if t := l.stateTensor("parameters/" + name); t != nil {
			return whole(t), true
		}
		if t := l.stateTensor("buffers/" + name); t != nil {
			return whole(t), true
		}
		if l.Data != nil {
			if t := l.Data.Input(name, l.R.Step); t != nil {
				return whole(t), true
			}
		}
	}
	if l.Model != nil {
		if t := l.Model.Graph.Initializer(name); t != nil {
			return whole(t), true
		}
	}
	return Value{}, false
}

func whole(t *tensor.Tensor) Value { return Value{t.Shape(), true, t.Float64s()} }

// stateTensor returns a tensor of the whole state before the step, or nil. The initial state is the model's.
func (l *Look) stateTensor(name string) *tensor.Tensor {
	if l.R == nil {
		return nil
	}
	if l.R.State != nil {
		return l.R.State[name]
	}
	_, after, _ := strings.Cut(name, "/")
	if l.R.InitialState && l.Model != nil && (strings.HasPrefix(name, "parameters/") || strings.HasPrefix(name, "buffers/")) {
		return l.Model.Graph.Initializer(after)
	}
	return nil
}

// stateValues returns a tensor of the state before the step as far as the trace keeps it; an optimizer's slot of the initial state is zero.
func (l *Look) stateValues(name string, like trace.Sampled) []float64 {
	k := l.Ref.Sample
	if t := l.stateTensor(name); t != nil {
		x, err := trace.Sample(t, k).Float64s(k)
		if err != nil {
			return nil
		}
		return x
	}
	if s, ok := l.R.Before[name]; ok {
		if x, err := s.Float64s(k); err == nil {
			return x
		}
		return nil
	}
	if l.R.InitialState && strings.HasPrefix(name, "optimizer/") {
		x, err := like.Float64s(k)
		if err != nil {
			return nil
		}
		initial := 0.0
		if _, slot := parameterOf(name); l.Experiment != nil {
			initial = updateformula.Initial(l.Experiment.Optimizer, slot)
		}
		return slices.Repeat([]float64{initial}, len(x))
	}
	return nil
}
