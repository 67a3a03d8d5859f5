package kernel

// SumRows is y[j] = sum over i of x[i*width+j] for j in lo ... hi: the columns' sums of a rows x width matrix. Each
// sum runs over at most 32 rows at a time before the parts are added, which bounds its rounding error.
func SumRows[T Float](y, x []T, rows, width, lo, hi int) {
	const part = 32
	clear(y[lo:hi])
	if k := vectorised[T](); k != nil && rows > 0 {
		_ = x[(rows-1)*width : rows*width]
		const columns = elementsPerCall / part
		for j := lo; j < hi; j += columns {
			for i := 0; i < rows; i += part {
				k.sumRows(address(y, j), address(x, i*width+j), min(columns, hi-j), min(part, rows-i), uintptr(width)*elementBytes)
			}
		}
		return
	}
	if rows <= part {
		for i := range rows {
			Accumulate(y[lo:hi], x[i*width+lo:i*width+hi])
		}
		return
	}
	var sums [512]T // wide enough that a part of a row is read at full speed, in the first-level cache together with what it is added to
	for j := lo; j < hi; j += len(sums) {
		n := min(len(sums), hi-j)
		for i := 0; i < rows; i += part {
			clear(sums[:n])
			for r := i; r < min(i+part, rows); r++ {
				Accumulate(sums[:n], x[r*width+j:r*width+j+n])
			}
			Accumulate(y[j:j+n], sums[:n])
		}
	}
}

// Accumulate is y[i] += x[i].
func Accumulate[T Float](y, x []T) {
	x = x[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.accumulate(address(y, i), address(x, i), k.vectors(i, done))
		}
	}
	for i := done; i < len(y); i++ {
		y[i] += x[i]
	}
}

// AddScaled is y[i] += factor * x[i], the product rounded before it is added, the same bits on every path.
func AddScaled[T Float](y, x []T, factor T) {
	x = x[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.addScaled(address(y, i), address(x, i), k.vectors(i, done), float32(factor))
		}
	}
	for i := done; i < len(y); i++ {
		y[i] += T(factor * x[i]) // the conversion keeps the compiler from fusing both, which it may for other processors
	}
}

// ScatterSum sets y to zeros and adds every row of x, width elements each, into y from offset[row] on, step (0 or 1)
// apart. With step 0 the rows' sums are added up in float64, in sums, which has as many elements as y.
func ScatterSum[T Float](y, x []T, offset []int, width, step int, sums []float64) {
	if step == 1 {
		clear(y)
		for r, at := range offset {
			Accumulate(y[at:at+width], x[r*width:(r+1)*width])
		}
		return
	}
	clear(sums)
	for r, at := range offset {
		sums[at] += float64(Sum(x[r*width : (r+1)*width]))
	}
	for i, s := range sums {
		y[i] = T(s)
	}
}

// Sum adds the elements pairwise in blocks of 32, which bounds the rounding error (Higham, "Accuracy and Stability of
// Numerical Algorithms", 2nd ed., section 4.2), or where it is vectorised in float64.
func Sum[T Float](x []T) T {
	if k := vectorised[T](); k != nil {
		return T(sumOf(k, x))
	}
	return pairwise(x)
}

// sumOf returns the sum in float64.
func sumOf[T Float](k *path, x []T) (sum float64) {
	for i := 0; i < len(x); i += elementsPerCall {
		sum += k.sum(address(x, i), min(elementsPerCall, len(x)-i))
	}
	return sum
}

func pairwise[T Float](x []T) T {
	if len(x) <= 32 {
		var s T
		for _, v := range x {
			s += v
		}
		return s
	}
	half := len(x) / 2
	return pairwise(x[:half]) + pairwise(x[half:])
}
