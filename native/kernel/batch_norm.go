package kernel

import "math"

// BatchNorm normalizes channels over all images of a batch (Ioffe and Szegedy, "Batch Normalization", 2015). Images lie one
// after the other, channels within an image, and a channel's size elements side by side.
type BatchNorm[T Float] struct {
	Images, Channels, Size int
	Epsilon                float64
}

// channel calls body with each image's part of channel c.
func (b *BatchNorm[T]) channel(c int, body func(lo, hi int)) {
	for n := range b.Images {
		lo := (n*b.Channels + c) * b.Size
		body(lo, lo+b.Size)
	}
}

// Statistics returns the mean of channel c and its biased variance. It sums in float64, as PyTorch does on a processor, and takes the mean off
// before it squares.
func (b *BatchNorm[T]) Statistics(x []T, c int) (mean, variance float64) {
	count := float64(b.Images * b.Size)
	b.channel(c, func(lo, hi int) { mean += sum64(x[lo:hi]) })
	mean /= count
	b.channel(c, func(lo, hi int) { variance += squares64(x[lo:hi], mean) })
	return mean, variance / count
}

// sum64 adds in float64, by four chains so that one addition need not wait for the other.
func sum64[T Float](x []T) float64 {
	if k := vectorised[T](); k != nil {
		return sumOf(k, x)
	}
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		a += float64(x[0])
		b += float64(x[1])
		c += float64(x[2])
		d += float64(x[3])
	}
	for _, v := range x {
		a += float64(v)
	}
	return (a + b) + (c + d)
}

// squares64 adds the squares of x - mean in float64.
func squares64[T Float](x []T, mean float64) float64 {
	if k := vectorised[T](); k != nil {
		return squaresOf(k, x, mean)
	}
	var a, b, c, d float64
	for ; len(x) >= 4; x = x[4:] {
		e0, e1, e2, e3 := float64(x[0])-mean, float64(x[1])-mean, float64(x[2])-mean, float64(x[3])-mean
		a += e0 * e0
		b += e1 * e1
		c += e2 * e2
		d += e3 * e3
	}
	for _, v := range x {
		e := float64(v) - mean
		a += e * e
	}
	return (a + b) + (c + d)
}

// InverseDeviation is 1/sqrt(variance + epsilon).
func (b *BatchNorm[T]) InverseDeviation(variance float64) float64 {
	return 1 / math.Sqrt(variance+b.Epsilon)
}

// Apply is y = (x - mean) * inverse * scale + shift for channel c.
func (b *BatchNorm[T]) Apply(y, x []T, c int, mean, inverse, scale, shift T) {
	factor := inverse * scale
	k := vectorised[T]()
	b.channel(c, func(lo, hi int) {
		out := y[lo:hi]
		if k != nil {
			in := x[lo:hi]
			for i := 0; i < len(in); i += elementsPerCall {
				k.centreAndScale(address(out, i), address(in, i), min(elementsPerCall, len(in)-i), float32(mean), float32(factor), float32(shift))
			}
			return
		}
		for i, v := range x[lo:hi] {
			out[i] = (v-mean)*factor + shift
		}
	})
}

// Sums returns what the gradients of channel c are made of: the sum of dy, and that of dy times the normalized x.
func (b *BatchNorm[T]) Sums(dy, x []T, c int, mean, inverse T) (sum, product float64) {
	b.channel(c, func(lo, hi int) {
		sum += sum64(dy[lo:hi])
		product += centred64(dy[lo:hi], x[lo:hi], float64(mean))
	})
	return sum, product * float64(inverse)
}

// centred64 adds dy * (x - mean) in float64.
func centred64[T Float](dy, x []T, mean float64) float64 {
	var a, b, c, d float64
	x = x[:len(dy)]
	if k := vectorised[T](); k != nil {
		for i := 0; i < len(x); i += elementsPerCall {
			a += k.dotCentred(address(dy, i), address(x, i), min(elementsPerCall, len(x)-i), mean)
		}
		return a
	}
	for ; len(dy) >= 4 && len(x) >= 4; dy, x = dy[4:], x[4:] {
		a += float64(dy[0]) * (float64(x[0]) - mean)
		b += float64(dy[1]) * (float64(x[1]) - mean)
		c += float64(dy[2]) * (float64(x[2]) - mean)
		d += float64(dy[3]) * (float64(x[3]) - mean)
	}
	for i, v := range dy {
		a += float64(v) * (float64(x[i]) - mean)
	}
	return (a + b) + (c + d)
}

// Data is the gradient of x in channel c, for statistics that x itself decided:
//
//	dx = scale * inverse * (dy - sum/count - (x - mean) * inverse * product/count)
func (b *BatchNorm[T]) Data(dx, dy, x []T, c int, mean, inverse, scale T, sum, product float64) {
	count := float64(b.Images * b.Size)
	factor, off, slope := inverse*scale, T(sum/count), T(product/count*float64(inverse))
	k := vectorised[T]()
	b.channel(c, func(lo, hi int) {
		out, values := dx[lo:hi], x[lo:hi]
		if k != nil {
			upstream := dy[lo:hi]
			for i := 0; i < len(out); i += elementsPerCall {
				k.batchNormData(address(out, i), address(upstream, i), address(values, i), min(elementsPerCall, len(out)-i), float32(mean), float32(off), float32(slope), float32(factor))
			}
			return
		}
		for i, d := range dy[lo:hi] {
			out[i] = factor * (d - off - (values[i]-mean)*slope)
		}
	})
}
