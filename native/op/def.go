package op

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/philox"
	"tandem/onnx/tensor"
)

// Def is one operator.
type Def struct {
	// Name is the ONNX operator type, or "tandem.Something" for one of tandem's own.
	Name string
	// Since is the lowest ONNX operator set version whose meaning of the operator is implemented; 0 for tandem's own.
	Since int64
	// MinInputs and MaxInputs bound the number of inputs; MaxInputs -1 means any number, none omitted.
	MinInputs, MaxInputs int
	// Settings are the inputs that are known when the graph is built, such as shapes, axes and bounds, and never parameters.
	Settings []int
	// Saves is the number of outputs that the node has in training even where the ONNX file names fewer or omits some: the
	// gradient is computed from them. 0 means 1.
	Saves int
	// Infer sets Type and Shape of each output of a node whose inputs are known, and refuses attributes that are not
	// implemented. Its error need not name the node.
	Infer func(n *ir.Node) error
	// View says that output 0 has the elements of input 0 in the same order, so that it needs no memory and no call.
	View bool
	// Float32 and Float64 make the call that computes the node; nil when View is true.
	Float32 Bind[float32]
	Float64 Bind[float64]
	// Algorithm names how a node is computed, for elements of float64 or of float32, where there is a choice; it may be nil.
	Algorithm func(n *ir.Node, double bool) string
	// Operations counts the floating-point operations of a node's products, two for a multiplication with its addition, by the operator's
	// definition; nil where there are none. See WorkOf.
	Operations func(n *ir.Node) float64
	// ElementByElement says that each element of the output depends on the inputs' elements at the same place alone: they may lie in any order, as long as it is the same for all.
	ElementByElement bool
	// Picks says that of input 0 no more elements are read than output 0 has.
	Picks bool
	// Again returns a node that computes output 0 of a node a second time, with the same bits, from values that the gradient keeps anyway and in
	// much less time than the products around it take; nil where there is no such way. Its outputs are not made yet: there are none, or as many,
	// all nil, as it computes of the node's first ones. See pass.Recompute.
	Again func(n *ir.Node) *ir.Node
	// Overwrites says that output 1 may lie in the memory of input 3, whose elements it takes the place of one by one; nil where it may not.
	Overwrites func(n *ir.Node) bool
	// Gradient adds the nodes that compute the gradients of the inputs. Nil needs a reason in NoGradient.
	Gradient   func(g *Gradient) error
	NoGradient string
	// Cases are examples that the conformance test runs: against finite differences when there is a gradient.
	Cases []Case
}

// Bind makes the call that computes one node. The call allocates nothing.
type Bind[T kernel.Float] func(c *Context[T]) (func(), error)

// Context is what a call is made from: the node and the memory of its values.
type Context[T kernel.Float] struct {
	Node *ir.Node
	In   []Buffer[T] // omitted inputs have none of the slices
	Out  []Buffer[T]
	// Workspace has as many elements as the node asked for. What it holds before and after the call is not known.
	Workspace []T
	Pool      *kernel.Pool
	// Run holds the numbers that differ from step to step.
	Run *Run
}

// Buffer is a value's memory; the slice of its type is set, unless it is empty.
type Buffer[T kernel.Float] struct {
	Shape []int
	Float []T
	Int   []int64
	Bool  []bool
}

// Run holds the numbers that differ from step to step; calls read them when they run.
type Run struct {
	Seed         uint64
	Step         int64 // steps taken before this one
	LearningRate float64
	// Of a step whose gradients are added up over several batches, Part is the number of the present one, from 0, and Share what its
	// gradients are multiplied with. Sites is the number of nodes that draw masks.
	Part  int
	Share float64
	Sites uint32
}

// Stream is the source of a node's mask: each part of a step numbers its sites behind the last one's.
func (r *Run) Stream(site uint32) philox.Stream {
	return philox.Stream{Seed: r.Seed, Step: uint64(r.Step), Site: site + uint32(r.Part)*r.Sites}
}

// Case is an example of a node: the inputs' shapes and the attributes.
type Case struct {
	Name       string
	Inputs     []CaseInput
	Attributes map[string]any
	Outputs    int // number of outputs whose gradients are tested; 1 when 0
}

// CaseInput is one input of a case. Float elements are drawn from a normal distribution unless given.
type CaseInput struct {
	Shape   []int
	Type    ir.Type // Float when 0
	Float   []float64
	Int     []int64
	Bool    []bool
	Const   bool // known when the graph is built
	NoGrad  bool // the operator has no gradient for this input
	Omitted bool
	Away    float64 // keeps drawn elements at least this far from 0, where the operator has a kink
}

// ErrUnsupported is what errors.Is finds in the error for an operator or attribute that is not implemented.
var ErrUnsupported = errors.New("not supported by the native trainer")

var registry = map[string]*Def{}

// Register adds an operator; it panics when the definition is incomplete, so that an incomplete one cannot be built.
func Register(d Def) {
	switch {
	case d.Name == "" || registry[d.Name] != nil:
		panic(fmt.Sprintf("op: operator %q is nameless or registered twice", d.Name))
	case d.Infer == nil:
		panic("op: " + d.Name + " has no shape rule")
	case !d.View && (d.Float32 == nil || d.Float64 == nil):
		panic("op: " + d.Name + " lacks a kernel")
	case (d.Gradient == nil) == (d.NoGradient == ""):
		panic("op: " + d.Name + " needs either a gradient or the reason why it has none")
	case d.Since == 0 && !strings.HasPrefix(d.Name, "tandem."):
		panic("op: " + d.Name + " does not say since which operator set it is implemented")
	case d.MaxInputs >= 0 && d.MaxInputs < d.MinInputs:
		panic("op: " + d.Name + " has no possible number of inputs")
	}
	registry[d.Name] = &d
}

