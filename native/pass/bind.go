package pass

import (
	"fmt"
	"unsafe"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// Program is a graph with memory and calls.
type Program[T kernel.Float] struct {
	Graph *ir.Graph
	Plan  *Plan
	// Calls runs the graph; Nodes[i] is what Calls[i] computes.
	Calls []func()
	Nodes []*ir.Node

	// beside is how many of the calls in front of the last are run beside it, and share what they have to do as a part of what the last has.
	beside int
	share  float64
	pool   *kernel.Pool

	state     func(*ir.Value) []T
	constants map[*ir.Value]op.Buffer[T]
	floats    []T
	ints      []int64
	bools     []bool
}

// Arena is the memory of the values of programs that run one after the other: each takes it from the start. What a program left there
// is gone when another one, or whoever fills another one's inputs, has written to it.
type Arena[T kernel.Float] struct {
	floats []T
	ints   []int64
	bools  []bool
}

// hold makes the arena long enough for a plan. Programs that have the shorter one keep it: bind the largest first.
func (a *Arena[T]) hold(plan *Plan) {
	if n := plan.Length[ir.Float]; n > len(a.floats) {
		a.floats = alignedSlice[T](n)
	}
	if n := plan.Length[ir.Int64]; n > len(a.ints) {
		a.ints = make([]int64, n)
	}
	if n := plan.Length[ir.Bool]; n > len(a.bools) {
		a.bools = make([]bool, n)
	}
}

// Bind gives a planned graph its memory and turns its nodes into calls. state returns the elements of a persistent value; they
// must stay where they are as long as the program is used.
func Bind[T kernel.Float](g *ir.Graph, plan *Plan, run *op.Run, pool *kernel.Pool, state func(*ir.Value) []T) (*Program[T], error) {
	return BindIn(new(Arena[T]), g, plan, run, pool, state)
}

// BindIn is Bind with the memory of an arena, which other programs may share.
func BindIn[T kernel.Float](a *Arena[T], g *ir.Graph, plan *Plan, run *op.Run, pool *kernel.Pool, state func(*ir.Value) []T) (*Program[T], error) {
	a.hold(plan)
	p := &Program[T]{
		Graph: g, Plan: plan, state: state, pool: pool,
		constants: map[*ir.Value]op.Buffer[T]{},
		floats:    a.floats[:plan.Length[ir.Float]],
		ints:      a.ints[:plan.Length[ir.Int64]],
		bools:     a.bools[:plan.Length[ir.Bool]],
	}
	for _, n := range g.Nodes {
		def := op.Lookup(n.Op)
		if def.View {
			continue
		}
		c := &op.Context[T]{Node: n, Pool: pool, Run: run}
		var err error
		if c.In, err = p.buffers(n.Inputs); err != nil {
			return nil, &op.NodeError{Node: n, Err: err}
		}
		if c.Out, err = p.buffers(n.Outputs); err != nil {
			return nil, &op.NodeError{Node: n, Err: err}
		}
		if w := plan.Workspace[n]; w != nil {
			b, err := p.Buffer(w)
			if err != nil {
				return nil, &op.NodeError{Node: n, Err: err}
			}
			c.Workspace = b.Float
		}
		call, err := bindNode(def, c)
		if err != nil {
			return nil, &op.NodeError{Node: n, Err: err}
		}
		p.Calls = append(p.Calls, call)
		p.Nodes = append(p.Nodes, n)
	}
	p.beside, p.share = beside(p.Nodes)
	return p, nil
}

// Run runs the calls, the last of them beside others where that is possible.
func (p *Program[T]) Run() {
	last := len(p.Calls) - 1
	for _, call := range p.Calls[:max(0, last-p.beside)] {
		call()
	}
	if last >= 0 {
		p.pool.Beside(p.Calls[last-p.beside:last], p.share, p.Calls[last])
	}
}

// bindNode chooses the operator's binding for T.
func bindNode[T kernel.Float](d *op.Def, c *op.Context[T]) (func(), error) {
	switch c := any(c).(type) {
	case *op.Context[float32]:
		return d.Float32(c)
	case *op.Context[float64]:
		return d.Float64(c)
	}
	panic("pass: an element type without kernels")
}

func (p *Program[T]) buffers(values []*ir.Value) ([]op.Buffer[T], error) {
	out := make([]op.Buffer[T], len(values))
	for i, v := range values {
		if v == nil {
			continue
		}
		b, err := p.Buffer(v)
		if err != nil {
			return nil, err
		}
		out[i] = b
	}
	return out, nil
}

// Buffer returns the memory of a value of the program. What an intermediate value holds is only known between the
// node that computes it and its last reader, unless it is an output of the graph.
func (p *Program[T]) Buffer(v *ir.Value) (op.Buffer[T], error) {
	root := p.Plan.Root(v)
	b := op.Buffer[T]{Shape: v.Shape}
	if b.Shape == nil {
		b.Shape = []int{}
	}
	switch {
	case root.Role == ir.Constant:
		c, ok := p.constants[root]
		if !ok {
			var err error
			if c, err = constantElements[T](root); err != nil {
				return b, err
			}
			p.constants[root] = c
		}
		b.Float, b.Int, b.Bool = c.Float, c.Int, c.Bool
		return b, nil
	case root.Role.Persistent():
		b.Float = p.state(root)
		if len(b.Float) != root.Len() {
			return b, fmt.Errorf("the state of %v has %d elements", root, len(b.Float))
		}
		return b, nil
	}
	at, ok := p.Plan.Offset[root]
	if !ok {
		return b, fmt.Errorf("%v has no place in memory", v)
	}
	end := at + root.Len()
	switch root.Type {
	case ir.Float:
		b.Float = p.floats[at:end:end]
	case ir.Int64:
		b.Int = p.ints[at:end:end]
	case ir.Bool:
		b.Bool = p.bools[at:end:end]
	}
	return b, nil
}

// Bytes returns the size of the memory that the program's values take in its arena.
func (p *Program[T]) Bytes() int {
	var zero T
	return len(p.floats)*int(unsafe.Sizeof(zero)) + len(p.ints)*8 + len(p.bools)
}

// alignedSlice returns n zeros whose first starts at a multiple of 64 bytes.
func alignedSlice[T kernel.Float](n int) []T {
	if n == 0 {
		return nil
	}
	var zero T
	size := int(unsafe.Sizeof(zero))
	s := make([]T, n+64/size)
	skip := 0
	if over := int(uintptr(unsafe.Pointer(unsafe.SliceData(s))) % 64); over != 0 {
		skip = (64 - over) / size
	}
	return s[skip : skip+n : skip+n]
}
