package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestGroupedRows runs the convolutions in groups and both gradients on every path with each operand between pages that fault; what they compute TestConvNHWC of package op compares.
func TestGroupedRows(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for i := range 12 {
			g := GroupedRows{Window: randomWindow(rng), Images: 1 + rng.IntN(3), Groups: 2 + i%2, Inputs: []int{8, 16, 24}[i%3], Outputs: []int{8, 40, 16}[i/2%3]}
			t.Run(fmt.Sprintf("%+v", g), func(t *testing.T) {
				memory := func(n int) []float32 {
					x := fenced[float32](t, n, i%2 == 0)
					for i := range x {
						x[i] = float32(rng.NormFloat64())
					}
					return x
				}
				x, y := memory(g.Images*g.Window.InLen()*g.Groups*g.Inputs), memory(g.Images*g.Window.OutLen()*g.Groups*g.Outputs)
				weights, arranged, bias := memory(g.Groups*g.weightsLen()), memory(g.Groups*g.weightsLen()), memory(g.Groups*g.Outputs)
				dx, dw, workspace := memory(len(x)), memory(len(weights)), memory(g.GradientWorkspace())
				pool := NewPool(2)
				defer pool.Close()
				PrepareGroupedRows(&g, pool, y, x, weights, bias, arranged)()
				PrepareGroupedRowsData(&g, pool, dx, y, weights, x, arranged)()
				PrepareGroupedRowsWeights(&g, pool, dw, y, x, workspace)()
			})
		}
	})
}
