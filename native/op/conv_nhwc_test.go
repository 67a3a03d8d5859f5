package op_test

import (
	"fmt"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
)

// winogradCases are convolutions that Winograd's algorithm computes.
var winogradCases = []op.Case{
	{Name: "3x3 of 16 channels", Inputs: []op.CaseInput{{Shape: []int{2, 16, 6, 5}}, {Shape: []int{32, 16, 3, 3}}, {Shape: []int{32}}}, Attributes: map[string]any{"pads": []int64{1, 1, 1, 1}}},
	{Name: "3x3 of 32 channels, pads that differ", Inputs: []op.CaseInput{{Shape: []int{1, 32, 4, 7}}, {Shape: []int{16, 32, 3, 3}}}, Attributes: map[string]any{"pads": []int64{0, 1, 2, 1}}},
}

// depthwiseCases are convolutions of single channels with vectors of them, whole ones and not, and with fewer than a vector's.
var depthwiseCases = []op.Case{
	{Name: "depthwise, 16 channels", Inputs: []op.CaseInput{{Shape: []int{2, 16, 6, 11}}, {Shape: []int{16, 1, 3, 3}}, {Shape: []int{16}}}, Attributes: map[string]any{"group": int64(16), "pads": []int64{1, 1, 1, 1}}},
	{Name: "depthwise, 24 channels, 5x5, stride 2", Inputs: []op.CaseInput{{Shape: []int{3, 24, 9, 8}}, {Shape: []int{24, 1, 5, 5}}}, Attributes: map[string]any{"group": int64(24), "pads": []int64{2, 2, 2, 2}, "strides": []int64{2, 2}}},
	{Name: "depthwise, 37 channels, dilated, pads that differ", Inputs: []op.CaseInput{{Shape: []int{1, 37, 8, 10}}, {Shape: []int{37, 1, 2, 3}}, {Shape: []int{37}}}, Attributes: map[string]any{"group": int64(37), "pads": []int64{0, 3, 2, 1}, "dilations": []int64{2, 3}, "strides": []int64{1, 3}}},
	{Name: "depthwise, 9 channels, 4x4 behind wide pads", Inputs: []op.CaseInput{{Shape: []int{2, 9, 3, 3}}, {Shape: []int{9, 1, 4, 4}}, {Shape: []int{9}}}, Attributes: map[string]any{"group": int64(9), "pads": []int64{5, 5, 5, 5}, "strides": []int64{3, 2}}},
	{Name: "depthwise, stride wider than the window", Inputs: []op.CaseInput{{Shape: []int{2, 17, 7, 7}}, {Shape: []int{17, 1, 2, 2}}}, Attributes: map[string]any{"group": int64(17), "strides": []int64{3, 4}}},
}

// groupedCases are convolutions in groups of whole vectors, of 256 bits and of 512.
var groupedCases = []op.Case{
	{Name: "groups of 8", Inputs: []op.CaseInput{{Shape: []int{2, 24, 5, 14}}, {Shape: []int{24, 8, 3, 3}}, {Shape: []int{24}}}, Attributes: map[string]any{"group": int64(3), "pads": []int64{1, 1, 1, 1}}},
	{Name: "groups of 16 and 24, stride 2", Inputs: []op.CaseInput{{Shape: []int{2, 32, 7, 9}}, {Shape: []int{48, 16, 3, 3}}}, Attributes: map[string]any{"group": int64(2), "pads": []int64{0, 1, 2, 1}, "strides": []int64{2, 2}}},
	{Name: "groups of 24 and 40, a window of one", Inputs: []op.CaseInput{{Shape: []int{1, 48, 3, 2}}, {Shape: []int{80, 24, 1, 1}}, {Shape: []int{80}}}, Attributes: map[string]any{"group": int64(2)}},
	{Name: "groups of 8 and 16, dilated, wide pads", Inputs: []op.CaseInput{{Shape: []int{9, 16, 4, 3}}, {Shape: []int{32, 8, 2, 2}}}, Attributes: map[string]any{"group": int64(2), "pads": []int64{3, 3, 3, 3}, "dilations": []int64{2, 2}, "strides": []int64{3, 2}}},
}

