package kernel

// ReluDropout ends a layer: it adds the bias to rows of as many elements as that has, stride apart in y, applies Relu, and then Mask with a mask whose rows
// lie one behind the other. It does their operations in their order.
func ReluDropout[T Float](y []T, stride int, bias []T, keep []bool, scale T) {
	columns := len(bias)
	if columns == 0 {
		return
	}
	rows := len(keep) / columns
	if k := vectorised[T](); k != nil && rows > 0 && k.whole(columns) == columns && columns <= elementsPerCall {
		_ = y[(rows-1)*stride+columns-1]
		most := elementsPerCall / columns
		for i := 0; i < rows; i += most {
			k.reluDropout(address(y, i*stride), uintptr(stride)*elementBytes, min(most, rows-i), columns/k.lanes, address(bias, 0), &keep[i*columns], float32(scale))
		}
		return
	}
	for i := range rows {
		row := y[i*stride:][:columns]
		Accumulate(row, bias)
		Relu(row, row)
		Mask(row, row, keep[i*columns:][:columns], scale)
	}
}
