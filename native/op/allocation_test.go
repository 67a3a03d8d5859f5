package op_test

import (
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
)

// TestCallsAllocateNothing runs each operator's cases and their gradients once more and counts allocations.
func TestCallsAllocateNothing(t *testing.T) {
	for _, d := range op.All() {
		for i := range d.Cases {
			c := &example{t: t, def: d, Case: &d.Cases[i]}
			t.Run(d.Name+"/"+c.Name, func(t *testing.T) {
				c.t = t
				c.draw()
				g, _ := c.graph()
				plan, err := pass.NewPlan(g)
				if err != nil {
					t.Fatal(err)
				}
				pool := kernel.NewPool(1)
				defer pool.Close()
				state := map[*ir.Value][]float32{}
				for _, v := range g.State {
					state[v] = make([]float32, v.Len())
				}
				p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []float32 { return state[v] })
				if err != nil {
					t.Fatal(err)
				}
				for k, call := range p.Calls {
					if n := testing.AllocsPerRun(5, call); n > 0 {
						t.Errorf("%s allocates %g times a call", p.Nodes[k].Op, n)
					}
				}
			})
		}
	}
}
