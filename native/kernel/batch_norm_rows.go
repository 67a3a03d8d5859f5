package kernel

import "math"

// channelPasses are a path's passes over rows of channels, which batch normalization with channels last is put together from. Sums are in float64.
type channelPasses struct {
	channelMoments           func(sums, squares *float64, x, middle *float32, vectors, rows int, step uintptr)
	channelGradientSums      func(sums, products *float64, dy, x, mean *float32, vectors, rows int, step uintptr)
	channelGatedGradientSums func(sums, products *float64, dy, x, y, mean *float32, vectors, rows int, step uintptr)

	channelNormalize, channelNormalizeRelu       func(y, x, mean, factor, shift *float32, vectors, rows int)
	channelNormalizeAdd, channelNormalizeAddRelu func(y, x, other, mean, factor, shift *float32, vectors, rows int)

	channelData          func(dx, dy, x, mean, off, slope, factor *float32, vectors, rows int)
	channelGatedData     func(dx, dy, x, y, mean, off, slope, factor *float32, vectors, rows int)
	channelGatedDataKeep func(dx, dy, x, y, gate, mean, off, slope, factor *float32, vectors, rows int)
}

// BatchNormRows is BatchNorm for images with channels last: rows of channels, one for each pixel. The sums are taken in slabs of rows, whose number the sizes alone decide, and
// are added up in their order.
type BatchNormRows[T Float] struct {
	Rows, Channels int
	Epsilon        float64
	// sums has two numbers for each slab and channel.
	sums []float64
	// What the second pass needs of each channel.
	mean, factor, shift, off, slope []T
}

// NewBatchNormRows allocates what a call needs.
func NewBatchNormRows[T Float](rows, channels int, epsilon float64) *BatchNormRows[T] {
	b := &BatchNormRows[T]{Rows: rows, Channels: channels, Epsilon: epsilon}
	b.sums = make([]float64, 2*channels*b.Slabs())
	all := make([]T, 5*channels)
	b.mean, b.factor, b.shift, b.off, b.slope = all[:channels], all[channels:2*channels], all[2*channels:3*channels], all[3*channels:4*channels], all[4*channels:]
	return b
}

// Slabs is the number of slabs: each has at least 64 rows, if there are as many.
func (b *BatchNormRows[T]) Slabs() int { return max(1, min(16, b.Rows/64)) }

func (b *BatchNormRows[T]) slab(i int) (lo, hi int, sums, others []float64) {
	n := b.Slabs()
	s := b.sums[2*b.Channels*i:][:2*b.Channels]
	return b.Rows * i / n, b.Rows * (i + 1) / n, s[:b.Channels], s[b.Channels:]
}

// vectors returns the path whose passes can be used, and the number of vectors of a row.
func (b *BatchNormRows[T]) vectors() (*path, int) {
	k := vectorised[T]().forChannels(b.Channels, true)
	if k == nil {
		return nil, 0
	}
	return k, b.Channels / k.lanes
}

// perCall is the number of rows of one call of assembly.
func (b *BatchNormRows[T]) perCall() int { return max(1, elementsPerCall/b.Channels) }

// Moments adds up slab i: the sums of what x is beyond its first row, which keeps the squares small, and of its square.
func (b *BatchNormRows[T]) Moments(x []T, i int) {
	lo, hi, sums, squares := b.slab(i)
	clear(sums)
	clear(squares)
	k, vectors := b.vectors()
	if k != nil {
		for ; lo < hi; lo += b.perCall() {
			k.channelMoments(&sums[0], &squares[0], address(x, lo*b.Channels), address(x, 0), vectors, min(b.perCall(), hi-lo), uintptr(b.Channels)*elementBytes)
		}
		return
	}
	for ; lo < hi; lo++ {
		for c, v := range x[lo*b.Channels:][:b.Channels] {
			d := float64(v) - float64(x[c])
			sums[c] += d
			squares[c] += d * d
		}
	}
}

// total adds up a channel's sums over the slabs.
func (b *BatchNormRows[T]) total(c int) (sum, other float64) {
	for i := range b.Slabs() {
		sum += b.sums[2*b.Channels*i+c]
		other += b.sums[2*b.Channels*i+b.Channels+c]
	}
	return sum, other
}

// Statistics returns the mean of channel c and its biased variance, once all slabs are added up.
func (b *BatchNormRows[T]) Statistics(x []T, c int) (mean, variance float64) {
	sum, squares := b.total(c)
	count := float64(b.Rows)
	mean = sum / count
	return float64(x[c]) + mean, max(0, squares/count-mean*mean)
}

// InverseDeviation is 1/sqrt(variance + epsilon).
func (b *BatchNormRows[T]) InverseDeviation(variance float64) float64 {
	return 1 / math.Sqrt(variance+b.Epsilon)
}

// Set says by what channel c is normalized.
func (b *BatchNormRows[T]) Set(c int, mean, inverse, scale, shift T) {
	b.mean[c], b.factor[c], b.shift[c] = mean, inverse*scale, shift
}

