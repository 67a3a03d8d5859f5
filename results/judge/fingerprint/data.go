package fingerprint

import (
	"fmt"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// Data is the data file that both engines read; package results/engine documents it.
type Data struct {
	Inputs map[string]*tensor.Tensor // by the model's input names, one sample a row
	Target []int64                   // PerRow of them for each sample
	PerRow int                       // 1, or the positions of a sequence
	// Order and Offsets give the samples of each step: Order[Offsets[k]:Offsets[k+1]].
	Order, Offsets []int64
	tensors        map[string]*tensor.Tensor
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
		case name == "order" && t.DType() == tensor.Int64:
			d.Order = tensor.View[int64](t)
		case name == "offsets" && t.DType() == tensor.Int64:
			d.Offsets = tensor.View[int64](t)
		case strings.HasPrefix(name, "train/"):
			d.Inputs[strings.TrimPrefix(name, "train/")] = t
		}
	}
	if len(d.Offsets) < 2 || len(d.Target) == 0 {
		return nil, fmt.Errorf("the data has %d offsets and %d targets: no batch can be made", len(d.Offsets), len(d.Target))
	}
	samples := int64(len(d.Target) / d.PerRow)
	if d.Offsets[0] < 0 || d.Offsets[len(d.Offsets)-1] > int64(len(d.Order)) || !slices.IsSorted(d.Offsets) ||
		slices.ContainsFunc(d.Order, func(s int64) bool { return s < 0 || s >= samples }) {
		return nil, fmt.Errorf("the order of the samples does not fit %d of them", samples)
	}
	for name, t := range d.Inputs {
		if len(t.Shape()) == 0 || int64(t.Shape()[0]) != samples {
			return nil, fmt.Errorf("train/%s is %v for %d samples", name, t, samples)
		}
	}
	return d, nil
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
		out = append(out, d.Target[int(r)*d.PerRow:(int(r)+1)*d.PerRow]...)
	}
	return out
}

// Input returns the batch of an input, or nil.
func (d *Data) Input(name string, step int) *tensor.Tensor {
	t := d.Inputs[name]
	if t == nil {
		return nil
	}
	rows := d.Rows(step)
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
