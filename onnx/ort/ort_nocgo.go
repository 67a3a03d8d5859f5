//go:build !cgo

package ort

import (
	"fmt"

	"tandem/onnx/tensor"
)

func missing() error {
	return fmt.Errorf("%w: this program was built without cgo; build it with CGO_ENABLED=1 and a C compiler", ErrUnavailable)
}

// Available returns nil when the binding is compiled in; whether the library can be loaded, Version tells.
func Available() error { return missing() }

// Version loads the library, if that has not happened yet, and returns its version, such as "1.32.0".
func Version(libraryPath string) (string, error) { return "", missing() }

// Run computes the outputs of the model at modelPath, by name.
func Run(libraryPath, modelPath string, inputs map[string]*tensor.Tensor, opts ...Option) (map[string]*tensor.Tensor, error) {
	return nil, missing()
}
