package op_test

import (
	"archive/zip"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/onnxpb"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

var update = flag.Bool("update", false, "rewrite testdata/operators.txt and testdata/unsupported.txt")

// excluded are node tests of supported operators that cannot agree, each with the reason.
var excluded = map[string]string{
	"test_training_dropout":              "the mask is drawn by NumPy's generator, tandem's by Philox",
	"test_training_dropout_default":      "the mask is drawn by NumPy's generator, tandem's by Philox",
	"test_training_dropout_default_mask": "the mask is drawn by NumPy's generator, tandem's by Philox",
	"test_training_dropout_mask":         "the mask is drawn by NumPy's generator, tandem's by Philox",
}

// fourDigits are node tests whose inputs and expected values were typed with four digits after the point.
var fourDigits = []string{"test_averagepool_2d_ceil_last_window_starts_on_pad", "test_gridsample_bicubic"}

// TestOperatorsFile holds the list that testdata/nodetests.py reads to the operators that are registered.
func TestOperatorsFile(t *testing.T) {
	golden(t, "testdata/operators.txt", strings.Join(op.Names(), "\n")+"\n")
}

// TestNodeTests runs the official ONNX node tests of all supported operators (testdata/nodetests.py makes the archive). What is
// refused must be listed with its reason in testdata/unsupported.txt; every other test must agree.
func TestNodeTests(t *testing.T) {
	archive, err := zip.OpenReader("testdata/nodetests.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	covered := map[string]int{}
	var unsupported []string
	passed, seen := 0, map[string]bool{}
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".onnx")
		if !ok {
			continue
		}
		seen[name] = true
		if reason := excluded[name]; reason != "" {
			unsupported = append(unsupported, name+": excluded: "+reason)
			continue
		}
		c, err := readNodeTest(archive, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		err = c.run()
		var different *difference
		switch {
		case errors.As(err, &different):
			t.Errorf("%s: %v", name, err)
		case errors.Is(err, op.ErrUnsupported):
			unsupported = append(unsupported, name+": "+reason(err))
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			passed++
			for _, operator := range c.operators {
				covered[operator]++
			}
		}
	}
	for name := range excluded {
		if !seen[name] {
			t.Errorf("%s is excluded and not in the archive", name)
		}
	}
	for _, name := range op.Names() {
		if covered[name] == 0 && name != "Bernoulli" { // whose tests hold what NumPy's generator drew
			t.Errorf("no node test passes that has the operator %s: run testdata/nodetests.py", name)
		}
	}
	t.Logf("%d node tests pass, %d are unsupported or excluded", passed, len(unsupported))
	count := fmt.Sprintf("%d node tests pass, %d do not:", passed, len(unsupported))
	golden(t, "testdata/unsupported.txt", strings.Join(append([]string{count}, unsupported...), "\n")+"\n")
}

// golden compares a file with what it must hold.
func golden(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	a, b := strings.Split(string(got), "\n"), strings.Split(want, "\n")
	for _, line := range a {
		if !slices.Contains(b, line) {
			t.Errorf("%s has a line that is no longer true: %s", path, line)
		}
	}
	for _, line := range b {
		if !slices.Contains(a, line) {
			t.Errorf("%s lacks the line: %s", path, line)
		}
	}
	if t.Failed() {
		t.Log("if that is right, run go test ./native/op -update")
	}
}

// reason is the error of a refused node without where and with what shapes.
func reason(err error) string {
	text := err.Error()
	var node *op.NodeError
	if errors.As(err, &node) {
		text = node.Node.Op + ": " + node.Err.Error()
	}
	var model *onnx.Error
	if errors.As(err, &model) {
		text = fmt.Sprintf("%s: %v", model.Reason, model.Err)
	}
	return strings.ReplaceAll(text, "\n", " ")
}

type nodeTest struct {
	model     *onnx.Model
	data      map[string]*tensor.Tensor // input_0, ... and output_0, ...
	inputs    []string                  // the names of the model's inputs in the test's order
	operators []string
	tolerance float64 // absolute
}

func readNodeTest(archive *zip.ReadCloser, name string) (*nodeTest, error) {
	read := func(file string) ([]byte, error) {
		f, err := archive.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		return io.ReadAll(f)
	}
	model, err := read(name + ".onnx")
	if err != nil {
		return nil, err
	}
	data, err := read(name + ".safetensors")
	if err != nil {
		return nil, err
	}
	file, err := safetensors.Decode(data)
	if err != nil {
		return nil, err
	}
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(model, p); err != nil {
		return nil, err
	}
	c := &nodeTest{data: file.Tensors, tolerance: 1e-6}
	if slices.Contains(fourDigits, name) {
		c.tolerance = 1e-4
	}
	for _, in := range p.Graph.Input {
		c.inputs = append(c.inputs, in.GetName())
	}
	constant := map[string]bool{}
	for _, n := range p.Graph.Node {
		c.operators = append(c.operators, n.GetOpType())
		if d := op.Lookup(n.GetOpType()); d != nil {
			for _, i := range d.Settings { // the node tests feed them at run time
				if i < len(n.Input) {
					constant[n.Input[i]] = true
				}
			}
		}
	}
	for i, in := range c.inputs {
		if v := c.data[fmt.Sprintf("input_%d", i)]; constant[in] && v != nil {
			p.Graph.Initializer = append(p.Graph.Initializer, &onnxpb.TensorProto{
				Name: &in, DataType: proto.Int32(int32(onnx.CodeOfDType(v.DType()))), Dims: int64s(v.Shape()), RawData: append([]byte{}, v.Bytes()...),
			})
		}
	}
	p.Graph.Input = slices.DeleteFunc(p.Graph.Input, func(v *onnxpb.ValueInfoProto) bool { return constant[v.GetName()] })
	if model, err = proto.Marshal(p); err != nil {
		return nil, err
	}
	c.model, err = onnx.Decode(model, name+".onnx")
	if errors.Is(err, onnx.ErrUnsupported) {
		err = fmt.Errorf("%w: %w", op.ErrUnsupported, err)
	}
	return c, err
}

func int64s(shape []int) (out []int64) {
	for _, s := range shape {
		out = append(out, int64(s))
	}
	return out
}

// run computes the test in float64 when its data is, else in float32.
func (c *nodeTest) run() error {
	double := false
	for _, v := range c.data {
		switch v.DType() {
		case tensor.Float64:
			double = true
		case tensor.Float16, tensor.BFloat16:
			return fmt.Errorf("%v data is %w", v.DType(), op.ErrUnsupported)
		}
	}
	if double {
		return runNodeTest[float64](c)
	}
	return runNodeTest[float32](c)
}

func runNodeTest[T kernel.Float](c *nodeTest) error {
	g, err := pass.Import(c.model, nil)
	if err != nil {
		return err
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		return err
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []T { return floats[T](v.Const) })
	if err != nil {
		return err
	}
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			return err
		}
		in := c.data[fmt.Sprintf("input_%d", slices.Index(c.inputs, v.Name))]
		if in == nil {
			return fmt.Errorf("no data for the input %s", v.Name)
		}
		if v.Type == ir.Float {
			copy(b.Float, floats[T](in))
			continue
		}
		for i, x := range in.Float64s() { // the integers of the node tests are small
			if v.Type == ir.Int64 {
				b.Int[i] = int64(x)
			} else {
				b.Bool[i] = x != 0
			}
		}
	}
	for _, call := range p.Calls {
		call()
	}
	for i, v := range g.Outputs {
		want := c.data[fmt.Sprintf("output_%d", i)]
		if want == nil {
			return fmt.Errorf("no data for the output %s", v.Name)
		}
		b, err := p.Buffer(v)
		if err != nil {
			return err
		}
		if !slices.Equal(b.Shape, want.Shape()) {
			return &difference{fmt.Sprintf("output %d has shape %v, want %v", i, b.Shape, want.Shape())}
		}
		if err := compareNodeTest(i, b, want, c.tolerance); err != nil {
			return err
		}
	}
	return nil
}

type difference struct{ text string }

func (d *difference) Error() string { return d.text }

// compareNodeTest demands integers and truth values exactly, and floating-point numbers within the tolerance (1e-6) + 4e-6 of the expected ones:
// these were computed by NumPy in float32, whose functions and sums are some units in the last place off.
func compareNodeTest[T kernel.Float](output int, b op.Buffer[T], want *tensor.Tensor, tolerance float64) error {
	for i, w := range want.Float64s() {
		var got float64
		switch {
		case b.Float != nil:
			got = float64(b.Float[i])
		case b.Int != nil:
			got = float64(b.Int[i])
		case b.Bool[i]:
			got = 1
		}
		same := got == w || math.IsNaN(got) && math.IsNaN(w)
		if !same && (b.Float == nil || !(math.Abs(got-w) <= tolerance+4e-6*math.Abs(w))) {
			return &difference{fmt.Sprintf("output %d, element %d is %v, want %v", output, i, got, w)}
		}
	}
	return nil
}

func floats[T kernel.Float](t *tensor.Tensor) []T {
	out := make([]T, t.Len())
	for i, x := range t.Float64s() {
		out[i] = T(x)
	}
	return out
}
