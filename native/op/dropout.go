package op

import (
	"errors"
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Dropout zeroes each element with probability ratio and scales the others by 1/(1-ratio). Its mask is drawn by
// package philox from (seed, step, site), so that every engine draws the same. Inputs: data, ratio, training_mode,
// both constants; pass.Import adds the attributes "tandem_site" and "tandem_p" (the ratio as a float64, from the
// manifest). Without training_mode it is the identity, as ONNX says.
func init() {
	Register(Def{
		Name: "Dropout", Since: 12, MinInputs: 1, MaxInputs: 3, Settings: []int{1, 2}, Saves: 2,
		Infer:   inferDropout,
		Float32: bindDropout[float32], Float64: bindDropout[float64],
		Gradient: func(g *Gradient) error {
			if !Drops(g.Node) {
				g.Set(0, g.Out[0])
				return nil
			}
			if len(g.Node.Outputs) < 2 || g.Node.Outputs[1] == nil {
				return errors.New("the node has no mask output to differentiate with")
			}
			p, err := g.Node.Attributes.Float("tandem_p", 0)
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.DropoutGradient", map[string]any{"p": p}, g.Out[0], g.Node.Outputs[1]))
			return nil
		},
		Cases: []Case{
			{
				Name: "training", Attributes: map[string]any{"tandem_site": int64(3), "tandem_p": 0.25},
				Inputs: []CaseInput{{Shape: []int{5, 7}}, {Float: []float64{0.25}, Const: true, NoGrad: true}, {Type: ir.Bool, Bool: []bool{true}, Const: true, NoGrad: true}},
			},
			{
				Name: "evaluation", Attributes: map[string]any{"tandem_p": 0.25},
				Inputs: []CaseInput{{Shape: []int{5, 7}}, {Float: []float64{0.25}, Const: true, NoGrad: true}, {Type: ir.Bool, Bool: []bool{false}, Const: true, NoGrad: true}},
			},
		},
	})
	Register(Def{
		Name: "tandem.DropoutGradient", MinInputs: 2, MaxInputs: 2, // dy, mask
		Infer:   inferSame,
		Float32: bindDropoutGradient[float32], Float64: bindDropoutGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// Drops reports whether a Dropout node drops anything: its training_mode input is the constant true.
func Drops(n *ir.Node) bool {
	v := n.Input(2)
	return v != nil && v.Const != nil && v.Const.Len() == 1 && v.Const.Bytes()[0] != 0
}

func inferDropout(n *ir.Node) error {
	if err := wantFloat(n, 0); err != nil {
		return err
	}
	if v := n.Input(1); v != nil && (v.Const == nil || v.Const.Len() != 1) {
		return fmt.Errorf("a ratio that is not a constant is %w", ErrUnsupported)
	}
	if v := n.Input(2); v != nil && (v.Const == nil || v.Const.Len() != 1) {
		return fmt.Errorf("a training_mode that is not a constant is %w", ErrUnsupported)
	}
	p, err := n.Attributes.Float("tandem_p", 0)
	if err != nil {
		return err
	}
	if !(p >= 0 && p <= 1) {
		return fmt.Errorf("the ratio is %g, must be between 0 and 1", p)
	}
	setOutput(n, 0, ir.Float, n.Inputs[0].Shape...)
	setOutput(n, 1, ir.Bool, n.Inputs[0].Shape...)
	return nil
}

// dropoutScale is what kept elements are multiplied with; 0 when none is kept.
func dropoutScale[T kernel.Float](p float64) T {
	if p == 1 {
		return 0
	}
	return T(1 / (1 - p))
}

func bindDropout[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	var mask []bool
	if len(c.Out) > 1 {
		mask = c.Out[1].Bool
	}
	if !Drops(c.Node) {
		return func() {
			copy(y, x)
			for i := range mask {
				mask[i] = true
			}
		}, nil
	}
	if mask == nil {
		mask = make([]bool, len(y))
	}
	d, err := newDropping[T](c.Node, "tandem_p", "tandem_site", c.Run)
	if err != nil {
		return nil, err
	}
	return elementwise(c.Pool, len(y), func(lo, hi int) { d.drop(y[lo:hi], x[lo:hi], mask[lo:hi], lo) }), nil
}

// dropping is what a node drops with.
type dropping[T kernel.Float] struct {
	p     float64
	site  uint32
	scale T
	run   *Run
}

// newDropping reads the attributes of those names.
func newDropping[T kernel.Float](n *ir.Node, p, site string, run *Run) (d dropping[T], err error) {
	if d.p, err = n.Attributes.Float(p, 0); err != nil {
		return d, err
	}
	number, err := n.Attributes.Int(site, 0)
	d.site, d.scale, d.run = uint32(number), dropoutScale[T](d.p), run
	return d, err
}

// drop draws the mask of the elements from first on and applies it to them.
func (d *dropping[T]) drop(y, x []T, mask []bool, first int) {
	s := d.run.Stream(d.site)
	kernel.Keep(mask, s, first, d.p)
	kernel.Mask(y, x, mask, d.scale)
}

// endLayer is what a product of so many columns ends with to add the bias, rectify and drop.
func (d dropping[T]) endLayer(columns int, bias []T, threads int) kernel.End[T] {
	masks := make([][4096]bool, threads)
	return func(worker int, c []T, stride, lo, hi, left, right int) {
		mask := masks[worker][:]
		s := d.run.Stream(d.site)
		for ; left < right; left, c = left+len(mask), c[min(len(c), len(mask)):] {
			n := min(right-left, len(mask))
			most := len(mask) / n // rows at a time
			for i := lo; i < hi; i += most {
				part := mask[:min(most, hi-i)*n]
				kernel.KeepRows(part, s, i*columns+left, n, columns, d.p)
				kernel.ReluDropout(c[(i-lo)*stride:], stride, bias[left:left+n], part, d.scale)
			}
		}
	}
}

func bindDropoutGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dy, mask, dx := c.In[0].Float, c.In[1].Bool, c.Out[0].Float
	p, err := c.Node.Attributes.Float("p", 0)
	if err != nil {
		return nil, err
	}
	scale := dropoutScale[T](p)
	return elementwise(c.Pool, len(dx), func(lo, hi int) { kernel.Mask(dx[lo:hi], dy[lo:hi], mask[lo:hi], scale) }), nil
}
