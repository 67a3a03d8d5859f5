package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/results/engine"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
)

// Diagnose says where a FAIL comes from: the first tensor in the order of computation that left the noise, the operator that it comes from,
// and the known mistakes whose fingerprint it bears. p is what [Judge] said of the same traces; the result is nil unless that is a FAIL.
// m may be empty: without a model no operator is named, and without data some fingerprints are not looked for.
func Diagnose(ref *trace.Reference, cand *trace.Candidate, limits experiment.Thresholds, p *record.Parity, m fingerprint.Material) *record.Diagnosis {
	if p.Verdict != record.Fail {
		return nil
	}
	d := &diagnosis{judgement: judgement{ref: ref, cand: cand, limits: limits}, parity: p, material: m, graph: newGraph(m.Model)}
	return d.find()
}

// diagnosis is one call of Diagnose.
type diagnosis struct {
	judgement
	parity   *record.Parity
	material fingerprint.Material
	graph    *graph
}

func (d *diagnosis) find() *record.Diagnosis {
	out := &record.Diagnosis{Stage: d.parity.Stage, Step: -1}
	looks := d.looks()
	out.Causes = fingerprint.Causes(looks)
	if len(looks) > 0 {
		first := looks[0]
		out.Step = first.Step
		for _, l := range looks {
			if l.Step >= 0 && l.Suspect != nil {
				out.FailingSteps = append(out.FailingSteps, l.Step)
			}
		}
		if s := first.Suspect; s != nil {
			out.Tensor = s.Name
			if s.Entry != nil {
				out.Error, out.Rho, out.Float64Gap = new(s.Entry.Error), new(s.Entry.Rho), s.Entry.Float64Gap
			}
			if first.Node != nil && d.parity.Stage != record.StageOptimizer { // an update is computed by no node
				out.Operator = d.operator(first)
			}
		}
	}
	out.Summary = summary(out, d.material.Model != nil)
	return out
}

// looks makes one look for each judged step that shows the failure, or a single one where it belongs to no judged step.
func (d *diagnosis) looks() []*fingerprint.Look {
	look := func(step int) *fingerprint.Look {
		return &fingerprint.Look{
			Material: d.material, Stage: d.parity.Stage, Step: step, Experiment: d.ref.Experiment, Limits: d.limits, Ref: d.ref, Cand: d.cand,
		}
	}
	switch d.parity.Stage {
	case record.StageData, record.StageWeights:
		return []*fingerprint.Look{look(-1)}
	case record.StageCurve:
		return []*fingerprint.Look{look(d.leaving())}
	}
	var out []*fingerprint.Look
	for i := range d.ref.Steps {
		r := &d.ref.Steps[i]
		l := look(r.Step)
		l.R, l.C = r, d.step(r.Step)
		if l.C == nil {
			continue
		}
		l.Pairs = d.pairs(r, l.C)
		l.Suspect, l.Node = d.suspect(l)
		if l.Suspect != nil || d.counterOff(l) {
			out = append(out, l)
		}
	}
	return out
}

func (d *diagnosis) counterOff(l *fingerprint.Look) bool {
	next := int64(l.Step) + 1
	return d.parity.Stage == record.StageOptimizer && (l.C.UpdateStep != next || l.C.AfterStep != next)
}

// leaving is the first free-running step whose loss is far from the reference's, or that at which one of the two ends.
func (d *diagnosis) leaving() int {
	ref, cand := d.ref.Losses, d.cand.Losses
	bound := d.limits.Horizon
	scale := lossScale(ref)
	envelope := Envelope(d.ref)
	for t := range min(len(ref), len(cand)) {
		if v := relative(cand[t], ref[t], scale); !(v <= max(bound, d.limits.EnvelopeSlack*envelope[t])) {
			return t
		}
	}
	return min(len(ref), len(cand))
}

