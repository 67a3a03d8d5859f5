package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"

	"tandem/fixtures/experiment"
	native "tandem/native/engine"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// fakeExporter stands for "python -m tandem_pytorch.export": it writes a small model for the data, as the environment
// variable FAKE_EXPORTER says.
func fakeExporter() {
	flags := flag.NewFlagSet("fake-exporter", flag.ExitOnError)
	_ = flags.String("experiment", "", "")
	data := flags.String("data", "", "")
	output := flags.String("output", "", "")
	_ = flags.Parse(os.Args[1:])
	fail := func(kind string, err error) {
		fmt.Printf(`{"error": {"kind": %q, "message": %q}}`+"\n", kind, err)
		os.Exit(1)
	}
	inputs := 784
	if *data != "" {
		f, err := safetensors.ReadFile(*data)
		if err != nil {
			fail("internal", err)
		}
		inputs = f.Tensors["train/input"].Shape()[1]
	}
	fault := os.Getenv("FAKE_EXPORTER")
	m, err := fakeModel(inputs, fault).Build()
	if err == nil {
		err = m.Save(*output)
	}
	if err != nil {
		fail("internal", err)
	}
	switch fault {
	case "unsupported":
		fail("unsupported", fmt.Errorf("the model draws random numbers by itself (module noise)"))
	case "crash":
		fmt.Fprintln(os.Stderr, "ImportError: no module named made_up")
		os.Exit(5)
	case "truncated":
		if err := os.Truncate(*output, 300); err != nil {
			fail("internal", err)
		}
	}
	text, err := os.ReadFile(*output)
	if err != nil {
		fail("internal", err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(map[string]any{
		"model": *output, "sha256": fmt.Sprintf("%x", sha256.Sum256(text)), "parameters": 8*inputs + 8 + 80 + 10, "checks": []string{"it was made by a test"},
	}); err != nil {
		panic(err)
	}
}

// fakeSamples stands for "python -m tandem_pytorch.samples": it notes the call in calls.txt and writes 160 samples with targets that can be
// learned, or fails as the environment variable FAKE_SAMPLES says.
func fakeSamples() {
	flags := flag.NewFlagSet("fake-samples", flag.ExitOnError)
	settings := flags.String("experiment", "", "")
	output := flags.String("output", "", "")
	_ = flags.Parse(os.Args[1:])
	calls, err := os.OpenFile("calls.txt", os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(*settings)
	if err != nil {
		panic(err)
	}
	e, err := experiment.ParseJSON(text, *settings)
	if err != nil {
		panic(err)
	}
	fmt.Fprintln(calls, e.Data.Source, e.Data.Args)
	switch os.Getenv("FAKE_SAMPLES") {
	case "input":
		fmt.Println(`{"error": {"kind": "input", "message": "data source \"my_data.py:build\" returned int"}}`)
		os.Exit(2)
	case "crash":
		fmt.Fprintln(os.Stderr, "MemoryError")
		os.Exit(5)
	}
	random := rand.New(rand.NewPCG(3, 4))
	const rows, width = 160, 20
	x, classes := make([]float32, rows*width), make([]int64, rows)
	for i := range rows {
		classes[i] = int64(i % 10)
		for k := range width {
			x[i*width+k] = float32(random.NormFloat64() * 0.1)
		}
		x[i*width+i%10]++
	}
	if os.Getenv("FAKE_SAMPLES") == "NaN" {
		x[7*width] = float32(math.NaN())
	}
	inputs, err := tensor.Of(x, rows, width)
	if err != nil {
		panic(err)
	}
	targets, err := tensor.Of(classes, rows)
	if err != nil {
		panic(err)
	}
	if err := safetensors.WriteFile(*output, map[string]*tensor.Tensor{"input": inputs, "target": targets}, nil); err != nil {
		panic(err)
	}
	fmt.Println(`{"tensors": ["input", "target"]}`)
}

// fakeModel is a perceptron of one hidden layer with dropout; fault names something that the native trainer lacks.
func fakeModel(inputs int, fault string) *onnx.Builder {
	random := rand.New(rand.NewPCG(1, 2))
	weights := func(shape ...int) *tensor.Tensor {
		n := 1
		for _, s := range shape {
			n *= s
		}
		values := make([]float32, n)
		for i := range values {
			values[i] = float32(random.NormFloat64() * 0.05)
		}
		t, err := tensor.Of(values, shape...)
		if err != nil {
			panic(err)
		}
		return t
	}
	one := func(x float32) *tensor.Tensor {
		t, err := tensor.Of([]float32{x})
		if err != nil {
			panic(err)
		}
		return t
	}
	yes, err := tensor.Of([]bool{true})
	if err != nil {
		panic(err)
	}
	linear := map[string]any{"transB": 1}
	b := onnx.NewBuilder("fake", 20).Input("input", tensor.Float32, -1, inputs).Output("logits", tensor.Float32, -1, 10).
		Initializer("fc1.weight", weights(8, inputs)).Initializer("fc1.bias", weights(8)).
		Initializer("fc2.weight", weights(10, 8)).Initializer("fc2.bias", weights(10)).
		Initializer("ratio", one(0.2)).Initializer("training", yes).
		Node("Gemm", []string{"input", "fc1.weight", "fc1.bias"}, []string{"hidden"}, linear)
	if fault == "foreign operator" {
		b.Node("StringNormalizer", []string{"hidden"}, []string{"active"}, nil)
		b.Node("TfIdfVectorizer", []string{"active"}, []string{"harder"}, nil)
		b.Node("Relu", []string{"harder"}, []string{"rectified"}, nil)
	} else {
		b.Node("Relu", []string{"hidden"}, []string{"rectified"}, nil)
	}
	b.Node("Dropout", []string{"rectified", "ratio", "training"}, []string{"dropped"}, nil).
		Node("Gemm", []string{"dropped", "fc2.weight", "fc2.bias"}, []string{"logits"}, linear)
	if fault == "no manifest" {
		return b
	}
	site := "Dropout_2"
	if fault == "foreign operator" {
		site = "Dropout_4"
	}
	parameter := func(name string) onnx.Parameter {
		return onnx.Parameter{Name: name, Aliases: []string{}, RequiresGrad: true}
	}
	return b.Manifest(&onnx.Manifest{
		Version:    onnx.ManifestVersion,
		Exporter:   onnx.Exporter{Name: "fake-exporter", Tandem: "0", Torch: "0", ONNX: "0", ONNXScript: "0", Python: "0"},
		Parameters: []onnx.Parameter{parameter("fc1.weight"), parameter("fc1.bias"), parameter("fc2.weight"), parameter("fc2.bias")},
		Constants:  []string{"ratio", "training"},
		Dropout:    []onnx.DropoutSite{{Site: 0, Node: site, Operator: "Dropout", P: 0.2, Module: "drop"}},
		Checks:     []string{"it was made by a test"},
	})
}

// flawed is the native trainer under PyTorch's name, or with a fault.
type flawed struct {
	*native.Native
	fault string
}

// fakeEngine is "fake-engine [FAULT]".
func fakeEngine() {
	e := &flawed{Native: native.New("test")}
	if len(os.Args) > 1 {
		e.fault = os.Args[1]
	}
	if e.fault == "mute" {
		select {}
	}
	if err := engine.Serve(context.Background(), os.Stdin, os.Stdout, e); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (e *flawed) Hello() engine.Hello {
	h := e.Native.Hello()
	h.Name, h.Versions = "pytorch", map[string]string{"torch": "none"}
	if e.fault != "" {
		h.Name = "flawed"
	}
	switch e.fault {
	case "single":
		h.DTypes, h.Variants = []string{"float32"}, []string{"threads=1"}
	case "own masks":
		h.SharedRandom = false
	case "unsaving":
		h.Save = false
	}
	return h
}

func (e *flawed) Load(ctx context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	switch e.fault {
	case "refuse-input":
		return nil, engine.Errorf(engine.KindInput, "the experiment is too much for me")
	case "refuse-unsupported":
		return nil, engine.Errorf(engine.KindUnsupported, "operator Gemm is beyond me")
	case "refuse-internal":
		fmt.Fprintln(os.Stderr, "Traceback: something is broken")
		return nil, engine.Errorf(engine.KindInternal, "I am broken")
	}
	return e.Native.Load(ctx, p)
}

func (e *flawed) Grad(ctx context.Context, p engine.GradParams) (*engine.GradResult, error) {
	switch e.fault {
	case "crash":
		fmt.Fprintln(os.Stderr, "Fatal: the gradient fell over")
		os.Exit(7)
	case "hang":
		select {}
	case "babble":
		fmt.Println("epoch 1: all is well")
	}
	return e.Native.Grad(ctx, p)
}
