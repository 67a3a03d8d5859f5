package trace

import (
	"fmt"
	"slices"

	"tandem/onnx/tensor"
)

// Tensors are whole tensors by name.
type Tensors = map[string]*tensor.Tensor

// Set is tensors by name, each whole or sampled.
type Set = map[string]Sampled

// Sampled is a tensor of which some elements are kept; see the package comment for which.
type Sampled struct {
	Shape  []int          // of the whole tensor
	Values *tensor.Tensor // rank 1: all elements in row-major order, or the sampled ones
}

// Sample keeps at most k elements of t; k = 0 keeps all. The element type stays.
func Sample(t *tensor.Tensor, k int) Sampled {
	n := t.Len()
	if !sampling(n, k) {
		flat, err := t.Reshape(n)
		if err != nil {
			panic("trace: a tensor does not have its own number of elements") // cannot happen
		}
		return Sampled{Shape: slices.Clone(t.Shape()), Values: flat}
	}
	size := t.DType().Size()
	raw := make([]byte, 0, k*size)
	for j := range k {
		p := position(n, k, j)
		raw = append(raw, t.Bytes()[p*size:(p+1)*size]...)
	}
	values, err := tensor.FromBytes(t.DType(), []int{k}, raw)
	if err != nil {
		panic(err) // k elements of one type fill a vector of k
	}
	return Sampled{Shape: slices.Clone(t.Shape()), Values: values}
}

// SampleAll samples every tensor.
func SampleAll(ts Tensors, k int) Set {
	out := make(Set, len(ts))
	for name, t := range ts {
		out[name] = Sample(t, k)
	}
	return out
}

// Len returns the number of elements of the whole tensor.
func (s Sampled) Len() int {
	n, err := tensor.Elements(s.Shape)
	if err != nil {
		return -1
	}
	return n
}

// Float64s returns the elements that a sample of k keeps: s itself when it is such a sample, a part of it when s is
// whole. It fails when s is a sample of another size, because its elements are at other positions.
func (s Sampled) Float64s(k int) ([]float64, error) {
	n, have := s.Len(), s.Values.Len()
	switch {
	case !sampling(n, k) && have == n, sampling(n, k) && have == k:
		return s.Values.Float64s(), nil
	case sampling(n, k) && have == n:
		return Sample(s.Values, k).Values.Float64s(), nil
	}
	return nil, fmt.Errorf("%d elements are kept of shape %v where a sample of %d was expected", have, s.Shape, k)
}

// Whole returns the whole tensor, or an error when only a part was kept.
func (s Sampled) Whole() (*tensor.Tensor, error) { return s.Values.Reshape(s.Shape...) }

func sampling(n, k int) bool { return k > 0 && n > k }

// position is the row-major position of sample j of k out of n > k elements.
func position(n, k, j int) int {
	low, high := blockStart(n, k, j), blockStart(n, k, j+1)
	return low + int(uint64(uint32(j)*2654435761)%uint64(high-low))
}

// blockStart is j*n/k without overflow.
func blockStart(n, k, j int) int { return j*(n/k) + j*(n%k)/k }