// pairs returns the stage's tensors at a judged step.
func (d *diagnosis) pairs(r *trace.ReferenceStep, c *trace.CandidateStep) []fingerprint.Pair {
	i := slices.IndexFunc(d.parity.Steps, func(s record.JudgedStep) bool { return s.Step == r.Step })
	if i < 0 {
		return nil
	}
	judged := &d.parity.Steps[i]
	switch d.parity.Stage {
	case record.StageForward:
		return append(d.paired(r.Float64, c.Float32, c.Float64, nil, "activations/", "", judged.Outputs),
			d.paired(r.Float64, c.Float32, c.Float64, nil, "outputs/", "outputs/", judged.Outputs)...)
	case record.StageBackward:
		return d.paired(r.Float64, c.Float32, c.Float64, nil, "gradients/", "gradients/", judged.Gradients)
	case record.StageBuffers:
		exact, _ := exactBuffers(r)
		return d.paired(exact, c.After, c.Float64, nil, "buffers/", "buffers/", judged.Buffers)
	case record.StageLoss:
		return d.losses(r, c, judged)
	case record.StageOptimizer:
		// Moments first: the weights are computed from them.
		states := func(exact, single, double trace.Set, entries []record.TensorError) (out []fingerprint.Pair) {
			for _, prefix := range []string{"optimizer/", "parameters/"} {
				out = append(out, d.paired(exact, single, double, r.Before, prefix, "", entries)...)
			}
			return out
		}
		update := states(r.Update64, c.Update32, c.Update64, judged.Update)
		if slices.ContainsFunc(update, func(p fingerprint.Pair) bool { return p.Off }) {
			return update
		}
		return states(r.Exact, c.After, nil, judged.WholeStep)
	}
	return nil
}

// paired joins the tensors whose names begin with prefix to the judge's entries, which have their names without trim.
func (d *diagnosis) paired(exact, single, double, before trace.Set, prefix, trim string, entries []record.TensorError) []fingerprint.Pair {
	byName := map[string]*record.TensorError{}
	for i := range entries {
		byName[trim+strings.TrimPrefix(entries[i].Name, trim)] = &entries[i]
	}
	neighbour := 0.0
	var out []fingerprint.Pair
	for _, name := range sorted(exact) {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		p, ok := d.pair(name, exact[name], single, double, before, byName[name])
		if !ok {
			continue
		}
		neighbour = max(neighbour, p.Size)
		out = append(out, p)
	}
	for i := range out {
		if out[i].Size <= neighbour*d.limits.StructuralZero {
			out[i].Size = neighbour
		}
	}
	return out
}

func (d *diagnosis) pair(name string, exact trace.Sampled, single, double, before trace.Set, entry *record.TensorError) (fingerprint.Pair, bool) {
	k := d.ref.Sample
	p := fingerprint.Pair{Name: name, Shape: exact.Shape, Entry: entry, Tolerance: roundings * d.limits.PassRho}
	var err error
	if p.Exact, err = exact.Float64s(k); err != nil || !trace.Finite(p.Exact) && !(d.parity.Stage == record.StageForward && trace.Finite(trace.WithoutInfinities(p.Exact))) {
		return p, false
	}
	p.Sampled = len(p.Exact) != exact.Len()
	if b, ok := before[name]; ok {
		if p.Before, err = b.Float64s(k); err != nil || len(p.Before) != len(p.Exact) {
			return p, false
		}
	}
	p.Size = trace.Norm(trace.WithoutInfinities(minus(p.Exact, p.Before)))
	from := single
	if entry != nil {
		p.Tolerance = d.limits.PassRho * float64(entry.Floor)
		gap := beyond(*entry, d.limits)
		p.Off = gap || !(float64(entry.Rho) <= d.limits.FailRho)
		if gap {
			from, p.Double, p.Tolerance = double, true, d.limits.Float64Gap
		}
	}
	got, ok := from[name]
	if !ok {
		// An activation that one side lacks is no failure; everything else is.
		p.Off = p.Off || !strings.HasPrefix(name, "activations/")
		return p, p.Off
	}
	p.GotShape = got.Shape
	if p.GotShape == nil {
		p.GotShape = []int{}
	}
	if !slices.Equal(got.Shape, exact.Shape) {
		p.Off = true
		return p, true
	}
	if p.Got, err = got.Float64s(k); err != nil {
		return p, false
	}
	p.Off = p.Off || notFinite(trace.Distance(p.Got, p.Exact))
	return p, true
}

