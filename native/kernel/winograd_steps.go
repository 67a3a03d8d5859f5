package kernel

import "unsafe"

// The steps of Winograd's convolution: each on the path's kernel, or by the generic loop, which is its definition. Channels, rows and columns are multiples of
// eight, and of the path's lanes where vectors run along them.

// elementAt is the element i behind a pointer.
func elementAt[T Float](p *T, i int) *T {
	return (*T)(unsafe.Add(unsafe.Pointer(p), uintptr(i)*unsafe.Sizeof(*p)))
}

// pointers are a tile's pixels, as the assembly takes them.
func pointers[T Float](p **T) **float32 { return (**float32)(unsafe.Pointer(p)) }

// input transforms a tile of the input: position p of channel c goes to to[p*step+c].
func (e *winogradEngine[T]) input(to []T, step int, pixels *[winogradPositions]*T, channels int) {
	_ = to[(winogradPositions-1)*step+channels-1]
	if e.path != nil {
		e.path.winogradInput(address(to, 0), uintptr(step)*elementBytes, pointers(&pixels[0]), channels/e.lanes)
		return
	}
	for c := range channels {
		var d [winogradWindow][winogradWindow]T // by column
		for i := range winogradPositions {
			d[i%winogradWindow][i/winogradWindow] = *elementAt(pixels[i], c)
		}
		var rows [winogradWindow][winogradWindow]T
		for j := range d {
			for i, x := range inputColumn(&d[j]) {
				rows[i][j] = x
			}
		}
		for i := range rows {
			for j, x := range inputColumn(&rows[i]) {
				to[(i*winogradWindow+j)*step+c] = x
			}
		}
	}
}

// inputColumn is Bᵀ d.
func inputColumn[T Float](d *[winogradWindow]T) [winogradWindow]T {
	const a, b, a2, b2 = pointA, pointB, pointA2, pointB2
	evenA, oddA := d[4]-b2*d[2], d[3]-b2*d[1]
	evenB, oddB := d[4]-a2*d[2], d[3]-a2*d[1]
	return [winogradWindow]T{
		a2*b2*d[0] + d[4] - (a2+b2)*d[2],
		evenA + a*oddA, evenA - a*oddA,
		evenB + b*oddB, evenB - b*oddB,
		a2*b2*d[1] + d[5] - (a2+b2)*d[3],
	}
}

// outputGradient transforms a tile of the output's gradient.
func (e *winogradEngine[T]) outputGradient(to []T, step int, pixels *[winogradTile * winogradTile]*T, channels int) {
	_ = to[(winogradPositions-1)*step+channels-1]
	if e.path != nil {
		e.path.winogradOutputGradient(address(to, 0), uintptr(step)*elementBytes, pointers(&pixels[0]), channels/e.lanes)
		return
	}
	for c := range channels {
		var d [winogradTile][winogradTile]T // by column
		for i := range winogradTile * winogradTile {
			d[i%winogradTile][i/winogradTile] = *elementAt(pixels[i], c)
		}
		var rows [winogradWindow][winogradTile]T
		for j := range d {
			for i, x := range outputGradientColumn(&d[j]) {
				rows[i][j] = x
			}
		}
		for i := range rows {
			for j, x := range outputGradientColumn(&rows[i]) {
				to[(i*winogradWindow+j)*step+c] = x
			}
		}
	}
}

// outputGradientColumn is A dy.
func outputGradientColumn[T Float](d *[winogradTile]T) [winogradWindow]T {
	const a, b, a2, b2 = pointA, pointB, pointA2, pointB2
	evenA, oddA := d[0]+a2*d[2], d[1]+a2*d[3]
	evenB, oddB := d[0]+b2*d[2], d[1]+b2*d[3]
	return [winogradWindow]T{d[0], evenA + a*oddA, evenA - a*oddA, evenB + b*oddB, evenB - b*oddB, d[3]}
}

