package engine_test

import (
	"context"
	"testing"

	native "tandem/native/engine"
	"tandem/results/engine"
	"tandem/results/profile"
)

// TestProfile: a profile's steps are trained, the operations are those that the layers' sizes make, and every product has a forward and a backward time.
func TestProfile(t *testing.T) {
	linear := func(n, in, out int) float64 { return 2 * float64(n) * float64(in) * float64(out) }
	for _, test := range []struct {
		name       string
		net        network
		operations float64 // 0: not computed here
	}{
		// forward and the weights' gradient, and for all but the first layer the data's
		{"pixels", pixels, 2*linear(32, 784, first) + 3*linear(32, first, second) + 3*linear(32, second, classes)},
		{"words", network{first: first, second: second, activation: "Gelu", words: true, attention: true}, 0},
		{"convolution", network{first: first, second: second, activation: "Relu", convolution: true}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newSetting(t, test.net)
			n := native.New("test")
			if _, err := n.Load(context.Background(), s.load); err != nil {
				t.Fatal(err)
			}
			const steps = 8 // one of them with the short batch
			answer, err := n.Profile(context.Background(), engine.ProfileParams{Steps: steps})
			if err != nil {
				t.Fatal(err)
			}
			r, err := n.Step(context.Background(), 1)
			if err != nil {
				t.Fatal(err)
			}
			if r.Step != 3*steps+1 { // to warm up, whole, part by part
				t.Errorf("after a profile of %d steps the next one ends with number %d", steps, r.Step)
			}
			p, err := profile.Make("native", 1, answer)
			if err != nil {
				t.Fatal(err)
			}
			products, operations := 0, 0.0
			for _, l := range p.Layers {
				operations += l.Operations
				if l.Layer == "" || l.Operator == "" || !(l.Bytes > 0) || !(l.LimitSeconds > 0) || !(l.ForwardSeconds+l.BackwardSeconds+l.UpdateSeconds > 0) {
					t.Errorf("a layer lacks something: %+v", l)
				}
				if l.Operations > 0 && l.ForwardSeconds > 0 {
					products++
					if !(l.BackwardSeconds+l.UpdateSeconds > 0) {
						t.Errorf("no gradient belongs to %+v", l)
					}
				}
			}
			if products < 3 {
				t.Errorf("%d layers with products among %+v", products, p.Layers)
			}
			if test.operations > 0 && operations != test.operations {
				t.Errorf("%v operations, want %v", operations, test.operations)
			}
		})
	}
}
