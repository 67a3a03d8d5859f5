package fingerprint

import (
	"math"

	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/trace"
)

// filter is a convolution with a stride and a normalization by the batch's statistics, written from the definitions: what the graph of convolves says.
type filter struct {
	x, w, b, gamma, beta []float64 // x (2, 2, 6, 6), w (3, 2, 3, 3), b, gamma, beta (3)
	before               int       // rows and columns of the border before the image
	flipped              bool
	epsilon              float64
}

func (f *filter) compute() (filtered, normed []float64) {
	const side = 3
	at := func(n, c, row, column int) float64 {
		if row < 0 || row >= 6 || column < 0 || column >= 6 {
			return 0
		}
		return f.x[((n*2+c)*6+row)*6+column]
	}
	for n := range 2 {
		for m := range 3 {
			for row := range side {
				for column := range side {
					sum := f.b[m]
					for k := range 18 {
						c, i, j := k/9, k/3%3, k%3
						w := f.w[m*18+k]
						if f.flipped {
							w = f.w[m*18+c*9+8-k%9]
						}
						sum += w * at(n, c, 2*row+i-f.before, 2*column+j-f.before)
					}
					filtered = append(filtered, sum)
				}
			}
		}
	}
	normed = make([]float64, len(filtered))
	for m := range 3 {
		sum, square, count := 0.0, 0.0, 0.0
		for i, v := range filtered {
			if i/(side*side)%3 == m {
				sum, square, count = sum+v, square+v*v, count+1
			}
		}
		mean := sum / count
		deviation := math.Sqrt(square/count - mean*mean + f.epsilon)
		for i, v := range filtered {
			if i/(side*side)%3 == m {
				normed[i] = (v-mean)/deviation*f.gamma[m] + f.beta[m]
			}
		}
	}
	return filtered, normed
}

// convolves makes a model of a filter, whose value of that name the candidate computes with a mistake.
func (s scene) convolves(suspect string, mistake func(f *filter)) {
	round := func(x []float64) []float64 { return apply(x, func(v float32) float32 { return v }) }
	f := filter{
		x: round(s.normal(2 * 2 * 36)), w: round(s.normal(3 * 18)), b: round(s.normal(3)), gamma: round(s.normal(3)), beta: round(s.normal(3)),
		before: 1, epsilon: 1e-5,
	}
	if suspect == "normed" {
		for i := range f.w {
			f.w[i] = float64(float32(f.w[i] * 0.01)) // beside an epsilon that counts
		}
	}
	s.Model = must(onnx.NewBuilder("filter", 20).Input("x", tensor.Float32, -1, 2, 6, 6).
		Initializer("w", singles(f.w, 3, 2, 3, 3)).Initializer("b", singles(f.b, 3)).Initializer("gamma", singles(f.gamma, 3)).Initializer("beta", singles(f.beta, 3)).
		Initializer("mean", singles(make([]float64, 3), 3)).Initializer("var", singles([]float64{1, 1, 1}, 3)).
		Node("Conv", []string{"x", "w", "b"}, []string{"filtered"}, map[string]any{"pads": []int64{1, 1, 1, 1}, "strides": []int64{2, 2}}).
		Node("BatchNormalization", []string{"filtered", "gamma", "beta", "mean", "var"}, []string{"normed", "m", "v"}, map[string]any{"training_mode": 1, "epsilon": 1e-5}).
		Output("normed", tensor.Float32, -1, 3, 3, 3).Build())
	r := s.R
	r.State = trace.Tensors{}
	for name, x := range map[string][]float64{"b": f.b, "gamma": f.gamma, "beta": f.beta} {
		r.State["parameters/"+name] = singles(x, 3)
	}
	r.State["parameters/w"] = singles(f.w, 3, 2, 3, 3)
	filtered, normed := f.compute()
	r.Float64 = trace.Set{"activations/x": sampled(f.x, 2, 2, 6, 6), "activations/filtered": sampled(filtered, 2, 3, 3, 3), "activations/normed": sampled(normed, 2, 3, 3, 3)}
	exact := map[string][]float64{"filtered": filtered, "normed": normed}
	mistake(&f)
	otherFiltered, otherNormed := f.compute()
	other := map[string][]float64{"filtered": otherFiltered, "normed": otherNormed}
	s.Pairs = nil
	s.is("activations/"+suspect, exact[suspect], other[suspect], 2, 3, 3, 3)
	if suspect == "normed" {
		s.Pairs = append(s.Pairs, Pair{Name: "activations/filtered", Shape: []int{2, 3, 3, 3}, GotShape: []int{2, 3, 3, 3}, Exact: filtered, Got: filtered, Size: trace.Norm(filtered)})
		s.Suspect = &s.Pairs[0]
	}
}
