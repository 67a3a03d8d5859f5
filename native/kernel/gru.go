package kernel

// GRUGates is the first half of a step of a gated recurrent unit (Cho and others, 2014) for rows lo ... hi of a batch. gates holds four blocks a row:
// update, reset and candidate before their activations and without what the last state adds, and room for one more; hidden holds two or three
// blocks of width columns: what it adds. The first two get it and their activation. With three blocks the third, plus bias, is kept in the fourth block of
// gates; else reset gets reset * h.
func GRUGates[T Float](gates, reset, hidden, h, bias []T, size, width int, gate Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g, add := gates[4*r*size:4*(r+1)*size], hidden[r*width:(r+1)*width]
		Accumulate(g[:2*size], add[:2*size])
		gate.Apply(g[:2*size], g[:2*size])
		if width == 3*size {
			for j, v := range add[2*size:] {
				g[3*size+j] = v
				if bias != nil {
					g[3*size+j] += bias[j]
				}
			}
			continue
		}
		for j, v := range h[r*size : (r+1)*size] {
			reset[r*size+j] = g[size+j] * v
		}
	}
}

// GRUStep is the second half: candidate = activation(candidate + reset * fourth block), or where added is not nil activation(candidate + added),
// and
//
//	h = (1 - update) * candidate + update * h
func GRUStep[T Float](h, gates, added []T, size int, candidate Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g := gates[4*r*size : 4*(r+1)*size]
		update, reset, n, fourth := g[:size], g[size:2*size], g[2*size:3*size], g[3*size:]
		if added != nil {
			Accumulate(n, added[r*size:(r+1)*size])
		} else {
			for j, v := range fourth {
				n[j] += reset[j] * v
			}
		}
		candidate.Apply(n, n)
		for j, v := range h[r*size : (r+1)*size] {
			h[r*size+j] = (1-update[j])*n[j] + update[j]*v
		}
	}
}

// GRUStepGradient is the gradient of GRUStep: dz has four blocks a row, the gradients of update, of reset (where the fourth block was used), of
// the candidate before its activation and of the fourth block; those of the gates' activations are not taken yet. dh, the gradient of the new h,
// becomes the part of that of the h before, which before holds, that does not come through the gates.
func GRUStepGradient[T Float](dz, dh, gates, before []T, size int, candidate Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g, d := gates[4*r*size:4*(r+1)*size], dz[4*r*size:4*(r+1)*size]
		update, reset, n, fourth := g[:size], g[size:2*size], g[2*size:3*size], g[3*size:]
		for j, u := range dh[r*size : (r+1)*size] {
			d[j] = u * (before[r*size+j] - n[j])
			d[2*size+j] = u * (1 - update[j])
			dh[r*size+j] = u * update[j]
		}
		candidate.Gradient(d[2*size:3*size], d[2*size:3*size], n)
		for j, u := range d[2*size : 3*size] {
			d[size+j] = u * fourth[j]
			d[3*size+j] = u * reset[j]
		}
	}
}

// GRUGatesGradient is the gradient of GRUGates' activations, in place in the first two blocks of dz. Where dReset, the gradient of reset * h, is not
// nil, that of reset comes from it, and its part of the gradient of the h before is added to dh.
func GRUGatesGradient[T Float](dz, dh, dReset, gates, before []T, size int, gate Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g, d := gates[4*r*size:4*(r+1)*size], dz[4*r*size:4*(r+1)*size]
		if dReset != nil {
			for j, u := range dReset[r*size : (r+1)*size] {
				d[size+j] = u * before[r*size+j]
				dh[r*size+j] += u * g[size+j]
			}
		}
		gate.Gradient(d[:2*size], d[:2*size], g[:2*size])
	}
}
