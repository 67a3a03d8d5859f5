package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// roundings is the narrowest noise floor: two roundings to nearest in float32, 2 * 2^-24.
const roundings = 2.0 / (1 << 24)

// family is a set of tensors that are compared together and are each other's neighbours in size: the gradients of
// one step, say.
type family struct {
	what     string // for sentences, such as "gradient"
	prefix   string // that its names begin with
	step     int
	sample   int
	optional bool          // compare what both have (activations)
	trim     bool          // leave the prefix out of the record, where the field's name says it
	exact    trace.Set     // O
	noise    []trace.Noise // absolute distances from O
	single   trace.Set     // the candidate's float32 result
	double   trace.Set     // the candidate's float64 result; nil if it has none
	// before is subtracted from both sides: the change is judged, not what was there. Only with names that it has.
	before trace.Set
	// stored says that the result is kept in float32, so that O rounded to float32 is as near as any engine can come.
	stored bool
	// masked says that an element may be infinite, as scores are that a mask hides: the same infinity must then be on the other side. They take no
	// part in norms.
	masked bool
	// bare says that no noise can be measured and two roundings are the floor.
	bare bool
}

// member is a tensor of a family with its float64 result, ready for comparison.
type member struct {
	name          string
	exact, before []float64
	shape         []int
	norm          float64
	spread        float64 // of what it is the mean of, by norm; 0 where that is not known
}

// compare compares the tensors of a family and puts what is no matter of degree into the stage.
func (j *judgement) compare(s *stage, f family) []record.TensorError {
	members := f.members(s)
	if !f.optional {
		f.foreign(s, f.single, "")
		f.foreign(s, f.double, " in float64")
	}
	neighbour := 0.0
	for _, m := range members {
		neighbour = max(neighbour, m.norm)
	}
	spreads(members)
	var out []record.TensorError
	for _, m := range members {
		if e, ok := j.compareOne(s, f, m, neighbour); ok {
			out = append(out, e)
		}
	}
	return out
}

// spreads gives each running mean the standard deviations of what it is the mean of. A mean's rounding is relative to the size of its terms (Higham,
// section 4.2): behind a layer whose output has the mean zero, as a normalization's behind another one has, nothing but rounding is left of it.
func spreads(members []member) {
	for i := range members {
		base, is := strings.CutSuffix(members[i].name, "running_mean")
		if !is {
			continue
		}
		for _, m := range members {
			if m.name != base+"running_var" {
				continue
			}
			sum := 0.0
			for _, v := range m.exact {
				sum += math.Max(v, 0)
			}
			members[i].spread = math.Sqrt(sum)
		}
	}
}

// members lists the reference's tensors that can be compared with.
func (f family) members(s *stage) []member {
	var out []member
	for _, name := range sorted(f.exact) {
		if !strings.HasPrefix(name, f.prefix) {
			continue
		}
		exact, err := f.exact[name].Float64s(f.sample)
		if err != nil {
			s.doubt("The reference's %s %q at step %d cannot be read: %v.", f.what, name, f.step, err)
			continue
		}
		m := member{name: name, exact: exact, shape: f.exact[name].Shape}
		if b, ok := f.before[name]; ok {
			if m.before, err = b.Float64s(f.sample); err != nil || len(m.before) != len(exact) {
				s.doubt("The reference's %q before step %d does not fit the one after it.", name, f.step)
				continue
			}
		}
		if !trace.Finite(exact) && !(f.masked && trace.Finite(trace.WithoutInfinities(exact))) {
			s.doubt("The reference's own %s %q at step %d is not finite in float64, so nothing can be compared with it.", f.what, name, f.step)
			continue
		}
		m.norm = trace.Norm(trace.WithoutInfinities(minus(exact, m.before)))
		out = append(out, m)
	}
	return out
}

// foreign fails tensors that the reference does not have.
func (f family) foreign(s *stage, got trace.Set, where string) {
	for _, name := range sorted(got) {
		if _, ok := f.exact[name]; !ok && strings.HasPrefix(name, f.prefix) {
			s.fail("The candidate has a %s %q at step %d%s, which the reference has not.", f.what, name, f.step, where)
		}
	}
}