// Apply is y = (x - mean) * inverse * scale + shift for the rows lo ... hi; other, if not nil, is added, and then what is negative set to 0 if relu is set.
func (b *BatchNormRows[T]) Apply(y, x, other []T, relu bool, lo, hi int) {
	n := b.Channels
	k, vectors := b.vectors()
	if k != nil {
		mean, factor, shift := address(b.mean, 0), address(b.factor, 0), address(b.shift, 0)
		for ; lo < hi; lo += b.perCall() {
			rows := min(b.perCall(), hi-lo)
			to, from := address(y, lo*n), address(x, lo*n)
			switch {
			case other != nil && relu:
				k.channelNormalizeAddRelu(to, from, address(other, lo*n), mean, factor, shift, vectors, rows)
			case other != nil:
				k.channelNormalizeAdd(to, from, address(other, lo*n), mean, factor, shift, vectors, rows)
			case relu:
				k.channelNormalizeRelu(to, from, mean, factor, shift, vectors, rows)
			default:
				k.channelNormalize(to, from, mean, factor, shift, vectors, rows)
			}
		}
		return
	}
	for ; lo < hi; lo++ {
		out, in := y[lo*n:][:n], x[lo*n:][:n]
		for c, v := range in {
			v = (v-b.mean[c])*b.factor[c] + b.shift[c]
			if other != nil {
				v += other[lo*n+c]
			}
			if relu && v < 0 {
				v = 0
			}
			out[c] = v
		}
	}
}

// GradientSums adds up slab i: the sums of dy and of dy times x - mean. Where y is not nil, dy counts as 0 where y is not positive.
func (b *BatchNormRows[T]) GradientSums(dy, x, y, mean []T, i int) {
	lo, hi, sums, products := b.slab(i)
	clear(sums)
	clear(products)
	n, step := b.Channels, uintptr(b.Channels)*elementBytes
	k, vectors := b.vectors()
	if k != nil {
		for ; lo < hi; lo += b.perCall() {
			rows := min(b.perCall(), hi-lo)
			if y != nil {
				k.channelGatedGradientSums(&sums[0], &products[0], address(dy, lo*n), address(x, lo*n), address(y, lo*n), address(mean, 0), vectors, rows, step)
			} else {
				k.channelGradientSums(&sums[0], &products[0], address(dy, lo*n), address(x, lo*n), address(mean, 0), vectors, rows, step)
			}
		}
		return
	}
	for ; lo < hi; lo++ {
		for c, d := range dy[lo*n:][:n] {
			if y != nil && !(y[lo*n+c] > 0) {
				continue
			}
			sums[c] += float64(d)
			products[c] += float64(d) * (float64(x[lo*n+c]) - float64(mean[c]))
		}
	}
}

// Sums returns what the gradients of channel c are made of, as BatchNorm.Sums does, once all slabs are added up.
func (b *BatchNormRows[T]) Sums(c int, inverse T) (sum, product float64) {
	sum, product = b.total(c)
	return sum, product * float64(inverse)
}

// SetData says what Data needs of channel c; see BatchNorm.Data.
func (b *BatchNormRows[T]) SetData(c int, mean, inverse, scale T, sum, product float64) {
	count := float64(b.Rows)
	b.mean[c], b.factor[c], b.off[c], b.slope[c] = mean, inverse*scale, T(sum/count), T(product/count*float64(inverse))
}

// Data is the gradient of x for the rows lo ... hi, as BatchNorm.Data. gated, if not nil, gets what counts as dy.
func (b *BatchNormRows[T]) Data(dx, dy, x, y, gated []T, lo, hi int) {
	n := b.Channels
	k, vectors := b.vectors()
	if k != nil {
		mean, off, slope, factor := address(b.mean, 0), address(b.off, 0), address(b.slope, 0), address(b.factor, 0)
		for ; lo < hi; lo += b.perCall() {
			rows := min(b.perCall(), hi-lo)
			to, upstream, in := address(dx, lo*n), address(dy, lo*n), address(x, lo*n)
			switch {
			case gated != nil:
				k.channelGatedDataKeep(to, upstream, in, address(y, lo*n), address(gated, lo*n), mean, off, slope, factor, vectors, rows)
			case y != nil:
				k.channelGatedData(to, upstream, in, address(y, lo*n), mean, off, slope, factor, vectors, rows)
			default:
				k.channelData(to, upstream, in, mean, off, slope, factor, vectors, rows)
			}
		}
		return
	}
	for ; lo < hi; lo++ {
		for c, d := range dy[lo*n:][:n] {
			if y != nil && !(y[lo*n+c] > 0) {
				d = 0
			}
			if gated != nil {
				gated[lo*n+c] = d
			}
			dx[lo*n+c] = b.factor[c] * (d - b.off[c] - (x[lo*n+c]-b.mean[c])*b.slope[c])
		}
	}
}
