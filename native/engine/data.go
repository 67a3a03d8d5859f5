package engine

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// data is a data file of the protocol. Its samples stay in the file, which the system keeps in its cache: a batch's rows are read when it
// is their turn, straight into the batch's memory. A data set may so be larger than the memory that training takes.
type data struct {
	file    *safetensors.Reader
	digests map[string]string
	train   *split
	test    *split
	order   *safetensors.Stored
	offsets *safetensors.Stored
	steps   int   // batches in the file
	sizes   []int // the numbers of rows that batches have, each once
	// kept, where a mutant leaves batches out, are those that it keeps.
	kept []int64
	// augment has three numbers for each position of the order, fill one for each channel; nil where images stay as they are.
	augment *safetensors.Stored
	fill    []float32
	// distort, where a mutant is planted, changes what was drawn.
	distort func(engine.Change) engine.Change
	// rows and changes are those of the present batch.
	rows    []int64
	changes []int8
}

// samples are rows of a split, and how their images are changed: three numbers each, or none.
type samples struct {
	rows    []int64
	changes []int8
}

// split is the training or the test rows.
type split struct {
	name   string
	rows   int
	inputs []input
	// target is int64 class numbers or float32; nil where the loss takes none.
	target *safetensors.Stored
	// positions is the number of targets a row.
	positions int
	// classes is one more than the largest target.
	classes int64
	row     []float32 // where a row of float32 targets waits for being converted to float64
	// relabel, where a mutant is planted, changes targets that were read.
	relabel func([]int64)
}

// input is one model input for all rows, float32 or int64.
type input struct {
	name   string
	width  int // elements a row
	stored *safetensors.Stored
	row    []float32 // where a row waits for being augmented or converted to float64
	// augmented says that it is images, (rows, channels, height, width), that the data file says how to change.
	augmented bool
	// repaint, where a mutant is planted, changes an image that was read and augmented; moved is its memory.
	repaint func(image []float32)
	moved   []float32
}

// openData opens a data file, reads it once to compute its digests, and checks it against the model's inputs; nothing in it is trusted to fit.
func openData(file string, m *onnx.Model, inputs []string, loss train.Loss) (*data, error) {
	f, err := safetensors.Open(file)
	if err != nil {
		return nil, err
	}
	d := &data{file: f, digests: map[string]string{}}
	if err := d.check(m, inputs, loss); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return d, nil
}

func (d *data) close() {
	if d != nil {
		_ = d.file.Close() // only read
	}
}

// check finds what belongs to the model and reads all elements once.
func (d *data) check(m *onnx.Model, inputs []string, loss train.Loss) (err error) {
	path := d.file.Path
	if d.train, err = d.findSplit("train", m, loss); err != nil {
		return err
	}
	if d.test, err = d.findSplit("test", m, loss); err != nil {
		return err
	}
	if d.order, err = d.vector("order"); err != nil {
		return err
	}
	if d.offsets, err = d.vector("offsets"); err != nil {
		return err
	}
	for _, in := range m.Graph.Inputs {
		if !slices.Contains(inputs, in.Name) {
			return engine.Errorf(engine.KindInput, "the model's input is %q, the experiment has %s", in.Name, strings.Join(inputs, ", "))
		}
	}
	if err := d.findAugmentation(); err != nil {
		return err
	}
	d.steps = d.offsets.Len() - 1
	for _, name := range slices.Sorted(maps.Keys(d.file.Tensors)) {
		t := d.file.Tensors[name]
		var each func(part []byte) error
		switch t {
		case d.order:
			each = d.checkOrder()
		case d.offsets:
			each = d.checkOffsets()
		case d.augment:
			each = d.checkAugmentation()
		case d.train.target:
			each = d.train.countClasses
		case d.test.target:
			each = d.test.countClasses
		}
		if (t == d.train.target || t == d.test.target) && t.DType != tensor.Int64 {
			each = nil // numbers, not classes
		}
		if d.digests[name], err = t.SHA256(each); err != nil {
			return err
		}
	}
	slices.Sort(d.sizes)
	d.sizes = slices.Compact(d.sizes)
	if d.steps < 1 || len(d.sizes) == 0 {
		return engine.Errorf(engine.KindInput, "%s: offsets do not divide the order into batches", path)
	}
	return nil
}

