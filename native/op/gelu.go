package op

import (
	"fmt"
	"math"

	"tandem/onnx"
)

// Gelu is x * Phi(x), Phi being the normal distribution function, or with approximate = "tanh" Hendrycks and Gimpel's approximation
// 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) ("Gaussian Error Linear Units", 2016).
func init() {
	registerPointwise("Gelu", 20, func(a onnx.Attributes) (pointwise, error) {
		form, err := a.String("approximate", "none")
		switch {
		case err != nil:
			return pointwise{}, err
		case form == "none":
			return geluExact, nil
		case form == "tanh":
			return geluTanh, nil
		}
		return pointwise{}, fmt.Errorf("approximate = %q is %w: it may be none or tanh", form, ErrUnsupported)
	}, matrixCase("exact", 0, nil), matrixCase("tanh", 0, map[string]any{"approximate": "tanh"}))
}

var geluExact = pointwise{
	value: func(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) },
	fromInput: func(x float64) float64 {
		return 0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
	},
}

var geluTanh = pointwise{
	value: func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(geluInner(x))) },
	fromInput: func(x float64) float64 {
		t := math.Tanh(geluInner(x))
		return 0.5*(1+t) + 0.5*x*(1-t*t)*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
	},
}

func geluInner(x float64) float64 { return math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }
