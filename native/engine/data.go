package engine

import (
	"slices"

	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// data is a data file of the protocol.
type data struct {
	file    string
	digests map[string]string
	train   *split
	test    *split
	order   []int64
	offsets []int64
}

// split is the training or the test rows.
type split struct {
	name   string
	rows   int
	inputs []input
	target []int64
	// positions is the number of targets a row.
	positions int
}

// input is one model input for all rows; one of the slices is set.
type input struct {
	name  string
	width int // elements a row
	float []float32
	ints  []int64
}

// readData reads a data file and checks it against the model's inputs; nothing in it is trusted to fit.
func readData(file string, m *onnx.Model, inputName string) (*data, error) {
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	d := &data{file: file, digests: map[string]string{}}
	for name, t := range f.Tensors {
		d.digests[name] = t.SHA256()
	}
	if d.train, err = readSplit(file, f.Tensors, "train", m); err != nil {
		return nil, err
	}
	if d.test, err = readSplit(file, f.Tensors, "test", m); err != nil {
		return nil, err
	}
	if d.order, err = int64s(file, f.Tensors, "order"); err != nil {
		return nil, err
	}
	if d.offsets, err = int64s(file, f.Tensors, "offsets"); err != nil {
		return nil, err
	}
	if len(m.Graph.Inputs) == 1 && m.Graph.Inputs[0].Name != inputName {
		return nil, engine.Errorf(engine.KindInput, "the model's input is %q, the experiment's data.input_name %q", m.Graph.Inputs[0].Name, inputName)
	}
	if len(d.offsets) < 2 || d.offsets[0] != 0 || d.offsets[len(d.offsets)-1] != int64(len(d.order)) {
		return nil, engine.Errorf(engine.KindInput, "%s: offsets do not divide the order into batches", file)
	}
	for i := 1; i < len(d.offsets); i++ {
		if d.offsets[i] <= d.offsets[i-1] {
			return nil, engine.Errorf(engine.KindInput, "%s: batch %d is empty", file, i-1)
		}
	}
	for i, r := range d.order {
		if r < 0 || r >= int64(d.train.rows) {
			return nil, engine.Errorf(engine.KindInput, "%s: order[%d] is row %d of %d", file, i, r, d.train.rows)
		}
	}
	return d, nil
}

func int64s(file string, tensors map[string]*tensor.Tensor, name string) ([]int64, error) {
	t := tensors[name]
	if t == nil || t.DType() != tensor.Int64 || len(t.Shape()) != 1 {
		return nil, engine.Errorf(engine.KindInput, "%s: %q must be a vector of int64", file, name)
	}
	return tensor.View[int64](t), nil
}

func readSplit(file string, tensors map[string]*tensor.Tensor, name string, m *onnx.Model) (*split, error) {
	target := tensors[name+"/target"]
	if target == nil || target.DType() != tensor.Int64 || len(target.Shape()) == 0 {
		return nil, engine.Errorf(engine.KindInput, "%s: %q must be int64, one row a sample", file, name+"/target")
	}
	s := &split{name: name, rows: target.Shape()[0], target: tensor.View[int64](target)}
	s.positions = len(s.target) / max(s.rows, 1)
	for _, in := range m.Graph.Inputs {
		t := tensors[name+"/"+in.Name]
		if t == nil {
			return nil, engine.Errorf(engine.KindInput, "%s: there is no %q for the model's input %q", file, name+"/"+in.Name, in.Name)
		}
		if len(t.Shape()) != len(in.Shape) || t.Shape()[0] != s.rows {
			return nil, engine.Errorf(engine.KindInput, "%s: %q has shape %v for %d rows of targets and the model's input %v", file, name+"/"+in.Name, t.Shape(), s.rows, in)
		}
		for i, dim := range in.Shape {
			if i > 0 && dim.Value >= 0 && dim.Value != int64(t.Shape()[i]) {
				return nil, engine.Errorf(engine.KindInput, "%s: %q has shape %v, the model's input is %v", file, name+"/"+in.Name, t.Shape(), in)
			}
		}
		v := input{name: in.Name, width: t.Len() / max(s.rows, 1)}
		switch t.DType() {
		case tensor.Float32:
			v.float = tensor.View[float32](t)
		case tensor.Int64:
			v.ints = tensor.View[int64](t)
		default:
			return nil, engine.Errorf(engine.KindUnsupported, "%s: %q is %v; inputs are float32 or int64", file, name+"/"+in.Name, t.DType())
		}
		s.inputs = append(s.inputs, v)
	}
	return s, nil
}

func (d *data) split(name string) (*split, error) {
	switch name {
	case "train":
		return d.train, nil
	case "test":
		return d.test, nil
	}
	return nil, engine.Errorf(engine.KindInput, "there is no split %q: it may be \"train\" or \"test\"", name)
}

// batch returns the rows of a step's batch; after the last step the first one's comes again.
func (d *data) batch(step int64) []int64 {
	k := step % int64(len(d.offsets)-1)
	return d.order[d.offsets[k]:d.offsets[k+1]]
}

// batchSizes returns the numbers of rows that batches have, each once.
func (d *data) batchSizes() []int {
	var sizes []int
	for i := 1; i < len(d.offsets); i++ {
		sizes = append(sizes, int(d.offsets[i]-d.offsets[i-1]))
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// fill copies rows of a split into a batch's memory.
func fill[T float32 | float64](d *data, s *split, b *train.Batch[T], rows []int64) error {
	for i := range s.inputs {
		in := &s.inputs[i]
		if in.float != nil {
			dst := b.Input(in.name)
			if len(dst) != len(rows)*in.width {
				return misfit(d, s, in, len(dst), len(rows))
			}
			for r, row := range rows {
				out := dst[r*in.width : (r+1)*in.width]
				for j, v := range in.float[int(row)*in.width : (int(row)+1)*in.width] {
					out[j] = T(v)
				}
			}
			continue
		}
		dst := b.IntInput(in.name)
		if len(dst) != len(rows)*in.width {
			return misfit(d, s, in, len(dst), len(rows))
		}
		for r, row := range rows {
			copy(dst[r*in.width:(r+1)*in.width], in.ints[int(row)*in.width:(int(row)+1)*in.width])
		}
	}
	targets := b.Targets()
	if targets == nil { // an evaluation batch
		return nil
	}
	if len(targets) != len(rows)*s.positions {
		return engine.Errorf(engine.KindInput, "%s: %s/target has %d class numbers a row, the model has scores for %d", d.file, s.name, s.positions, len(targets)/max(len(rows), 1))
	}
	for r, row := range rows {
		copy(targets[r*s.positions:(r+1)*s.positions], s.target[int(row)*s.positions:(int(row)+1)*s.positions])
	}
	return nil
}

func misfit(d *data, s *split, in *input, want, rows int) error {
	return engine.Errorf(engine.KindInput, "%s: %s/%s has %d elements a row, the model takes %d", d.file, s.name, in.name, in.width, want/max(rows, 1))
}
