package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// strided says where a value's elements lie in another one: element i is offset + i . strides elements from the root's beginning.
type strided struct {
	root           *ir.Value
	offset         int
	shape, strides []int
}

// whereItLies follows a value through transposes, splits and views to the value that its elements were copied from, as far as
// strides can tell.
func whereItLies(v *ir.Value) strided {
	itself := strided{root: v, shape: v.Shape, strides: denseStrides(v.Shape)}
	n := v.Producer
	if n == nil {
		return itself
	}
	switch {
	case n.Op == "Transpose":
		from := whereItLies(n.Inputs[0])
		rank := len(v.Shape)
		reversed := make([]int64, rank)
		for i := range reversed {
			reversed[i] = int64(rank - 1 - i)
		}
		perm, err := n.Attributes.Ints("perm", reversed)
		if err != nil {
			return itself
		}
		to := strided{root: from.root, offset: from.offset, shape: v.Shape}
		for _, p := range perm {
			to.strides = append(to.strides, from.strides[p])
		}
		return to
	case n.Op == "Split":
		from := whereItLies(n.Inputs[0])
		axis, err := n.Attributes.Int("axis", 0)
		if err != nil {
			return itself
		}
		if axis < 0 {
			axis += int64(len(v.Shape))
		}
		for _, part := range n.Outputs[:slices.Index(n.Outputs, v)] {
			if part == nil { // its length is not known here
				return itself
			}
			from.offset += part.Shape[axis] * from.strides[axis]
		}
		return strided{root: from.root, offset: from.offset, shape: v.Shape, strides: from.strides}
	case op.Lookup(n.Op).View && n.Outputs[0] == v:
		from := whereItLies(n.Inputs[0])
		if to, ok := from.reshaped(v.Shape); ok {
			return to
		}
	}
	return itself
}

// reshaped returns the strides of the same elements under another shape, if there are such: dimensions that are merged must lie one
// inside the other.
func (s strided) reshaped(shape []int) (strided, bool) {
	to := strided{root: s.root, offset: s.offset, shape: shape, strides: make([]int, len(shape))}
	var sizes, strides []int // of the dimensions that are not 1
	for d, size := range s.shape {
		if size == 0 {
			return to, false
		}
		if size != 1 {
			sizes, strides = append(sizes, size), append(strides, s.strides[d])
		}
	}
	d := 0
	for from := 0; from < len(sizes); {
		// The shortest runs of dimensions on both sides that have the same number of elements.
		left, begin := sizes[from], from
		for ; d < len(shape) && shape[d] == 1; d++ {
			to.strides[d] = 1
		}
		first, right := d, shape[d]
		for left != right {
			if left < right {
				from++
				left *= sizes[from]
			} else {
				d++
				right *= shape[d]
			}
		}
		for i := begin; i < from; i++ {
			if strides[i] != strides[i+1]*sizes[i+1] {
				return to, false
			}
		}
		stride := strides[from]
		for i := d; i >= first; i-- {
			to.strides[i] = stride
			stride *= shape[i]
		}
		from++
		d++
	}
	for ; d < len(shape); d++ {
		to.strides[d] = 1
	}
	return to, true
}

// denseStrides are the strides of a row-major array.
func denseStrides(shape []int) []int {
	strides := make([]int, len(shape))
	for i, stride := len(shape)-1, 1; i >= 0; i-- {
		strides[i] = stride
		stride *= shape[i]
	}
	return strides
}

// overlap reports whether two elements of values that lie in one root are the same.
func overlap(parts []strided) bool {
	marks := make([]bool, parts[0].root.Len())
	apart := samplesApart(parts)
	for _, s := range parts {
		if apart { // then what holds for one sample holds for all
			s.shape = append([]int{1}, s.shape[1:]...)
		}
		if s.mark(marks) {
			return true
		}
	}
	return false
}

// samplesApart reports whether the elements of one number of the first dimension lie before all those of the next.
func samplesApart(parts []strided) bool {
	for _, s := range parts {
		end := s.offset
		for d := 1; d < len(s.shape); d++ {
			end += (s.shape[d] - 1) * s.strides[d]
		}
		if s.strides[0] != parts[0].strides[0] || end >= s.strides[0] {
			return false
		}
	}
	return true
}

// mark sets the marks of the elements and reports whether one was set before.
func (s strided) mark(marks []bool) bool {
	index := make([]int, len(s.shape))
	for {
		at := s.offset
		for d, i := range index {
			at += i * s.strides[d]
		}
		if marks[at] {
			return true
		}
		marks[at] = true
		d := len(index) - 1
		for ; d >= 0; d-- {
			if index[d]++; index[d] < s.shape[d] {
				break
			}
			index[d] = 0
		}
		if d < 0 {
			return false
		}
	}
}
