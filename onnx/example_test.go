package onnx_test

import (
	"fmt"
	"log"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

func Example() {
	weight, err := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 3, 2)
	if err != nil {
		log.Fatal(err)
	}
	model, err := onnx.NewBuilder("linear", 20).
		Input("x", tensor.Float32, -1, 3).
		Initializer("w", weight).
		Node("MatMul", []string{"x", "w"}, []string{"h"}, nil).
		Node("LeakyRelu", []string{"h"}, []string{"y"}, map[string]any{"alpha": 0.2}).
		Output("y", tensor.Float32, -1, 2).
		Build()
	if err != nil {
		log.Fatal(err)
	}
	for _, node := range model.Graph.Nodes {
		alpha, err := node.Attributes.Float("alpha", 0.01)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(node.Name, node.Inputs, node.Outputs, alpha)
	}
	fmt.Println(model.Graph.Inputs, model.Graph.Initializer("w"))
	// Output:
	// MatMul_0 [x w] [h] 0.01
	// LeakyRelu_1 [h] [y] 0.2
	// [x float32[? 3]] float32[3 2]
}

func ExampleDecode() {
	_, err := onnx.Decode([]byte("<!DOCTYPE html><title>404</title>"), "resnet.onnx")
	fmt.Println(err)
	// Output: onnx: resnet.onnx: not an ONNX model: it looks like an HTML page; a download probably saved an error page: get the file again
}
