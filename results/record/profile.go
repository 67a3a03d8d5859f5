package record

import "tandem/results/engine"

// Profile says what an engine's training step is spent on, and how far that is from what the machine could do at that moment. It is measured in
// a process of its own.
type Profile struct {
	Engine  string `json:"engine"`
	Threads int    `json:"threads"`
	// StepSeconds are of whole steps, which nothing takes apart.
	StepSeconds Quantile `json:"step_seconds"`
	// CallsSeconds is the sum of the calls' medians, in steps in which each is timed.
	CallsSeconds float64 `json:"calls_seconds"`
	// LimitSeconds is the sum of the calls' limits: no step can be faster without computing less.
	LimitSeconds float64 `json:"limit_seconds"`
	// SerialSeconds is the same sum where no call's arithmetic overlaps with its moving of bytes.
	SerialSeconds float64 `json:"serial_seconds"`
	// OperationsPerSecond is the measured limit of floating-point operations, Bandwidths that of bytes, by the size of the set in which they are.
	OperationsPerSecond float64            `json:"operations_per_second"`
	Bandwidths          []engine.Bandwidth `json:"bandwidths"`
	Calls               []ProfileCall      `json:"calls"` // in the order of the step
	// Layers are the calls by the node of the forward pass that they belong to, in the order of the step.
	Layers []ProfileLayer `json:"layers"`
	// Operators are the calls by phase and operator, the one that loses the most time to its limit first.
	Operators []ProfileOperator `json:"operators"`
}

// ProfileCall is a call with its limit: the longer of its operations at the limit of operations and its bytes at the bandwidth of the smallest
// measured set that holds them.
type ProfileCall struct {
	Phase        string  `json:"phase"` // "forward", "loss", "backward" or "update"
	Operator     string  `json:"operator"`
	Layer        string  `json:"layer"` // one of Layers
	Algorithm    string  `json:"algorithm,omitempty"`
	Seconds      float64 `json:"seconds"`    // the median
	Operations   float64 `json:"operations"` // floating-point, of products
	Bytes        float64 `json:"bytes"`      // read and written, each element once
	LimitSeconds float64 `json:"limit_seconds"`
}

// ProfileLayer is what belongs to one node of the forward pass. The loss counts as forward, and a parameter's update with the layer that reads
// it first, together with the gradient where one call computes both.
type ProfileLayer struct {
	Layer           string   `json:"layer"`
	Module          string   `json:"module,omitempty"` // PyTorch's path
	Operator        string   `json:"operator"`
	Algorithms      []string `json:"algorithms,omitempty"` // of its calls, each once
	ForwardSeconds  float64  `json:"forward_seconds"`
	BackwardSeconds float64  `json:"backward_seconds"`
	UpdateSeconds   float64  `json:"update_seconds"`
	Operations      float64  `json:"operations"`
	Bytes           float64  `json:"bytes"`
	LimitSeconds    float64  `json:"limit_seconds"`
}

// ProfileOperator is what one operator takes in one phase.
type ProfileOperator struct {
	Phase        string  `json:"phase"`
	Operator     string  `json:"operator"`
	Calls        int     `json:"calls"`
	Seconds      float64 `json:"seconds"`
	LimitSeconds float64 `json:"limit_seconds"`
}

func (v *validator) profile(p *Profile) {
	if p == nil {
		return
	}
	q := p.StepSeconds
	v.require(p.Engine != "" && p.Threads > 0, "profile is of the engine %q with %d threads", p.Engine, p.Threads)
	v.require(q.N > 0 && q.Low > 0 && q.Low <= q.Median && q.Median <= q.High, "profile.step_seconds: %v is not within [%v, %v]", q.Median, q.Low, q.High)
	v.require(p.OperationsPerSecond > 0 && len(p.Bandwidths) > 0, "profile has no limits")
	for i, b := range p.Bandwidths {
		v.require(b.SetBytes > 0 && b.BytesPerSecond > 0, "profile.bandwidths[%d] is %v bytes a second within %d", i, b.BytesPerSecond, b.SetBytes)
	}
	v.require(len(p.Calls) > 0 && len(p.Layers) > 0 && len(p.Operators) > 0, "profile has no call")
	v.require(p.CallsSeconds > 0 && p.LimitSeconds >= 0 && p.SerialSeconds >= p.LimitSeconds, "profile: %v s in calls with limits of %v and %v s", p.CallsSeconds, p.LimitSeconds, p.SerialSeconds)
	for i, c := range p.Calls {
		v.require(c.Seconds >= 0 && c.Operations >= 0 && c.Bytes >= 0 && c.LimitSeconds >= 0, "profile.calls[%d] (%s) has a negative number", i, c.Operator)
	}
}