// TestConvNHWC compares the convolutions with channels last, by each algorithm and with each number of threads, with those of the model's layout in float64; gradients as well.
func TestConvNHWC(t *testing.T) {
	def := op.Lookup("Conv")
	before := kernel.Path()
	t.Cleanup(func() {
		if err := kernel.Use(before); err != nil {
			t.Error(err)
		}
	})
	tested := map[string]int{}
	for i, one := range slices.Concat(def.Cases, winogradCases, depthwiseCases, groupedCases) {
		c := &example{t: t, def: def, Case: &one}
		c.draw()
		want := run[float64](c, 1)
		c.after = pass.ChannelsLast
		t.Run(fmt.Sprintf("%d %s", i, one.Name), func(t *testing.T) {
			c.t = t
			g, _ := c.graph()
			if err := pass.ChannelsLast(g); err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool { return n.Op == "tandem.ConvNHWC" }) {
				if len(one.Inputs[0].Shape) == 4 && one.Attributes["group"] == nil {
					t.Error("the convolution keeps the model's layout")
				}
				return
			}
			for _, algorithm := range []string{"direct", "winograd"} {
				t.Setenv(op.ConvVariable, algorithm)
				for _, n := range g.Nodes {
					if n.Op == "tandem.ConvNHWC" {
						tested[op.Algorithm(n, false)]++
					}
				}
				for k, x := range run[float64](c, 2) {
					close(t, fmt.Sprintf("%s, float64 result %d", algorithm, k), x, want[k], 1e-14)
				}
				for _, path := range kernel.Paths() {
					if err := kernel.Use(path); err != nil {
						t.Fatal(err)
					}
					got := run[float32](c, 1)
					for k, x := range got {
						close(t, fmt.Sprintf("%s on %s, result %d", algorithm, path, k), x, want[k], 2e-6)
					}
					for threads := 2; threads <= 3; threads++ {
						for k, x := range run[float32](c, threads) {
							if !slices.Equal(x, got[k]) {
								t.Errorf("%s on %s, %d threads: result %d has other bits than with one", algorithm, path, threads, k)
							}
						}
					}
				}
			}
		})
	}
	for _, algorithm := range []string{"winograd F(4x4)", "product of unfolded images", "product of a 1x1 window", "depthwise", "products of groups in place"} {
		if tested[algorithm] == 0 {
			t.Errorf("no case is computed by %q: %v", algorithm, tested)
		}
	}
}

func TestConvVariable(t *testing.T) {
	t.Setenv(op.ConvVariable, "fft")
	if err := op.CheckConvVariable(); err == nil {
		t.Error("TANDEM_CONV=fft is accepted")
	}
	for _, v := range []string{"", "direct", "winograd"} {
		t.Setenv(op.ConvVariable, v)
		if err := op.CheckConvVariable(); err != nil {
			t.Error(err)
		}
	}
}

// TestConvKeepsZeroGradients has a weight at the window's corner see zeros alone, as behind a ReLU in a small batch of small images: its gradient is
// zero exactly, or Adam would make a step of full size of a rounding.
func TestConvKeepsZeroGradients(t *testing.T) {
	t.Setenv(op.ConvVariable, "")
	for _, size := range []int{2, 3, 4} {
		const images, channels = 2, 16
		x := make([]float64, images*channels*size*size)
		for i := range x {
			if row, column := i/size%size, i%size; row == size-1 || column == size-1 {
				x[i] = float64(i%7) - 2.5
			}
		}
		one := op.Case{
			Name:       fmt.Sprintf("%dx%d", size, size),
			Inputs:     []op.CaseInput{{Shape: []int{images, channels, size, size}, Float: x}, {Shape: []int{channels, channels, 3, 3}}},
			Attributes: map[string]any{"pads": []int64{1, 1, 1, 1}},
		}
		c := &example{t: t, def: op.Lookup("Conv"), Case: &one, after: pass.ChannelsLast}
		c.draw()
		results := run[float32](c, 1)
		dw := results[len(results)-1]
		if len(dw) != channels*channels*9 {
			t.Fatalf("%s: the last of %d results has %d elements, which is no weight's gradient", one.Name, len(results), len(dw))
		}
		for i := 0; i < len(dw); i += 9 { // the upper left corner, which the last row and column do not reach
			if dw[i] != 0 {
				t.Errorf("%s: the gradient of weight %d is %g, want exactly 0", one.Name, i, dw[i])
				break
			}
		}
	}
}
