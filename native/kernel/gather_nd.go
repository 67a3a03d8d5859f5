package kernel

// Tuples says where tuples of indices point: tuple i, of so many numbers as there are sizes, to a block of Block elements that begins at
// Base[i / PerBase] + sum of index * stride.
type Tuples struct {
	Sizes, Strides []int
	Block          int
	Base           []int
	PerBase        int
}

// at is where tuple i points to.
func (t *Tuples) at(index []int64, i int) int {
	at := t.Base[i/t.PerBase]
	for k, v := range index[i*len(t.Sizes) : (i+1)*len(t.Sizes)] {
		at += row(v, t.Sizes[k]) * t.Strides[k]
	}
	return at
}

// GatherND copies the block that each of so many tuples points to. It panics when an index is out of range.
func GatherND[E any](y, x []E, index []int64, count int, t *Tuples) {
	for i := range count {
		at := t.at(index, i)
		copy(y[i*t.Block:(i+1)*t.Block], x[at:at+t.Block])
	}
}

// ScatterND sets the block that each of so many tuples points to, to that of x, or where combine is not nil to combine(y, x). It panics
// when an index is out of range.
func ScatterND[E any](y, x []E, index []int64, count int, t *Tuples, combine func(y, x E) E) {
	for i := range count {
		at := t.at(index, i)
		to, from := y[at:at+t.Block], x[i*t.Block:(i+1)*t.Block]
		if combine == nil {
			copy(to, from)
			continue
		}
		for j, v := range from {
			to[j] = combine(to[j], v)
		}
	}
}
