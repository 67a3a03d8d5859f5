package record

import (
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"time"

	"tandem/fixtures/experiment"
	"tandem/onnx/atomicfile"
)

// SweepSchema is the version of a sweep's layout.
const SweepSchema = "tandem.sweep/1"

// Sweep is one experiment, judged and timed with several settings.
type Sweep struct {
	Schema  string       `json:"schema"`
	Command string       `json:"command"` // "bench"
	Started time.Time    `json:"started"`
	Resumed []Resumption `json:"resumed,omitempty"`
	Seconds float64      `json:"seconds"` // of the whole command
	// Experiment is what all points have in common: each changes it by its values.
	Experiment  *experiment.Experiment `json:"experiment"`
	Data        Data                   `json:"data"`    // of the first point
	Engines     []Engine               `json:"engines"` // the reference first; their threads are the first point's
	Axes        []SweepAxis            `json:"axes"`
	Points      []SweepPoint           `json:"points"` // the whole grid, the last axis changing fastest
	Environment Environment            `json:"environment"`
}

// SweepAxis is one thing that a sweep changes.
type SweepAxis struct {
	Name   string   `json:"name"` // as it was given: "batch"
	Key    string   `json:"key"`  // the experiment's, such as "train.batch"; or "threads", "width"
	Values []string `json:"values"`
}

// SweepPoint is one comparison, shorter than that of a run: fewer judged steps and a shorter training.
type SweepPoint struct {
	Values      []string `json:"values"` // one for each axis
	Threads     int      `json:"threads"`
	Batch       int      `json:"batch"`
	Parameters  int      `json:"parameters"` // trainable numbers of the model
	Verdict     Verdict  `json:"verdict"`
	Reasons     []string `json:"reasons"`      // as in Parity
	JudgedSteps []int    `json:"judged_steps"` // under teacher forcing
	// Timing has a speed-up after a PASS alone.
	Timing   *Timing            `json:"timing"`
	Memory   map[Role]MemoryUse `json:"memory,omitempty"`
	Warnings []string           `json:"warnings,omitempty"`
}

// Point takes from a comparison's record what a sweep keeps of it.
func Point(values []string, r *Run) SweepPoint {
	p := SweepPoint{
		Values: values, Parameters: r.Model.Parameters, Verdict: r.Parity.Verdict, Reasons: r.Parity.Reasons,
		Timing: r.Timing, Memory: r.Memory, Warnings: r.Warnings,
	}
	if r.Experiment != nil {
		p.Batch = r.Experiment.Train.Batch
	}
	if len(r.Engines) > 0 {
		p.Threads = r.Engines[0].Threads
	}
	for _, s := range r.Parity.Steps {
		p.JudgedSteps = append(p.JudgedSteps, s.Step)
	}
	return p
}

// Validate reports everything that contradicts itself in s, as [Run.Validate] does.
func (s *Sweep) Validate() error {
	v := &validator{}
	v.require(s.Schema == SweepSchema, "schema is %q, not %q", s.Schema, SweepSchema)
	v.require(s.Experiment != nil, "experiment is absent")
	v.require(len(s.Engines) == 2 && s.Engines[0].Role == Reference && s.Engines[1].Role == Candidate, "engines must be a reference and a candidate")
	points := 1
	for i, a := range s.Axes {
		v.require(a.Name != "" && a.Key != "" && len(a.Values) > 0, "axes[%d] has no name, key or value", i)
		points *= len(a.Values)
	}
	v.require(len(s.Axes) > 0 && len(s.Points) == points, "%d axes make %d points, there are %d", len(s.Axes), points, len(s.Points))
	v.finite(reflect.ValueOf(s).Elem(), "")
	for i := range s.Points {
		s.point(v, i)
	}
	if len(v.problems) > 0 {
		return &ValidationError{Problems: v.problems}
	}
	return nil
}

// point holds one point to what a run's record is held to.
func (s *Sweep) point(v *validator, i int) {
	p := &s.Points[i]
	field := fmt.Sprintf("points[%d]", i)
	v.require(len(p.Values) == len(s.Axes), "%s has %d values for %d axes", field, len(p.Values), len(s.Axes))
	for k := range min(len(p.Values), len(s.Axes)) {
		v.require(slices.Contains(s.Axes[k].Values, p.Values[k]), "%s has the value %q, which the axis %s lacks", field, p.Values[k], s.Axes[k].Name)
	}
	v.require(p.Threads > 0 && p.Batch > 0, "%s has %d threads and batches of %d", field, p.Threads, p.Batch)
	v.require(slices.Contains([]Verdict{Pass, Fail, Inconclusive}, p.Verdict), "%s.verdict is %q", field, p.Verdict)
	v.require(len(p.Reasons) > 0, "%s.reasons is empty: a verdict says why", field)
	v.require(p.Verdict != Pass || len(p.JudgedSteps) > 0, "%s is PASS without a judged step", field)
	v.require(p.Timing != nil, "%s.timing is absent", field)
	if p.Timing == nil {
		return
	}
	r := &Run{Engines: s.Engines, Parity: Parity{Verdict: p.Verdict}, Timing: p.Timing, Memory: p.Memory}
	inner := &validator{}
	inner.timing(r)
	inner.memory(r)
	for _, problem := range inner.problems {
		v.require(false, "%s.%s", field, problem)
	}
}

// WriteSweep validates s and writes it as [Write] does a run.
func WriteSweep(path string, s *Sweep) error {
	if s.Schema == "" {
		s.Schema = SweepSchema
	}
	if err := s.Validate(); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	data, err := encode(s)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, data)
}

// ReadSweep reads and validates the sweep at path, as [Read] does a run.
func ReadSweep(path string) (*Sweep, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	s := new(Sweep)
	if err := decode(data, s, SweepSchema); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}
