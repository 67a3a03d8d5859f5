package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

func Example() {
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "state.safetensors")

	bias, err := tensor.Of([]float32{0.5, -1}, 2)
	if err != nil {
		log.Fatal(err)
	}
	if err := safetensors.WriteFile(path, map[string]*tensor.Tensor{"fc1.bias": bias}, map[string]string{"step": "100"}); err != nil {
		log.Fatal(err)
	}
	file, err := safetensors.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Tensors["fc1.bias"], tensor.View[float32](file.Tensors["fc1.bias"]), file.Metadata["step"])
	// Output: float32[2] [0.5 -1] 100
}