// Lookup returns the definition of an operator, or nil.
func Lookup(name string) *Def { return registry[name] }

// Names returns the names of the supported ONNX operators, sorted.
func Names() []string {
	names := slices.Sorted(maps.Keys(registry))
	return slices.DeleteFunc(names, func(n string) bool { return strings.HasPrefix(n, "tandem.") })
}

// All returns every definition, tandem's own operators included, sorted by name.
func All() []*Def {
	var all []*Def
	for _, n := range slices.Sorted(maps.Keys(registry)) {
		all = append(all, registry[n])
	}
	return all
}

// Algorithm names how a node is computed, in float64 if double is set; it is empty where there is no choice.
func Algorithm(n *ir.Node, double bool) string {
	if d := registry[n.Op]; d != nil && d.Algorithm != nil {
		return d.Algorithm(n, double)
	}
	return ""
}

// NodeError says which node an error is about.
type NodeError struct {
	Node *ir.Node
	Err  error
}

func (e *NodeError) Error() string {
	var b strings.Builder
	o := e.Node.Origin
	if o.File != "" {
		fmt.Fprintf(&b, "%s: ", o.File)
	}
	fmt.Fprintf(&b, "operator %s", e.Node.Op)
	if o.Node != "" {
		fmt.Fprintf(&b, ", node %q", o.Node)
	}
	if o.ModulePath != "" {
		fmt.Fprintf(&b, " (PyTorch module %s)", o.ModulePath)
	}
	if o.Source != "" {
		fmt.Fprintf(&b, " from %s", o.Source)
	}
	var shapes []string
	for _, v := range e.Node.Inputs {
		if v == nil {
			shapes = append(shapes, "omitted")
		} else {
			shapes = append(shapes, v.String())
		}
	}
	fmt.Fprintf(&b, ", inputs [%s]: %v", strings.Join(shapes, ", "), e.Err)
	return b.String()
}

func (e *NodeError) Unwrap() error { return e.Err }

// NewestOpset is the newest operator set of ONNX that is known: that of the pinned onnx package, whose node tests, written for its newest definitions,
// run here. Definitions were not compared one by one; what changed between 13 and it in those that were (Range, Cast, Einsum, Mod, OneHot, TopK, GRU,
// Pad, Reshape) are attributes, inputs and types, which are refused where they are not implemented.
const NewestOpset = 28

// Infer checks the number of inputs of a node and sets its outputs' types and shapes.
func Infer(n *ir.Node) error {
	d := registry[n.Op]
	if d == nil {
		return &NodeError{n, fmt.Errorf("the operator is %w; it supports %s", ErrUnsupported, strings.Join(Names(), ", "))}
	}
	if d.Since > 0 && n.Version > 0 && n.Version < d.Since {
		return &NodeError{n, fmt.Errorf("operator set %d is %w: this operator's meaning is implemented from operator set %d on; export with a newer one", n.Version, ErrUnsupported, d.Since)}
	}
	if d.Since > 0 && n.Version > NewestOpset {
		return &NodeError{n, fmt.Errorf("operator set %d is %w: definitions are known up to %d, and a newer one may have given the operator another meaning; export with an older one", n.Version, ErrUnsupported, NewestOpset)}
	}
	if len(n.Inputs) < d.MinInputs || d.MaxInputs >= 0 && len(n.Inputs) > d.MaxInputs {
		return &NodeError{n, fmt.Errorf("has %d inputs, takes %d to %d", len(n.Inputs), d.MinInputs, d.MaxInputs)}
	}
	for i, v := range n.Inputs {
		if v == nil && (i < d.MinInputs || d.MaxInputs < 0) {
			return &NodeError{n, fmt.Errorf("input %d is missing", i)}
		}
	}
	if err := d.Infer(n); err != nil {
		return &NodeError{n, err}
	}
	for i, v := range n.Outputs {
		if v == nil {
			continue
		}
		if v.Type == 0 {
			return &NodeError{n, fmt.Errorf("output %d is %w", i, ErrUnsupported)}
		}
		if _, err := tensor.Elements(v.Shape); err != nil {
			return &NodeError{n, fmt.Errorf("output %d: %w", i, err)}
		}
	}
	return nil
}

// setOutput gives output i a type and shape, when the node has that output.
func setOutput(n *ir.Node, i int, t ir.Type, shape ...int) {
	if i < len(n.Outputs) && n.Outputs[i] != nil {
		n.Outputs[i].Type, n.Outputs[i].Shape = t, slices.Clone(shape)
	}
}

// wantFloat refuses inputs of another type than Float.
func wantFloat(n *ir.Node, inputs ...int) error {
	for _, i := range inputs {
		if v := n.Input(i); v != nil && v.Type != ir.Float {
			return fmt.Errorf("input %d of type %v is %w: it must be floating-point", i, v.Type, ErrUnsupported)
		}
	}
	return nil
}
