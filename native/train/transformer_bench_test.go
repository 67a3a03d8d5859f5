package train

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"tandem/native/optim"
	"tandem/native/schedule"
	"tandem/onnx"
)

// BenchmarkTransformer trains a language model as the built-in Transformer is trained, from the file that TANDEM_MODEL names: every run's
// folder has one. The metrics are the fastest step and the median. With TANDEM_PROFILE set, it ends with the fastest time of every call.
func BenchmarkTransformer(b *testing.B) {
	file := os.Getenv("TANDEM_MODEL")
	if file == "" {
		b.Skip("TANDEM_MODEL names no model.onnx")
	}
	m, err := onnx.Load(file)
	if err != nil {
		b.Fatal(err)
	}
	for _, threads := range []int{1, 2} {
		b.Run(fmt.Sprintf("threads=%d", threads), func(b *testing.B) {
			tr, err := New[float32](m, Options{
				Loss: Loss{Kind: "cross_entropy", Reduction: "mean"}, Seed: 1, Threads: threads,
				Optimizer: optim.Config{
					Kind: "adamw", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.99}, Eps: 1e-8, WeightDecay: 0.1, ClipNorm: 1,
					NoDecay: []string{"*.bias", "*norm*", "token.*", "position.*"},
				},
				Schedule: schedule.Config{Kind: "cosine", WarmUp: 20, Total: 300, Minimum: 1e-4},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer tr.Close()
			batch, err := tr.TrainingBatch(8)
			if err != nil {
				b.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 5))
			draw := func() {
				for i := range batch.IntInput("input") {
					batch.IntInput("input")[i] = int64(rng.IntN(256))
				}
				for i := range batch.Targets() {
					batch.Targets()[i] = int64(rng.IntN(256))
				}
			}
			var times []time.Duration
			for b.Loop() {
				draw()
				begin := time.Now()
				if _, err := tr.Step(batch); err != nil {
					b.Fatal(err)
				}
				times = append(times, time.Since(begin))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[0])/1e6, "ms/fastest")
			b.ReportMetric(float64(times[len(times)/2])/1e6, "ms/median")
			if os.Getenv("TANDEM_PROFILE") != "" {
				profile(b, batch, 30, draw)
			}
		})
	}
}
