package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
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
	registry["Gelu"].Again = func(n *ir.Node) *ir.Node {
		return &ir.Node{Op: n.Op, Version: n.Version, Attributes: n.Attributes, Inputs: n.Inputs}
	}
}

var (
	geluExact = pointwise{kernels: &pointwiseKernels{
		kernel.Gelu[float32], kernel.Gelu[float64], kernel.GeluGradient[float32], kernel.GeluGradient[float64], false,
	}}
	geluTanh = pointwise{kernels: &pointwiseKernels{
		kernel.GeluTanh[float32], kernel.GeluTanh[float64], kernel.GeluTanhGradient[float32], kernel.GeluTanhGradient[float64], false,
	}}
)

// geluKernels returns the function in the form that an attribute names, its gradient, and what computes the gradient and then the function in the
// place of its operand.
func geluKernels[T kernel.Float](a onnx.Attributes, name string) (value func(y, x []T), gradient, both func(dx, dy, x []T), err error) {
	form, err := a.String(name, "none")
	switch {
	case err != nil:
		return nil, nil, nil, err
	case form == "tanh":
		return kernel.GeluTanh[T], kernel.GeluTanhGradient[T], func(dx, dy, x []T) {
			kernel.GeluTanhGradient(dx, dy, x)
			kernel.GeluTanh(x, x)
		}, nil
	case form == "none":
		return kernel.Gelu[T], kernel.GeluGradient[T], kernel.GeluBoth[T], nil
	}
	return nil, nil, nil, fmt.Errorf("%s = %q is %w: it may be none or tanh", name, form, ErrUnsupported)
}