// losses are the loss of the gradient pass and, if that is right, the one that the training step reported.
func (d *diagnosis) losses(r *trace.ReferenceStep, c *trace.CandidateStep, judged *record.JudgedStep) []fingerprint.Pair {
	if r.Loss64 == nil {
		return nil
	}
	one := func(x engine.Float) trace.Set { return scalar("loss", x) }
	floor := record.Float(roundings)
	if e := float64(judged.Loss.Rho); e > 0 && !notFinite(e) {
		floor = max(floor, record.Float(ratio(math.Abs(float64(c.Loss32-*r.Loss64)), math.Abs(float64(*r.Loss64)))/e))
	}
	entry := func(x engine.Float, x64 *engine.Float) *record.TensorError {
		e := record.Float(ratio(math.Abs(float64(x-*r.Loss64)), math.Abs(float64(*r.Loss64))))
		out := &record.TensorError{Name: "loss", Error: e, Floor: floor, Rho: e / floor}
		if x64 != nil {
			gap := record.Float(ratio(math.Abs(float64(*x64-*r.Loss64)), math.Abs(float64(*r.Loss64))))
			out.Float64Gap = &gap
		}
		return out
	}
	var double trace.Set
	if c.Loss64 != nil {
		double = one(*c.Loss64)
	}
	exact := one(*r.Loss64)["loss"]
	if p, ok := d.pair("loss", exact, one(c.Loss32), double, nil, entry(c.Loss32, c.Loss64)); ok && p.Off {
		return []fingerprint.Pair{p}
	}
	if p, ok := d.pair("loss", exact, one(c.StepLoss), nil, nil, entry(c.StepLoss, nil)); ok {
		p.Name = "loss of the training step"
		return []fingerprint.Pair{p}
	}
	return nil
}

// suspect is the first tensor in the order of computation that is off, and the node that it comes from.
func (d *diagnosis) suspect(l *fingerprint.Look) (*fingerprint.Pair, *onnx.Node) {
	var best *fingerprint.Pair
	var node *onnx.Node
	at := 0
	for i := range l.Pairs {
		p := &l.Pairs[i]
		if !p.Off {
			continue
		}
		n, place := d.graph.place(d.parity.Stage, p.Name)
		if best == nil || place < at {
			best, node, at = p, n, place
		}
	}
	return best, node
}

// operator names the node of the suspect, with the others that may be to blame.
func (d *diagnosis) operator(l *fingerprint.Look) *record.Operator {
	out := &record.Operator{Node: l.Node.Name, Op: l.Node.OpType, Module: l.Node.ModulePath, Source: l.Node.Source}
	good := map[string]bool{} // values and parameters that were compared and are right
	for i := range l.Pairs {
		if p := &l.Pairs[i]; !p.Off && p.Got != nil {
			_, name, _ := strings.Cut(p.Name, "/")
			good[name] = true
		}
	}
	switch d.parity.Stage {
	case record.StageForward:
		out.Among = d.graph.upstream(l.Node, good)
	case record.StageBackward:
		out.Among = d.graph.downstream(l, good)
	}
	return out
}

func summary(d *record.Diagnosis, model bool) string {
	var b strings.Builder
	switch {
	case d.Tensor != "" && d.Stage == record.StageLoss:
		fmt.Fprintf(&b, "The loss leaves the noise first at step %d; the outputs that it is computed from do not.", d.Step)
	case d.Operator != nil:
		fmt.Fprintf(&b, "%s leaves the noise first at step %d, at node %q (%s)", d.Tensor, d.Step, d.Operator.Node, d.Operator.Op)
		if d.Operator.Module != "" {
			fmt.Fprintf(&b, " of the module %s", d.Operator.Module)
		}
		if len(d.Operator.Among) > 0 {
			fmt.Fprintf(&b, "; nothing between it and %s was compared, so those may be to blame as well", strings.Join(d.Operator.Among, ", "))
		}
		b.WriteString(".")
	case d.Tensor != "":
		fmt.Fprintf(&b, "%s leaves the noise first at step %d.", d.Tensor, d.Step)
		if !model {
			b.WriteString(" Which operator it comes from is not known without the model.")
		}
	case d.Stage == record.StageCurve:
		fmt.Fprintf(&b, "Every judged step is right; the free-running loss leaves the reference's at step %d.", d.Step)
	default:
		fmt.Fprintf(&b, "The stage %q is wrong before any operator is computed.", d.Stage)
	}
	if len(d.Causes) == 0 {
		b.WriteString(" No known mistake has this fingerprint.")
	} else {
		c := d.Causes[0]
		fmt.Fprintf(&b, " %s: %s.", map[record.Certainty]string{
			record.Exact: "Cause", record.Likely: "Likely cause", record.Possible: "Possible cause",
		}[c.Certainty], c.Text)
	}
	return b.String()
}
