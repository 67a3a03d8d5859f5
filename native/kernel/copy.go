package kernel

// CopyStrided is y[r*width+j] = x[offset[r]+j*step] for rows lo ... hi, any step, negative ones included.
func CopyStrided[E any](y, x []E, offset []int, width, step, lo, hi int) {
	for r := lo; r < hi; r++ {
		row, at := y[r*width:(r+1)*width], offset[r]
		if step == 1 {
			copy(row, x[at:at+width])
			continue
		}
		for j := range row {
			row[j] = x[at+j*step]
		}
	}
}

// AddStrided is the reverse of CopyStrided: y[offset[r]+j*step] += x[r*width+j] for every row.
func AddStrided[T Float](y, x []T, offset []int, width, step int) {
	for r, at := range offset {
		for j, v := range x[r*width : (r+1)*width] {
			y[at+j*step] += v
		}
	}
}

// CopyBlocks copies count blocks of width elements: block i from x[i*strideX:] to y[i*strideY:].
func CopyBlocks[E any](y, x []E, count, width, strideY, strideX int) {
	for i := range count {
		copy(y[i*strideY:i*strideY+width], x[i*strideX:i*strideX+width])
	}
}