// output transforms position p of channel c, from[p*step+c], to the pixels of a tile; others, if not nil, are added.
func (e *winogradEngine[T]) output(pixels, others *[winogradTile * winogradTile]*T, from []T, step, channels int) {
	_ = from[(winogradPositions-1)*step+channels-1]
	if e.path != nil {
		if others != nil {
			e.path.winogradOutputAdd(pointers(&pixels[0]), pointers(&others[0]), address(from, 0), uintptr(step)*elementBytes, channels/e.lanes)
		} else {
			e.path.winogradOutput(pointers(&pixels[0]), address(from, 0), uintptr(step)*elementBytes, channels/e.lanes)
		}
		return
	}
	for c := range channels {
		var columns [winogradTile][winogradWindow]T
		for i := range winogradWindow {
			var m [winogradWindow]T
			for j := range m {
				m[j] = from[(i*winogradWindow+j)*step+c]
			}
			for j, x := range outputColumn(&m) {
				columns[j][i] = x
			}
		}
		for j := range columns {
			for i, x := range outputColumn(&columns[j]) {
				if others != nil {
					x += *elementAt(others[i*winogradTile+j], c)
				}
				*elementAt(pixels[i*winogradTile+j], c) = x
			}
		}
	}
}

// outputColumn is Aᵀ m.
func outputColumn[T Float](m *[winogradWindow]T) [winogradTile]T {
	const a, b, a2, b2 = pointA, pointB, pointA2, pointB2
	sumA, sumB, differenceA, differenceB := m[1]+m[2], m[3]+m[4], m[1]-m[2], m[3]-m[4]
	return [winogradTile]T{
		m[0] + sumA + sumB,
		a*differenceA + b*differenceB,
		a2*sumA + b2*sumB,
		m[5] + a*a2*differenceA + b*b2*differenceB,
	}
}

// weightsOf transforms rows of 3 x 3 weights in float64: weight i of column k lies at from[i*columns+k], a row rowFrom behind the one before.
func (e *winogradEngine[T]) weightsOf(to []T, stepTo, rowTo int, from []T, stepFrom, rowFrom, columns, rows int) {
	_, _ = to[(winogradPositions-1)*stepTo+(rows-1)*rowTo+columns-1], from[8*stepFrom+(rows-1)*rowFrom+columns-1]
	if e.path != nil {
		e.path.winogradWeights(address(to, 0), uintptr(stepTo)*elementBytes, uintptr(rowTo)*elementBytes, address(from, 0), uintptr(stepFrom)*elementBytes, uintptr(rowFrom)*elementBytes, columns/e.lanes, rows)
		return
	}
	for r := range rows {
		for k := range columns {
			var d [winogradWindow][3]float64
			for j := range 3 {
				var g [3]float64
				for i := range g {
					g[i] = float64(from[r*rowFrom+(3*i+j)*stepFrom+k])
				}
				for i, x := range weightsColumn(&g) {
					d[i][j] = x
				}
			}
			for i := range d {
				for j, x := range weightsColumn(&d[i]) {
					to[(i*winogradWindow+j)*stepTo+r*rowTo+k] = T(x)
				}
			}
		}
	}
}

// weightsColumn is G g.
func weightsColumn(g *[3]float64) [winogradWindow]float64 {
	evenA, oddA := (g[0]+pointA2*g[2])/normA, pointA*g[1]/normA
	evenB, oddB := (g[0]+pointB2*g[2])/normB, pointB*g[1]/normB
	return [winogradWindow]float64{g[0] / normZero, evenA + oddA, evenA - oddA, evenB + oddB, evenB - oddB, g[2]}
}

