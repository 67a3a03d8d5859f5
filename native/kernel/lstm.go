package kernel

// Activation is an elementwise function and its gradient, dx = dy * derivative, in terms of its result y. Operands may be one slice.
type Activation[T Float] struct {
	Apply    func(y, x []T)
	Gradient func(dx, dy, y []T)
}

// LSTMStep is one step of a long short-term memory (Hochreiter and Schmidhuber, 1997, with the forget gate of Gers and others, 2000) for
// rows lo ... hi of a batch. gates holds four blocks a row, input, output, forget and candidate, before their activations and without what the last
// state adds, which is in hidden; the step adds that and applies gate to three and candidate to the last. Then
//
//	c = forget * c + input * candidate, h = output * last(c)
func LSTMStep[T Float](h, c, cells, gates, hidden []T, size int, gate, candidate, last Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g := gates[4*r*size : 4*(r+1)*size]
		Accumulate(g, hidden[4*r*size:4*(r+1)*size])
		gate.Apply(g[:3*size], g[:3*size])
		candidate.Apply(g[3*size:], g[3*size:])
		state, out := c[r*size:(r+1)*size], h[r*size:(r+1)*size]
		i, o, f, n := g[:size], g[size:2*size], g[2*size:3*size], g[3*size:]
		for j, v := range state {
			state[j] = f[j]*v + i[j]*n[j]
		}
		copy(cells[r*size:(r+1)*size], state)
		last.Apply(out, state)
		for j := range out {
			out[j] *= o[j]
		}
	}
}

// LSTMStepGradient is the gradient of LSTMStep: dz, four blocks a row, is that of the gates before their activations; dc, the gradient of the
// new c but for what comes through h, becomes that of the c before, which before holds, as cells does the new one.
func LSTMStepGradient[T Float](dz, dc, dh, gates, before, cells []T, size int, gate, candidate, last Activation[T], lo, hi int) {
	for r := lo; r < hi; r++ {
		g, d := gates[4*r*size:4*(r+1)*size], dz[4*r*size:4*(r+1)*size]
		i, o, f, n := g[:size], g[size:2*size], g[2*size:3*size], g[3*size:]
		di, do, df, dn := d[:size], d[size:2*size], d[2*size:3*size], d[3*size:]
		upstream, dState, was := dh[r*size:(r+1)*size], dc[r*size:(r+1)*size], before[r*size:(r+1)*size]
		last.Apply(do, cells[r*size:(r+1)*size])
		for j, u := range upstream {
			dn[j] = u * o[j]
		}
		last.Gradient(dn, dn, do)
		Accumulate(dState, dn)
		for j, u := range upstream {
			do[j] *= u
			di[j] = dState[j] * n[j]
			df[j] = dState[j] * was[j]
			dn[j] = dState[j] * i[j]
			dState[j] *= f[j]
		}
		gate.Gradient(d[:3*size], d[:3*size], g[:3*size])
		candidate.Gradient(dn, dn, n)
	}
}
