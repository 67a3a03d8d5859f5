package kernel

import (
	"fmt"
	"testing"
)

// TestWeightsToRows compares the weights as rows, and back, with the definition, between unreadable pages: filters that fill the transposed blocks and
// that do not, and depths that do and do not.
func TestWeightsToRows(t *testing.T) {
	t.Run("float64", testWeightsToRows[float64])
	eachPath(t, testWeightsToRows[float32])
}

func testWeightsToRows[T Float](t *testing.T) {
	for _, filters := range []int{1, 7, 8, 9, 16, 17, 24, 41} {
		for _, size := range [][2]int{{1, 1}, {1, 9}, {3, 9}, {8, 1}, {16, 9}, {5, 25}} {
			channels, positions := size[0], size[1]
			for _, atEnd := range []bool{true, false} {
				t.Run(fmt.Sprint(filters, size, atEnd), func(t *testing.T) {
					weights := fenced[T](t, filters*channels*positions, atEnd)
					for i := range weights {
						weights[i] = T(i + 1)
					}
					pool := NewPool(2)
					defer pool.Close()
					rows, back := fencedNaN[T](t, len(weights), atEnd), fencedNaN[T](t, len(weights), atEnd)
					to := PrepareWeightsToRows(pool, rows, weights, filters, channels, positions)
					from := PrepareRowsToWeights(pool, back, rows, filters, channels, positions)
					fenceScratch(t, pool, atEnd)
					to()
					from()
					for i, w := range weights {
						m, c, p := i/(channels*positions), i/positions%channels, i%positions
						if got := rows[(p*channels+c)*filters+m]; got != w {
							t.Fatalf("filter %d, channel %d, position %d is %g among the rows, want %g", m, c, p, got, w)
						}
						if back[i] != w {
							t.Fatalf("filter %d, channel %d, position %d comes back as %g, want %g", m, c, p, back[i], w)
						}
					}
				})
			}
		}
	}
}
