package train_test

import (
	"fmt"
	"log"
	"math"

	"tandem/native/optim"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// model builds 2 -> 8 -> 2 with ReLU, as PyTorch's exporter would write it. A model from PyTorch is read with onnx.Load.
func model() (*onnx.Model, error) {
	weights := func(rows, columns int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, rows, columns)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(math.Sin(float64(3*i + 1))) // any numbers that differ
		}
		return w
	}
	return onnx.NewBuilder("xor", 20).
		Input("x", tensor.Float32, -1, 2). // the batch is left open
		Initializer("fc1.weight", weights(8, 2)).Initializer("fc1.bias", tensor.New(tensor.Float32, 8)).
		Initializer("fc2.weight", weights(2, 8)).Initializer("fc2.bias", tensor.New(tensor.Float32, 2)).
		Node("Gemm", []string{"x", "fc1.weight", "fc1.bias"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"h"}, []string{"r"}, nil).
		Node("Gemm", []string{"r", "fc2.weight", "fc2.bias"}, []string{"scores"}, map[string]any{"transB": 1}).
		Output("scores", tensor.Float32, -1, 2).
		Build()
}

// A model is trained on the exclusive or of two bits and then asked for its answers.
func Example() {
	m, err := model()
	if err != nil {
		log.Fatal(err)
	}
	trainer, err := train.New[float32](m, train.Options{
		Loss:      train.Loss{Kind: "cross_entropy", Reduction: "mean"},
		Optimizer: optim.Config{Kind: "adam", LearningRate: 0.02, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()

	// A batch is compiled once for its number of rows and then filled again for every step.
	batch, err := trainer.TrainingBatch(4)
	if err != nil {
		log.Fatal(err)
	}
	for step := range 101 {
		copy(batch.Input("x"), []float32{0, 0, 0, 1, 1, 0, 1, 1})
		copy(batch.Targets(), []int64{0, 1, 1, 0})
		loss, err := trainer.Step(batch)
		if err != nil {
			log.Fatal(err)
		}
		if step%50 == 0 {
			fmt.Printf("loss at step %d: %.2f\n", step, loss)
		}
	}

	test, err := trainer.EvaluationBatch(2)
	if err != nil {
		log.Fatal(err)
	}
	copy(test.Input("x"), []float32{1, 0, 1, 1})
	if err := trainer.Forward(test); err != nil {
		log.Fatal(err)
	}
	scores := tensor.View[float32](test.Outputs()["scores"])
	fmt.Println("1 xor 0 is 1:", scores[1] > scores[0])
	fmt.Println("1 xor 1 is 0:", scores[2] > scores[3])
	// Output:
	// loss at step 0: 0.71
	// loss at step 50: 0.05
	// loss at step 100: 0.01
	// 1 xor 0 is 1: true
	// 1 xor 1 is 0: true
}

// The gradients of a batch are read without changing the state, here in float64.
func ExampleTrainer_Gradient() {
	m, err := model()
	if err != nil {
		log.Fatal(err)
	}
	trainer, err := train.New[float64](m, train.Options{Loss: train.Loss{Kind: "cross_entropy", Reduction: "mean"}, Optimizer: optim.Config{Kind: "sgd"}})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	batch, err := trainer.GradientBatch(1, true)
	if err != nil {
		log.Fatal(err)
	}
	copy(batch.Input("x"), []float64{1, 0})
	batch.Targets()[0] = 1
	loss, err := trainer.Gradient(batch)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f\n", loss)
	fmt.Printf("gradient of the last bias %.4f\n", batch.Gradients()["fc2.bias"].Float64s())
	fmt.Println("activations kept:", len(batch.Activations()))
	// Output:
	// loss 0.9306
	// gradient of the last bias [0.6057 -0.6057]
	// activations kept: 3
}

// A trained model goes back to ONNX with the trained weights in the place of the initial ones.
func ExampleTrainer_Trained() {
	m, err := model()
	if err != nil {
		log.Fatal(err)
	}
	trainer, err := train.New[float32](m, train.Options{
		Loss: train.Loss{Kind: "cross_entropy", Reduction: "mean"}, Optimizer: optim.Config{Kind: "sgd", LearningRate: 0.5},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer trainer.Close()
	batch, err := trainer.TrainingBatch(1)
	if err != nil {
		log.Fatal(err)
	}
	copy(batch.Input("x"), []float32{1, 1})
	if _, err := trainer.Step(batch); err != nil {
		log.Fatal(err)
	}
	trained, err := trainer.Trained() // trained.Save writes it
	if err != nil {
		log.Fatal(err)
	}
	before, after := m.Graph.Initializer("fc2.bias"), trained.Graph.Initializer("fc2.bias")
	fmt.Printf("fc2.bias was %v and is %.3f\n", before.Float64s(), after.Float64s())
	// Output:
	// fc2.bias was [0 0] and is [0.249 -0.249]
}