// checkOrder returns a check of the order's parts: each is a training row.
func (d *data) checkOrder() func(part []byte) error {
	at := 0
	return func(part []byte) error {
		for ; len(part) > 0; part = part[8:] {
			if r := int64(binary.LittleEndian.Uint64(part)); r < 0 || r >= int64(d.train.rows) {
				return engine.Errorf(engine.KindInput, "%s: order[%d] is row %d of %d", d.file.Path, at, r, d.train.rows)
			}
			at++
		}
		return nil
	}
}

// checkOffsets returns a check of the offsets' parts: they divide the order into batches, whose sizes it collects.
func (d *data) checkOffsets() func(part []byte) error {
	at, last := 0, int64(0)
	return func(part []byte) error {
		for ; len(part) > 0; part = part[8:] {
			offset := int64(binary.LittleEndian.Uint64(part))
			rows := offset - last
			switch {
			case at == 0 && offset != 0, at == d.steps && offset != int64(d.order.Len()):
				return engine.Errorf(engine.KindInput, "%s: offsets do not divide the order into batches", d.file.Path)
			case at > 0 && (offset <= last || rows > int64(d.order.Len())):
				return engine.Errorf(engine.KindInput, "%s: batch %d is empty or longer than the order", d.file.Path, at-1)
			case at > 0 && !slices.Contains(d.sizes, int(rows)):
				d.sizes = append(d.sizes, int(rows))
			}
			last = offset
			at++
		}
		return nil
	}
}

// findAugmentation finds out whether and which training images are changed.
func (d *data) findAugmentation() error {
	t, fill := d.file.Tensors["augment"], d.file.Tensors["fill"]
	if t == nil && fill == nil {
		return nil
	}
	if t == nil || t.DType != tensor.Int8 || !slices.Equal(t.Shape, []int{d.order.Len(), 3}) || fill == nil || fill.DType != tensor.Float32 || len(fill.Shape) != 1 {
		return engine.Errorf(engine.KindInput, "%s: \"augment\" must be int8 of shape [%d 3], three numbers for each position of the order, and \"fill\" a vector of float32", d.file.Path, d.order.Len())
	}
	d.augment, d.fill = t, make([]float32, fill.Len())
	if err := safetensors.ReadElements(fill, d.fill, 0); err != nil {
		return err
	}
	found := false
	for i := range d.train.inputs {
		in := &d.train.inputs[i]
		in.augmented = in.stored.DType == tensor.Float32 && len(in.stored.Shape) == 4 && in.stored.Shape[1] == len(d.fill)
		found = found || in.augmented
	}
	if !found {
		return engine.Errorf(engine.KindInput, "%s: \"augment\" is for images of shape (rows, %d, height, width), and no input of the model is that", d.file.Path, len(d.fill))
	}
	return nil
}

// checkAugmentation returns a check of the parts of "augment": an image is mirrored or not.
func (d *data) checkAugmentation() func(part []byte) error {
	at := 0
	return func(part []byte) error {
		for _, b := range part {
			if at%3 == 2 && b > 1 {
				return engine.Errorf(engine.KindInput, "%s: augment[%d] says %d of mirroring, which is neither 0 nor 1", d.file.Path, at/3, int8(b))
			}
			at++
		}
		return nil
	}
}

// countClasses finds the largest target.
func (s *split) countClasses(part []byte) error {
	for ; len(part) > 0; part = part[8:] {
		s.classes = max(s.classes, int64(binary.LittleEndian.Uint64(part))+1)
	}
	return nil
}

func (d *data) vector(name string) (*safetensors.Stored, error) {
	t := d.file.Tensors[name]
	if t == nil || t.DType != tensor.Int64 || len(t.Shape) != 1 {
		return nil, engine.Errorf(engine.KindInput, "%s: %q must be a vector of int64", d.file.Path, name)
	}
	return t, nil
}