// weightsGradient is the transpose of weightsOf.
func (e *winogradEngine[T]) weightsGradient(to []T, stepTo, rowTo int, from []T, stepFrom, rowFrom, columns, rows int) {
	_, _ = from[(winogradPositions-1)*stepFrom+(rows-1)*rowFrom+columns-1], to[8*stepTo+(rows-1)*rowTo+columns-1]
	if e.path != nil {
		e.path.winogradWeightsGradient(address(to, 0), uintptr(stepTo)*elementBytes, uintptr(rowTo)*elementBytes, address(from, 0), uintptr(stepFrom)*elementBytes, uintptr(rowFrom)*elementBytes, columns/e.lanes, rows)
		return
	}
	for r := range rows {
		for k := range columns {
			var d [3][winogradWindow]float64 // by column
			for i := range winogradWindow {
				var u [winogradWindow]float64
				for j := range u {
					u[j] = float64(from[(i*winogradWindow+j)*stepFrom+r*rowFrom+k])
				}
				for j, x := range weightsGradientColumn(&u) {
					d[j][i] = x
				}
			}
			for j := range d {
				for i, x := range weightsGradientColumn(&d[j]) {
					to[r*rowTo+(3*i+j)*stepTo+k] = T(x)
				}
			}
		}
	}
}

// weightsGradientColumn is Gᵀ u.
func weightsGradientColumn(u *[winogradWindow]float64) [3]float64 {
	sumA, sumB, differenceA, differenceB := u[1]+u[2], u[3]+u[4], u[1]-u[2], u[3]-u[4]
	return [3]float64{
		u[0]/normZero + sumA/normA + sumB/normB,
		pointA/normA*differenceA + pointB/normB*differenceB,
		pointA2/normA*sumA + pointB2/normB*sumB + u[5],
	}
}

// multiply computes rows x columns of c, at most a panel wide, or adds to them: a has its elements at a[r*rowStride+p*depthStride], of which one stride is 1, b at
// b[p*stepB+k]. Each sum is one chain in order of depth.
func (e *winogradEngine[T]) multiply(c []T, stepC int, a []T, rowStride, depthStride int, b []T, stepB, rows, columns, depth int, add bool) {
	_, _, _ = c[(rows-1)*stepC+columns-1], a[(rows-1)*rowStride+(depth-1)*depthStride], b[(depth-1)*stepB+columns-1]
	if e.path != nil {
		strips := e.path.strips[columns/e.lanes-1]
		tiles := (rows + e.path.tileRows - 1) / e.path.tileRows
		for tile := range tiles {
			lo, hi := rows*tile/tiles, rows*(tile+1)/tiles
			strips[hi-lo](address(a, lo*rowStride), uintptr(rowStride)*elementBytes, uintptr(depthStride)*elementBytes, address(b, 0), uintptr(stepB)*elementBytes, 0,
				address(c, lo*stepC), uintptr(stepC)*elementBytes, depth, 1, 1, add)
		}
		return
	}
	var sums [WinogradChannels]T
	for r := range rows {
		sum := sums[:columns]
		clear(sum)
		for p := range depth {
			x, row := a[r*rowStride+p*depthStride], b[p*stepB:][:len(sum)]
			for k, y := range row {
				sum[k] += x * y
			}
		}
		row := c[r*stepC:][:len(sum)]
		for k, s := range sum {
			if add {
				s += row[k]
			}
			row[k] = s
		}
	}
}

// transpose writes element (r, c) of from, rows x columns, to to[c*stepTo+r].
func (e *winogradEngine[T]) transpose(to []T, stepTo int, from []T, stepFrom, rows, columns int) {
	_, _ = to[(columns-1)*stepTo+rows-1], from[(rows-1)*stepFrom+columns-1]
	for r := 0; r < rows; r += 8 {
		if e.path != nil {
			e.path.transpose8(address(to, r), uintptr(stepTo)*elementBytes, address(from, r*stepFrom), uintptr(stepFrom)*elementBytes, columns/8)
			continue
		}
		for c := range columns {
			for i := r; i < r+8; i++ {
				to[c*stepTo+i] = from[i*stepFrom+c]
			}
		}
	}
}
