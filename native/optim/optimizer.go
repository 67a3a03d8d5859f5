package optim

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// Config is an optimizer and its numbers. Fields that the kind does not use are ignored.
type Config struct {
	Kind         string // "sgd", "adam", "adamw", "rmsprop", "adagrad", "nadam", "lion"
	LearningRate float64
	Betas        [2]float64
	Alpha        float64
	Eps          float64
	WeightDecay  float64
	Momentum     float64
	Dampening    float64
	Nesterov     bool
	Centered     bool
	LRDecay      float64
	// InitialAccumulator is what Adagrad's sums of squares begin with.
	InitialAccumulator float64
	MomentumDecay      float64
	DecoupledDecay     bool
	// NoDecay are patterns of the names of parameters that get no weight decay; "*" stands for any text.
	NoDecay []string
	// ClipNorm is the largest norm that all gradients together may have (clip.go); 0 does not clip.
	ClipNorm float64
}

// Rule is one optimizer.
type Rule struct {
	// Kind is the name in Config.
	Kind string
	// Slots returns the names of the moments kept for each parameter, PyTorch's names.
	Slots func(c Config) []string
	// Initial returns what a moment's elements are before the first step; nil means zero.
	Initial func(c Config, slot string) float64
	// Check refuses numbers that make no sense.
	Check func(c Config) error
	// Float32 and Float64 make the update of one parameter.
	Float32 func(c Config) Update[float32]
	Float64 func(c Config) Update[float64]
}

// Update has these parts: Begin computes a step's numbers, once for each parameter and step, and Range is the loop over elements
// lo ... hi of the parameter and its slots. gradient holds those elements alone: its first is that of element lo.
type Update[T kernel.Float] struct {
	Begin func(run *op.Run)
	Range func(parameter, gradient []T, slots [][]T, lo, hi int)
	// Product, where there is one, is what package kernel weaves into the product that gives the gradient, in the place of Range.
	Product func(parameter []T, slots [][]T) *kernel.AdamProduct[T]
}

var rules = map[string]Rule{}

// mistaken begins the kinds of rules that are known to be wrong.
const mistaken = "mistake."

// Mistaken registers a rule that is known to be wrong beside the real ones, to be planted where a judge has to prove that it
// notices, and returns the kind that Config then names. No experiment can name it.
func Mistaken(r Rule) string {
	r.Kind = mistaken + r.Kind
	register(r)
	return r.Kind
}

// Kinds returns the names of the optimizers, sorted.
func Kinds() []string {
	kinds := slices.Sorted(maps.Keys(rules))
	return slices.DeleteFunc(kinds, func(k string) bool { return strings.HasPrefix(k, mistaken) })
}

// Lookup returns the rule of a kind; false when there is none.
func Lookup(kind string) (Rule, bool) {
	r, ok := rules[kind]
	return r, ok
}

// register makes the rule known under its kind, and as an operator of the graph.
func register(r Rule) {
	rules[r.Kind] = r
	registerOperator(r)
}

// registerOperator makes the rule known as an operator of the graph alone.
func registerOperator(r Rule) {
	op.Register(op.Def{
		Name: operator(r.Kind), MinInputs: 2, MaxInputs: -1, // parameter, gradient, slots, with "clipped" the gradient's scale
		Infer: func(n *ir.Node) error {
			sized := n.Inputs[1:]
			if isClipped(n) {
				last := len(sized) - 1
				if len(sized[last].Shape) != 0 {
					return fmt.Errorf("the scale of the gradient has shape %v, must be a scalar", sized[last].Shape)
				}
				sized = sized[:last]
			}
			for _, v := range sized {
				if !slices.Equal(v.Shape, n.Inputs[0].Shape) {
					return fmt.Errorf("%s has shape %v, its parameter %v", v.Name, v.Shape, n.Inputs[0].Shape)
				}
			}
			return nil
		},
		Float32:    func(c *op.Context[float32]) (func(), error) { return bind(c, r.Float32) },
		Float64:    func(c *op.Context[float64]) (func(), error) { return bind(c, r.Float64) },
		NoGradient: "an update is not differentiated",
	})
	registerProduct(r)
}

// operator returns the name of the graph operator of an optimizer.
func operator(kind string) string { return "tandem.optim." + kind }

// Slots checks the configuration and returns the names of the moments that its optimizer keeps.
func Slots(c Config) ([]string, error) {
	r, ok := rules[c.Kind]
	if !ok {
		return nil, fmt.Errorf("optim: optimizer %q is %w; it has %s", c.Kind, op.ErrUnsupported, strings.Join(Kinds(), ", "))
	}
	if !(c.LearningRate >= 0) {
		return nil, fmt.Errorf("optim: the learning rate is %g, must not be negative", c.LearningRate)
	}
	if !(c.WeightDecay >= 0) {
		return nil, fmt.Errorf("optim: the weight decay is %g, must not be negative", c.WeightDecay)
	}
	if !(c.ClipNorm >= 0) {
		return nil, fmt.Errorf("optim: the largest norm of the gradients is %g, must not be negative", c.ClipNorm)
	}
	if err := r.Check(c); err != nil {
		return nil, fmt.Errorf("optim: %s: %w", c.Kind, err)
	}
	return r.Slots(c), nil
}

// Initial returns what the elements of a moment are before the first step.
func Initial(c Config, slot string) float64 {
	if r := rules[c.Kind]; r.Initial != nil {
		return r.Initial(c, slot)
	}
	return 0
}

// Node returns the node that updates a parameter with its gradient, multiplied by scale unless that is nil. The learning rate is
// read from the run at each step; everything else is fixed.
func Node(c Config, parameter, gradient *ir.Value, slots []*ir.Value, scale *ir.Value) (*ir.Node, error) {
	if !c.Decays(parameter.Name) {
		c.WeightDecay = 0
	}
	n := &ir.Node{
		Op:     operator(c.Kind),
		Inputs: append([]*ir.Value{parameter, gradient}, slots...),
		Writes: append([]*ir.Value{parameter}, slots...),
		Origin: ir.Origin{Node: parameter.Name, Phase: ir.Update},
	}
	n.Attributes = attributes(c)
	if scale != nil {
		n.Inputs = append(n.Inputs, scale)
		n.Attributes = n.Attributes.With(clippedKey, int64(1))
	}
	return n, op.Infer(n)
}
