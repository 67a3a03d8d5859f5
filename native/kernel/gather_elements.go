package kernel

// Along says where the elements lie that an index of the same shape as the result chooses along one dimension: element i of the result,
// in row r = i/Width of its last dimension, is at Offset[r] + i%Width*Step + index[i]*Stride, where the dimension has N elements.
type Along struct {
	Offset      []int
	Width, Step int
	N, Stride   int
}

func (a *Along) at(i int, index int64) int {
	return a.Offset[i/a.Width] + i%a.Width*a.Step + row(index, a.N)*a.Stride
}

// GatherElements is y[i] = x[where index[i] says]. It panics when an index is out of range.
func GatherElements[E any](y, x []E, index []int64, a *Along) {
	for i, v := range index {
		y[i] = x[a.at(i, v)]
	}
}

// ScatterElements sets y[where index[i] says] to x[i], or where combine is not nil to combine(y, x). It panics when an index is out
// of range.
func ScatterElements[E any](y, x []E, index []int64, a *Along, combine func(y, x E) E) {
	for i, v := range index {
		at := a.at(i, v)
		if combine == nil {
			y[at] = x[i]
		} else {
			y[at] = combine(y[at], x[i])
		}
	}
}