func (j *judgement) compareOne(s *stage, f family, m member, neighbour float64) (record.TensorError, bool) {
	e := record.TensorError{Name: m.name}
	if f.trim {
		e.Name = strings.TrimPrefix(m.name, f.prefix)
	}
	size := m.norm
	if size <= neighbour*j.limits.StructuralZero {
		e.Zero, size = true, neighbour
	}
	noise, ok := f.floor(s, m)
	if !ok {
		return e, false
	}
	distance, ok := f.distance(s, m, f.single, "float32")
	if !ok {
		return e, false
	}
	if f.stored {
		noise = max(noise, trace.Distance(rounded(m.exact), m.exact))
	}
	e.Error = engine.Float(ratio(distance, size))
	e.Floor = engine.Float(max(ratio(noise, size), roundings))
	e.Rho = e.Error / e.Floor
	if f.double != nil {
		distance, ok := f.distance(s, m, f.double, "float64")
		if !ok {
			return e, false
		}
		gap := engine.Float(ratio(distance, max(size, m.spread)))
		e.Float64Gap = &gap
	}
	return e, true
}

// floor is the largest distance of the reference's variants from O. At least one must have been measured.
func (f family) floor(s *stage, m member) (float64, bool) {
	noise, measured := 0.0, false
	for _, n := range f.noise {
		d, ok := n.Distance[m.name]
		if !ok {
			continue
		}
		if math.IsNaN(float64(d)) || math.IsInf(float64(d), 0) {
			s.doubt("The reference's %s %q at step %d is not finite in float32 (variant %q), so its noise is unknown.", f.what, m.name, f.step, n.Variant)
			return 0, false
		}
		noise, measured = max(noise, float64(d)), true
	}
	if !measured && !f.bare {
		s.doubt("The noise of the reference's %s %q at step %d was not measured.", f.what, m.name, f.step)
		return 0, false
	}
	return noise, true
}

// distance is the candidate's from O. What has no distance is a failure of its own.
func (f family) distance(s *stage, m member, from trace.Set, dtype string) (float64, bool) {
	got, ok := from[m.name]
	if !ok {
		if !f.optional {
			s.fail("The candidate has no %s %q in %s at step %d.", f.what, m.name, dtype, f.step)
		}
		return 0, false
	}
	if !slices.Equal(got.Shape, m.shape) {
		s.fail("The candidate's %s %q at step %d has shape %v in %s; the reference's has %v.", f.what, m.name, f.step, got.Shape, dtype, m.shape)
		return 0, false
	}
	x, err := got.Float64s(f.sample)
	if err != nil {
		s.doubt("The candidate's %s %q at step %d cannot be compared: %v.", f.what, m.name, f.step, err)
		return 0, false
	}
	for i, v := range x {
		switch o := m.exact[i]; {
		case notFinite(v) && v != o && !notFinite(o):
			s.fail("The candidate's %s %q at step %d holds %v in %s, where the reference is finite.", f.what, m.name, f.step, v, dtype)
			return 0, false
		case (notFinite(v) || notFinite(o)) && v != o:
			s.fail("The candidate's %s %q at step %d holds %v in %s, where the reference holds %v.", f.what, m.name, f.step, v, dtype, o)
			return 0, false
		}
	}
	return trace.Distance(minus(x, m.before), minus(m.exact, m.before)), true
}

// minus is x - before, or x where nothing was before.
func minus(x, before []float64) []float64 {
	if before == nil {
		return x
	}
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] - before[i]
	}
	return out
}

// rounded is x rounded to float32. What rounds to infinity is left, for no engine could store it.
func rounded(x []float64) []float64 {
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(float32(v))
		if math.IsInf(out[i], 0) {
			out[i] = v
		}
	}
	return out
}

// ratio is a/b with 0/0 = 0: two tensors of nothing but zeros agree, and anything beside them does not.
func ratio(a, b float64) float64 {
	if a == 0 && b == 0 {
		return 0
	}
	return a / b
}

// scalar makes a set of one number, so that the loss is compared as a tensor is.
func scalar(name string, v engine.Float) trace.Set {
	t, err := tensor.Of([]float64{float64(v)}, 1)
	if err != nil {
		panic(fmt.Sprint("judge: ", err)) // one element fills a vector of one
	}
	return trace.Set{name: {Shape: []int{}, Values: t}}
}
