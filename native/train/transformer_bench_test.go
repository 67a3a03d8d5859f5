package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/schedule"
	"tandem/onnx"
)

// BenchmarkTransformer trains a language model of the built-in Transformer's size as that is trained, or the one in the file that TANDEM_MODEL
// names: every run's folder has one. The metrics are the fastest step and the median. With TANDEM_PROFILE set, it ends with the fastest time of every call.
func BenchmarkTransformer(b *testing.B) {
	m := languageModel{length: 64, width: 256, classes: 256, blocks: 4, heads: 8, whole: true}.build(b)
	if file := os.Getenv("TANDEM_MODEL"); file != "" {
		var err error
		if m, err = onnx.Load(file); err != nil {
			b.Fatal(err)
		}
	}
	const rows = 8
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d/batch=%d", threads, rows), func(b *testing.B) {
			tr, err := New[float32](m, Options{
				Loss: Loss{Kind: "cross_entropy", Reduction: "mean"}, Seed: 1, Threads: threads,
				Optimizer: optim.Config{
					Kind: "adamw", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.99}, Eps: 1e-8, WeightDecay: 0.1, ClipNorm: 1,
					NoDecay: []string{"*.bias", "*norm*", "token*", "position*"},
				},
				Schedule: schedule.Config{Kind: "cosine", WarmUp: 20, Total: 300, Minimum: 1e-4},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			batch, err := tr.TrainingBatch(rows)
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 5))
			tokens := batch.IntInput(batch.program.Graph.Inputs[0].Name)
			draw := func() {
				for i := range tokens {
					tokens[i] = int64(rng.IntN(256))
				}
				for i := range batch.Targets() {
					batch.Targets()[i] = int64(rng.IntN(256))
				}
			}
			var times []time.Duration
			b.ReportAllocs()
			for b.Loop() {
				draw()
				begin := time.Now()
				if _, err := tr.Step(batch); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[0])/1e3, "us/fastest")
			b.ReportMetric(float64(times[len(times)/2])/1e3, "us/median")
			operations, parameters := requiredWork(b, tr, rows)
			b.ReportMetric(operations, "FLOP/step")
			// Parameter and both moments are read and written. The norm of all gradients decides how the first is updated: they are written and read.
			b.ReportMetric(32*parameters, "Adam-B/step")
			if os.Getenv("TANDEM_PROFILE") != "" {
				profile(b, batch, 30, draw)
			}
		})
	}
}

// requiredWork counts the floating-point operations of a step's products, those of attention among them as far as its mask lets see, and the
// trained parameters. What a program computes a second time to save memory does not count.
func requiredWork(b *testing.B, tr *Trainer[float32], rows int) (operations, parameters float64) {
	g, gradients, err := tr.trainingGraph(rows)
	if err != nil {
		b.Fatal(err)
	}
	for _, n := range g.Nodes {
		operations += op.WorkOf(n, 4).Operations
	}
	for p := range gradients {
		parameters += float64(p.Len())
	}
	return operations, parameters
}
