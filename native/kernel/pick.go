package kernel

// Picking says which element of one array each element of another is, dimension by dimension: index i of dimension d of the result is
// index From[d][i] of the operand, and none at all where that is -1. Padding, tiling and cropping are pickings.
type Picking struct {
	width   int   // of the result's rows
	rows    []int // where in the operand each row of the result is taken from; -1 is nowhere
	columns []int // the last dimension's From
	// Columns from ... to of a row follow one another in the operand.
	from, to int
	// The result and the operand divide into so many planes, of which each is picked from its own.
	planes int
}

// NewPicking prepares the picking from an operand of the shape in.
func NewPicking(in []int, from [][]int) *Picking {
	if len(in) == 0 {
		in, from = []int{1}, [][]int{{0}}
	}
	p := &Picking{rows: []int{0}, planes: 1}
	stride := 1
	for _, n := range in {
		stride *= n
	}
	whole := true
	for d, index := range from[:len(in)-1] {
		if in[d] > 0 {
			stride /= in[d]
		}
		rows := make([]int, 0, len(p.rows)*len(index))
		for _, at := range p.rows {
			for _, i := range index {
				if at < 0 || i < 0 {
					rows = append(rows, -1)
				} else {
					rows = append(rows, at+i*stride)
				}
			}
		}
		p.rows = rows
		if whole = whole && unchanged(index, in[d]); whole {
			p.planes *= in[d]
		}
	}
	p.columns = from[len(in)-1]
	p.width = len(p.columns)
	for begin := 0; begin < p.width; {
		end := begin + 1
		for end < p.width && p.columns[begin] >= 0 && p.columns[end] == p.columns[end-1]+1 {
			end++
		}
		if p.columns[begin] >= 0 && end-begin > p.to-p.from {
			p.from, p.to = begin, end
		}
		begin = end
	}
	return p
}

// unchanged reports whether a dimension's elements stay where they are.
func unchanged(index []int, size int) bool {
	for i, at := range index {
		if at != i {
			return false
		}
	}
	return len(index) == size
}

// Rows is the number of the result's rows.
func (p *Picking) Rows() int { return len(p.rows) }

// Planes is the number of planes.
func (p *Picking) Planes() int { return p.planes }

// Pick writes rows lo ... hi of the result: the operand's elements, and fill where there is none.
func Pick[E any](y, x []E, p *Picking, fill E, lo, hi int) {
	for r := lo; r < hi; r++ {
		row, at := y[r*p.width:(r+1)*p.width], p.rows[r]
		if at < 0 {
			for j := range row {
				row[j] = fill
			}
			continue
		}
		if p.to > p.from {
			first := at + p.columns[p.from]
			copy(row[p.from:p.to], x[first:first+p.to-p.from])
		}
		for _, part := range [2][2]int{{0, p.from}, {p.to, p.width}} {
			for j := part[0]; j < part[1]; j++ {
				row[j] = fill
				if c := p.columns[j]; c >= 0 {
					row[j] = x[at+c]
				}
			}
		}
	}
}

// PickGradient is the gradient of Pick in planes lo ... hi: zeros, and to each element of dx is added what was picked from it.
func PickGradient[T Float](dx, dy []T, p *Picking, lo, hi int) {
	size, rows := len(dx)/p.planes, len(p.rows)/p.planes
	clear(dx[lo*size : hi*size])
	for r := lo * rows; r < hi*rows; r++ {
		row, at := dy[r*p.width:(r+1)*p.width], p.rows[r]
		if at < 0 {
			continue
		}
		if p.to > p.from {
			first := at + p.columns[p.from]
			Accumulate(dx[first:first+p.to-p.from], row[p.from:p.to])
		}
		for _, part := range [2][2]int{{0, p.from}, {p.to, p.width}} {
			for j := part[0]; j < part[1]; j++ {
				if c := p.columns[j]; c >= 0 {
					dx[at+c] += row[j]
				}
			}
		}
	}
}