func (d *data) findSplit(name string, m *onnx.Model, loss train.Loss) (*split, error) {
	file := d.file.Path
	s := &split{name: name}
	if loss.TakesTarget() {
		s.target = d.file.Tensors[name+"/target"]
		wanted := tensor.Float32
		if loss.TakesClasses() {
			wanted = tensor.Int64
		}
		if s.target == nil || s.target.DType != wanted || len(s.target.Shape) == 0 {
			return nil, engine.Errorf(engine.KindInput, "%s: %q must be %v for the loss %q, one row a sample", file, name+"/target", wanted, loss.Kind)
		}
		s.rows = s.target.Shape[0]
		s.positions = s.target.Len() / max(s.rows, 1)
	} else if len(m.Graph.Inputs) > 0 {
		if t := d.file.Tensors[name+"/"+m.Graph.Inputs[0].Name]; t != nil && len(t.Shape) > 0 {
			s.rows = t.Shape[0]
		}
	}
	for _, in := range m.Graph.Inputs {
		t := d.file.Tensors[name+"/"+in.Name]
		if t == nil {
			return nil, engine.Errorf(engine.KindInput, "%s: there is no %q for the model's input %q", file, name+"/"+in.Name, in.Name)
		}
		if len(t.Shape) != len(in.Shape) || t.Shape[0] != s.rows {
			return nil, engine.Errorf(engine.KindInput, "%s: %q has shape %v for %d rows of targets and the model's input %v", file, name+"/"+in.Name, t.Shape, s.rows, in)
		}
		for i, dim := range in.Shape {
			if i > 0 && dim.Value >= 0 && dim.Value != int64(t.Shape[i]) {
				return nil, engine.Errorf(engine.KindInput, "%s: %q has shape %v, the model's input is %v", file, name+"/"+in.Name, t.Shape, in)
			}
		}
		if t.DType != tensor.Float32 && t.DType != tensor.Int64 {
			return nil, engine.Errorf(engine.KindUnsupported, "%s: %q is %v; inputs are float32 or int64", file, name+"/"+in.Name, t.DType)
		}
		s.inputs = append(s.inputs, input{name: in.Name, width: t.Len() / max(s.rows, 1), stored: t})
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

// batches returns the number of batches of the whole training.
func (d *data) batches() int {
	if d.kept != nil {
		return len(d.kept)
	}
	return d.steps
}

// batch returns the samples of a step's batch, until it is called again; after the last step the first one's comes again.
func (d *data) batch(step int64) (samples, error) {
	k := step % int64(d.batches())
	if d.kept != nil {
		k = d.kept[k]
	}
	return d.samplesOf(k)
}

// samplesOf returns the samples of a batch of the file.
func (d *data) samplesOf(batch int64) (samples, error) {
	d.rows = slices.Grow(d.rows[:0], 2)[:2]
	if err := safetensors.ReadElements(d.offsets, d.rows, int(batch)); err != nil {
		return samples{}, err
	}
	from, n := int(d.rows[0]), int(d.rows[1]-d.rows[0])
	d.rows = slices.Grow(d.rows[:0], n)[:n]
	if err := safetensors.ReadElements(d.order, d.rows, from); err != nil {
		return samples{}, err
	}
	if d.augment == nil {
		return samples{rows: d.rows}, nil
	}
	d.changes = slices.Grow(d.changes[:0], 3*n)[:3*n]
	return samples{d.rows, d.changes}, safetensors.ReadElements(d.augment, d.changes, 3*from)
}

// fill reads samples of a split into a batch's memory.
func fill[T float32 | float64](d *data, s *split, b *train.Batch[T], of samples) error {
	rows := of.rows
	for i := range s.inputs {
		if err := fillInput(d, s, &s.inputs[i], b, of); err != nil {
			return err
		}
	}
	targets, numbers := b.Targets(), b.NumberTargets()
	if numbers != nil {
		if len(numbers) != len(rows)*s.positions {
			return engine.Errorf(engine.KindInput, "%s: %s/target has %d numbers a row, the model's first output %d", d.file.Path, s.name, s.positions, len(numbers)/max(len(rows), 1))
		}
		return readFloats(s.target, numbers, &s.row, s.positions, rows)
	}
	if targets == nil { // an evaluation batch, or a loss without targets
		return nil
	}
	if len(targets) != len(rows)*s.positions {
		return engine.Errorf(engine.KindInput, "%s: %s/target has %d class numbers a row, the model has scores for %d", d.file.Path, s.name, s.positions, len(targets)/max(len(rows), 1))
	}
	if err := readRows(s.target, targets, s.positions, rows); err != nil {
		return err
	}
	if s.relabel != nil {
		s.relabel(targets)
	}
	return nil
}

// fillInput reads the rows of one input.
func fillInput[T float32 | float64](d *data, s *split, in *input, b *train.Batch[T], of samples) error {
	rows, augmented := of.rows, in.augmented && of.changes != nil
	if in.stored.DType == tensor.Int64 {
		dst := b.IntInput(in.name)
		if len(dst) != len(rows)*in.width {
			return misfit(d, s, in, len(dst), len(rows))
		}
		return readRows(in.stored, dst, in.width, rows)
	}
	dst := b.Input(in.name)
	if len(dst) != len(rows)*in.width {
		return misfit(d, s, in, len(dst), len(rows))
	}
	if !augmented && in.repaint == nil {
		return readFloats(in.stored, dst, &in.row, in.width, rows)
	}
	in.row = slices.Grow(in.row[:0], in.width)[:in.width]
	for r, row := range rows {
		if err := safetensors.ReadElements(in.stored, in.row, int(row)*in.width); err != nil {
			return err
		}
		out := dst[r*in.width : (r+1)*in.width]
		image := in.row
		if augmented {
			change := engine.Change{DY: int(of.changes[3*r]), DX: int(of.changes[3*r+1]), Flip: of.changes[3*r+2] != 0}
			if d.distort != nil {
				change = d.distort(change)
			}
			if in.repaint == nil {
				engine.Augmented(out, in.row, in.stored.Shape[1:], d.fill, change)
				continue
			}
			in.moved = slices.Grow(in.moved[:0], in.width)[:in.width]
			engine.Augmented(in.moved, in.row, in.stored.Shape[1:], d.fill, change)
			image = in.moved
		}
		in.repaint(image)
		for i, x := range image {
			out[i] = T(x)
		}
	}
	return nil
}

// readFloats reads rows of width float32 elements, through row where they are converted.
func readFloats[T float32 | float64](from *safetensors.Stored, dst []T, row *[]float32, width int, rows []int64) error {
	if single, ok := any(dst).([]float32); ok {
		return readRows(from, single, width, rows)
	}
	*row = slices.Grow((*row)[:0], width)[:width]
	for r, sample := range rows {
		if err := safetensors.ReadElements(from, *row, int(sample)*width); err != nil {
			return err
		}
		for i, x := range *row {
			dst[r*width+i] = T(x)
		}
	}
	return nil
}

// readRows reads rows of width elements; those that follow each other in the file are read at once.
func readRows[E float32 | int64](from *safetensors.Stored, dst []E, width int, rows []int64) error {
	for r := 0; r < len(rows); {
		n := 1
		for r+n < len(rows) && rows[r+n] == rows[r]+int64(n) {
			n++
		}
		if err := safetensors.ReadElements(from, dst[r*width:(r+n)*width], int(rows[r])*width); err != nil {
			return err
		}
		r += n
	}
	return nil
}

func misfit(d *data, s *split, in *input, want, rows int) error {
	return engine.Errorf(engine.KindInput, "%s: %s/%s has %d elements a row, the model takes %d", d.file.Path, s.name, in.name, in.width, want/max(rows, 1))
}
