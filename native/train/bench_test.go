package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"tandem/onnx"
)

// BenchmarkStep trains the MLP of the built-in experiment; allocations must stay 0. The metric "us/fastest" is that of the fastest
// step, which other work on the machine disturbs least. With TANDEM_PROFILE set, each case ends with the fastest time of every call
// of the step.
func BenchmarkStep(b *testing.B) {
	m, err := onnx.Load("../../fixtures/reference/recorded/mnist-mlp/model.onnx")
	if err != nil {
		b.Fatal(err)
	}
	for _, threads := range []int{1, 2} {
		for _, rows := range []int{32, 256, 1024} {
			b.Run(fmt.Sprintf("threads=%d/batch=%d", threads, rows), func(b *testing.B) {
				tr := newTrainer[float32](b, m, adamConfig, threads)
				batch, err := tr.TrainingBatch(rows)
				if err != nil {
					b.Fatal(err)
				}
				rng := rand.New(rand.NewPCG(1, 5))
				x := batch.Input("input")
				for i := range x {
					x[i] = float32(max(0, rng.NormFloat64())) // about half zeros, as in pictures
				}
				draw := func() { // new classes each time, so that nothing is learnt by heart and gradients stay of a usual size
					for i := range batch.Targets() {
						batch.Targets()[i] = int64(rng.IntN(10))
					}
				}
				fastest := time.Duration(math.MaxInt64)
				b.ReportAllocs()
				for b.Loop() {
					draw()
					begin := time.Now()
					if _, err := tr.Step(batch); err != nil {
						b.Fatal(err)
					}
					fastest = min(fastest, time.Since(begin))
				}
				b.ReportMetric(float64(fastest)/1e3, "us/fastest")
				work, parameters := linearWork(m, rows)
				b.ReportMetric(work, "FLOP/step")
				b.ReportMetric(24*parameters, "Adam-B/step") // parameter and both moments are read and written, the gradient is not in memory
				if os.Getenv("TANDEM_PROFILE") != "" {
					profile(b, batch, 200, draw)
				}
			})
		}
	}
}

// linearWork counts the floating-point operations of a step's products and the parameters of a stack of linear layers: forward and
// weight gradient, and for all but the first layer the gradient of the layer's input.
func linearWork(m *onnx.Model, rows int) (operations, parameters float64) {
	products := 2.0
	for _, v := range m.Graph.Initializers {
		n := 1.0
		for _, d := range v.Tensor.Shape() {
			n *= float64(d)
		}
		if m.Manifest != nil && !slices.ContainsFunc(m.Manifest.Parameters, func(p onnx.Parameter) bool { return p.Name == v.Name }) {
			continue
		}
		parameters += n
		if len(v.Tensor.Shape()) == 2 {
			operations += 2 * products * float64(rows) * n
			products = 3
		}
	}
	return operations, parameters
}

// profile prints the fastest time of each call of a batch's program over some steps.
func profile(b *testing.B, batch *Batch[float32], steps int, draw func()) {
	calls, err := batch.owner.Profile(batch, steps, func() error { draw(); return nil })
	if err != nil {
		b.Fatal(err)
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 8, 2, ' ', 0)
	defer w.Flush()
	sum := 0.0
	for _, c := range calls {
		sum += c.Fastest
		shapes := ""
		for _, v := range c.Node.Inputs {
			if v != nil {
				shapes += fmt.Sprint(v.Shape)
			}
		}
		fmt.Fprintf(w, "%.2f us\t%s\t%s\t%s\t%s\t%s\n", 1e6*c.Fastest, c.Node.Origin.Phase, c.Node.Op, c.Algorithm, c.Node.Origin.Node, shapes)
	}
	fmt.Fprintf(w, "%.2f us\tin all\n", 1e6*sum)
}
