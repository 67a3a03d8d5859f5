package fingerprint

import (
	"fmt"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// Data is the data file that both engines read; package results/engine documents it.
type Data struct {
	Inputs map[string]*tensor.Tensor // by the model's input names, one sample a row
	Target []int64                   // PerRow of them for each sample; empty where the targets are no class numbers
	Number []float64                 // the same of targets that are numbers
	PerRow int                       // 1, or the positions of a sequence
	// Order and Offsets give the samples of each step: Order[Offsets[k]:Offsets[k+1]].
	Order, Offsets []int64
	tensors        map[string]*tensor.Tensor
	// augment has three numbers for each position of the order, fill one for each channel; nil where images stay as they are.
	augment []int8
	fill    []float32
}

// ReadData reads a data file.
func ReadData(path string) (*Data, error) {
	f, err := safetensors.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return NewData(f.Tensors)
}

// NewData makes data of a data file's tensors.
func NewData(tensors map[string]*tensor.Tensor) (*Data, error) {
	d := &Data{Inputs: map[string]*tensor.Tensor{}, tensors: tensors, PerRow: 1}
	for name, t := range tensors {
		switch {
		case name == "train/target" && t.DType() == tensor.Int64:
			d.Target = tensor.View[int64](t)
			if len(t.Shape()) == 0 || t.Shape()[0] == 0 {
				return nil, fmt.Errorf("train/target is %v: no sample is in it", t)
			}
			d.PerRow = max(t.Len()/t.Shape()[0], 1)
		case name == "train/target":
			if len(t.Shape()) == 0 || t.Shape()[0] == 0 {
				return nil, fmt.Errorf("train/target is %v: no sample is in it", t)
			}
			d.Number = t.Float64s()
			d.PerRow = max(t.Len()/t.Shape()[0], 1)
		case name == "order" && t.DType() == tensor.Int64:
			d.Order = tensor.View[int64](t)
		case name == "offsets" && t.DType() == tensor.Int64:
			d.Offsets = tensor.View[int64](t)
		case name == "augment" && t.DType() == tensor.Int8:
			d.augment = tensor.View[int8](t)
		case name == "fill" && t.DType() == tensor.Float32:
			d.fill = tensor.View[float32](t)
		case strings.HasPrefix(name, "train/"):
			d.Inputs[strings.TrimPrefix(name, "train/")] = t
		}
	}
	samples := d.samples()
	if len(d.Offsets) < 2 || samples == 0 {
		return nil, fmt.Errorf("the data has %d offsets and %d samples: no batch can be made", len(d.Offsets), samples)
	}
	if d.Offsets[0] < 0 || d.Offsets[len(d.Offsets)-1] > int64(len(d.Order)) || !slices.IsSorted(d.Offsets) ||
		slices.ContainsFunc(d.Order, func(s int64) bool { return s < 0 || s >= samples }) {
		return nil, fmt.Errorf("the order of the samples does not fit %d of them", samples)
	}
	if len(d.augment) > 0 && len(d.augment) != 3*len(d.Order) {
		return nil, fmt.Errorf("%d crops and flips do not fit %d positions", len(d.augment)/3, len(d.Order))
	}
	for name, t := range d.Inputs {
		if len(t.Shape()) == 0 || int64(t.Shape()[0]) != samples {
			return nil, fmt.Errorf("train/%s is %v for %d samples", name, t, samples)
		}
	}
	return d, nil
}

// samples is the number of training samples.
func (d *Data) samples() int64 {
	if n := len(d.Target) + len(d.Number); n > 0 {
		return int64(n / d.PerRow)
	}
	for _, t := range d.Inputs {
		if len(t.Shape()) > 0 { // a loss without targets
			return int64(t.Shape()[0])
		}
	}
	return 0
}

// Steps is the number of batches.
func (d *Data) Steps() int { return len(d.Offsets) - 1 }

// Rows returns the samples of a step's batch. Steps beyond the last begin again.
func (d *Data) Rows(step int) []int64 {
	k := step % d.Steps()
	return d.Order[d.Offsets[k]:d.Offsets[k+1]]
}

// Targets returns the classes of a step's batch, one sample's after the other's.
func (d *Data) Targets(step int) []int64 {
	var out []int64
	for _, r := range d.Rows(step) {
		if len(d.Target) == 0 {
			return nil
		}
		out = append(out, d.Target[int(r)*d.PerRow:(int(r)+1)*d.PerRow]...)
	}
	return out
}

// Numbers returns the targets of a step's batch that are numbers, one sample's after the other's.
func (d *Data) Numbers(step int) []float64 {
	var out []float64
	for _, r := range d.Rows(step) {
		if len(d.Number) > 0 {
			out = append(out, d.Number[int(r)*d.PerRow:(int(r)+1)*d.PerRow]...)
		}
	}
	return out
}

// Input returns the batch of an input, cropped and mirrored where the data say so, or nil.
func (d *Data) Input(name string, step int) *tensor.Tensor { return d.input(name, step, nil, nil) }

// input is Input with other crops and flips, or another border, where these are not nil.
func (d *Data) input(name string, step int, other func(engine.Change) engine.Change, border []float32) *tensor.Tensor {
	t := d.Inputs[name]
	if t == nil {
		return nil
	}
	batch := rowsOf(t, d.Rows(step))
	if d.augment == nil || t.DType() != tensor.Float32 || len(t.Shape()) != 4 || t.Shape()[1] != len(d.fill) {
		return batch
	}
	if border == nil {
		border = d.fill
	}
	out := tensor.New(tensor.Float32, batch.Shape()...)
	x, y := tensor.View[float32](batch), tensor.View[float32](out)
	size := len(x) / batch.Shape()[0]
	first := int(d.Offsets[step%d.Steps()])
	for i := range batch.Shape()[0] {
		drawn := d.augment[3*(first+i):]
		c := engine.Change{DY: int(drawn[0]), DX: int(drawn[1]), Flip: drawn[2] != 0}
		if other != nil {
			c = other(c)
		}
		engine.Augmented(y[i*size:(i+1)*size], x[i*size:(i+1)*size], t.Shape()[1:], border, c)
	}
	return out
}

// rowsOf returns some rows of a tensor.
func rowsOf(t *tensor.Tensor, rows []int64) *tensor.Tensor {
	size := len(t.Bytes()) / t.Shape()[0]
	raw := make([]byte, 0, size*len(rows))
	for _, r := range rows {
		raw = append(raw, t.Bytes()[int(r)*size:(int(r)+1)*size]...)
	}
	out, err := tensor.FromBytes(t.DType(), append([]int{len(rows)}, t.Shape()[1:]...), raw)
	if err != nil {
		panic(err) // rows of one tensor fill one of as many rows
	}
	return out
}
