package profile_test

import (
	"math"
	"strings"
	"testing"

	"tandem/results/engine"
	"tandem/results/profile"
)

func answer() *engine.Profile {
	return &engine.Profile{
		StepSeconds:         []float64{3e-3, 2.9e-3, 3.1e-3, 3e-3, 3.2e-3, 3e-3, 2.8e-3},
		OperationsPerSecond: 1e9,
		Bandwidths:          []engine.Bandwidth{{SetBytes: 1 << 20, BytesPerSecond: 1e9}, {SetBytes: 1 << 10, BytesPerSecond: 1e10}}, // in no order
		Calls: []engine.ProfileCall{
			{Phase: "forward", Operator: "Conv", Layer: "conv1", LayerOperator: "Conv", Module: "stem", Algorithm: "direct", Seconds: 1e-3, Operations: 8e5, Bytes: 1000},
			{Phase: "loss", Operator: "Loss", Layer: "loss", LayerOperator: "Loss", Seconds: 2e-5, Bytes: 1024},
			{Phase: "backward", Operator: "ConvData", Layer: "conv1", LayerOperator: "Conv", Module: "stem", Algorithm: "winograd", Seconds: 5e-4, Operations: 1, Bytes: 2000},
			{Phase: "update", Operator: "adam", Layer: "conv1", LayerOperator: "Conv", Module: "stem", Algorithm: "direct", Seconds: 1e-4, Bytes: 4 << 20},
		},
	}
}

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Abs(b) }

func TestMake(t *testing.T) {
	p, err := profile.Make("native", 2, answer())
	if err != nil {
		t.Fatal(err)
	}
	// Arithmetic bounds the first; the others are bound by bytes: within 1 KiB, beyond it, and beyond the largest set.
	limits := []float64{8e-4, 1024e-10, 2000e-9, 4 * (1 << 20) * 1e-9}
	sum, serial := 0.0, 1000e-10+1e-9
	for i, want := range limits {
		if got := p.Calls[i].LimitSeconds; !near(got, want) {
			t.Errorf("call %d has the limit %v s, want %v", i, got, want)
		}
		sum += want
	}
	if !near(p.LimitSeconds, sum) || !near(p.SerialSeconds, sum+serial) || !near(p.CallsSeconds, 1.62e-3) || p.StepSeconds.Median != 3e-3 || p.StepSeconds.N != 7 {
		t.Errorf("limits %v and %v, calls %v, step %+v", p.LimitSeconds, p.SerialSeconds, p.CallsSeconds, p.StepSeconds)
	}
	if len(p.Layers) != 2 || p.Layers[0].Module != "stem" || strings.Join(p.Layers[0].Algorithms, " ") != "direct winograd" {
		t.Fatalf("layers %+v", p.Layers)
	}
	l := p.Layers[0]
	if l.ForwardSeconds != 1e-3 || l.BackwardSeconds != 5e-4 || l.UpdateSeconds != 1e-4 || l.Operations != 8e5+1 || l.Bytes != 3000+4<<20 || !near(l.LimitSeconds, sum-limits[1]) {
		t.Errorf("conv1 is %+v", l)
	}
	if p.Layers[1].ForwardSeconds != 2e-5 {
		t.Errorf("the loss is not forward: %+v", p.Layers[1])
	}
	var order []string
	for _, o := range p.Operators {
		order = append(order, o.Operator)
	}
	if strings.Join(order, " ") != "ConvData Conv Loss adam" { // adam is faster than its limit
		t.Errorf("operators in the order %v", order)
	}
}

func TestMakeRefuses(t *testing.T) {
	for _, test := range []struct {
		want   string
		change func(*engine.Profile)
	}{
		{"steps", func(p *engine.Profile) { p.StepSeconds = nil }},
		{"steps", func(p *engine.Profile) { p.StepSeconds[2] = math.NaN() }},
		{"no call", func(p *engine.Profile) { p.Calls = nil }},
		{"no limits", func(p *engine.Profile) { p.OperationsPerSecond = math.NaN() }},
		{"no limits", func(p *engine.Profile) { p.Bandwidths = nil }},
		{"bandwidth", func(p *engine.Profile) { p.Bandwidths[1].BytesPerSecond = 0 }},
	} {
		a := answer()
		test.change(a)
		if _, err := profile.Make("x", 1, a); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v, want %q", err, test.want)
		}
	}
}
