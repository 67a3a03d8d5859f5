package trace

import (
	"fmt"
	"strings"

	"tandem/results/engine"
)

// file is one safetensors file of a trace and the field that it fills; exactly one of the three pointers is set.
type file struct {
	path     string
	prefixes []string // that its tensors' names may begin with
	whole    *Tensors
	set      *Set
	losses   func(name string) *[]float64 // where the vector of that name belongs; nil for a foreign name
	names    []string                     // of the vectors, when losses is set
}

var (
	gradPrefixes = []string{"gradients/", "outputs/", "activations/", "buffers/"}
	// A candidate's outputs are whole, so that a diagnosis can compute its loss anew.
	outputPrefixes = []string{"outputs/"}
	statePrefixes  = []string{"parameters/", "buffers/", "optimizer/"}
)

func (c *Common) files() []file {
	return []file{
		{path: "final.safetensors", prefixes: []string{"parameters/"}, set: &c.FinalValues},
		{path: "eval-initial.safetensors", prefixes: []string{"outputs/"}, whole: &c.EvalInitial},
		{path: "eval-trained.safetensors", prefixes: []string{"outputs/"}, whole: &c.EvalTrained},
	}
}

func (m *Measured) files() []file {
	dir := stepDir(m.Step)
	return []file{
		{path: dir + "float32.safetensors", prefixes: gradPrefixes, set: &m.Float32},
		{path: dir + "float64.safetensors", prefixes: gradPrefixes, set: &m.Float64},
		{path: dir + "update32.safetensors", prefixes: statePrefixes, set: &m.Update32},
		{path: dir + "update64.safetensors", prefixes: statePrefixes, set: &m.Update64},
		{path: dir + "after.safetensors", prefixes: statePrefixes, set: &m.After},
	}
}

func (r *Reference) files() []file {
	names := []string{"run"}
	for _, run := range r.FreeRuns {
		names = append(names, "nudged/"+run.Name)
	}
	losses := func(name string) *[]float64 {
		if name == "run" {
			return &r.Losses
		}
		for i := range r.FreeRuns {
			if name == "nudged/"+r.FreeRuns[i].Name {
				return &r.FreeRuns[i].Losses
			}
		}
		return nil
	}
	all := append(r.Common.files(), file{path: "losses.safetensors", losses: losses, names: names})
	for i := range r.Steps {
		s := &r.Steps[i]
		dir := stepDir(s.Step)
		all = append(all, s.Measured.files()...)
		all = append(all,
			file{path: dir + "state.safetensors", prefixes: append([]string{"step"}, statePrefixes...), whole: &s.State},
			file{path: dir + "before.safetensors", prefixes: []string{"parameters/"}, set: &s.Before},
			file{path: dir + "exact.safetensors", prefixes: statePrefixes, set: &s.Exact})
	}
	return all
}

func (c *Candidate) files() []file {
	losses := func(name string) *[]float64 {
		if name == "run" {
			return &c.Losses
		}
		return nil
	}
	all := append(c.Common.files(), file{path: "losses.safetensors", losses: losses, names: []string{"run"}})
	for i := range c.Steps {
		all = append(all, c.Steps[i].Measured.files()...)
	}
	return all
}

func stepDir(step int) string { return fmt.Sprintf("step-%06d/", step) }

func hasPrefix(name string, prefixes []string) bool {
	for _, p := range prefixes {
		if name == p && !strings.HasSuffix(p, "/") || strings.HasSuffix(p, "/") && strings.HasPrefix(name, p) && len(name) > len(p) {
			return true
		}
	}
	return false
}

// check finds what no collected trace has, in what trace.json says.
func (r *Reference) check() error {
	if r.Experiment == nil {
		return fmt.Errorf("no experiment")
	}
	if r.Sample < 0 {
		return fmt.Errorf("sample is %d", r.Sample)
	}
	last := -1
	for i := range r.Steps {
		s := &r.Steps[i]
		if s.Step <= last {
			return fmt.Errorf("judged step %d follows step %d", s.Step, last)
		}
		last = s.Step
		if s.InitialState && s.Step != 0 {
			return fmt.Errorf("step %d claims the initial state", s.Step)
		}
		for _, list := range [][]Noise{s.Noise, s.StepNoise} {
			seen := map[string]bool{}
			for _, n := range list {
				if seen[n.Variant] {
					return fmt.Errorf("step %d has variant %q twice", s.Step, n.Variant)
				}
				seen[n.Variant] = true
				if err := checkDistances(n.Distance); err != nil {
					return fmt.Errorf("step %d, variant %q: %w", s.Step, n.Variant, err)
				}
			}
		}
	}
	seen := map[string]bool{}
	for _, run := range r.FreeRuns {
		if run.Name == "" || seen[run.Name] {
			return fmt.Errorf("free run %q is unnamed or there twice", run.Name)
		}
		seen[run.Name] = true
		if err := checkDistances(run.Distance); err != nil {
			return fmt.Errorf("free run %q: %w", run.Name, err)
		}
	}
	return nil
}

func (c *Candidate) check() error {
	if c.Sample < 0 {
		return fmt.Errorf("sample is %d", c.Sample)
	}
	last := -1
	for i := range c.Steps {
		if c.Steps[i].Step <= last {
			return fmt.Errorf("judged step %d follows step %d", c.Steps[i].Step, last)
		}
		last = c.Steps[i].Step
	}
	return nil
}

// checkDistances refuses negative ones; NaN and infinities are what a diverged variant has.
func checkDistances(d map[string]engine.Float) error {
	for name, v := range d {
		if v < 0 {
			return fmt.Errorf("the distance of %q is %v", name, float64(v))
		}
	}
	return nil
}
