package tracetest

import "math"

// The network's sizes. Inputs and hidden units are equally many, so that a transposed weight goes unnoticed by shapes.
const (
	inputs  = 16
	hidden  = 16
	classes = 5
	keep    = 0.8 // of the dropout
)

type float interface{ float32 | float64 }

// sum adds n terms in one of the orders; they differ in rounding alone.
func sum[T float](order string, n int, term func(i int) T) T {
	var s T
	switch order {
	case "reverse":
		for i := n - 1; i >= 0; i-- {
			s += term(i)
		}
	case "pairwise":
		if n <= 2 {
			for i := range n {
				s += term(i)
			}
			return s
		}
		return sum(order, n/2, term) + sum(order, n-n/2, func(i int) T { return term(i + n/2) })
	case "stride 2", "stride 3", "stride 4", "stride 5":
		k := int(order[len(order)-1] - '0')
		for j := range k {
			var part T
			for i := j; i < n; i += k {
				part += term(i)
			}
			s += part
		}
	default:
		for i := range n {
			s += term(i)
		}
	}
	return s
}

// pass is one forward and backward pass; matrices are rows of slices' worth, row-major.
type pass[T float] struct {
	order, mutant      string
	w1, b1, w2, b2     []T // (hidden,inputs) (hidden) (classes,hidden) (classes)
	x                  []T // (rows,inputs)
	labels             []int
	kept               func(i int) bool // element i of (rows,hidden)
	loss               T
	z1, a1, logits     []T
	gw1, gb1, gw2, gb2 []T
	nominal            int // batch size of a full batch
}

func (p *pass[T]) run() {
	n := len(p.labels)
	p.z1, p.a1, p.logits = make([]T, n*hidden), make([]T, n*hidden), make([]T, n*classes)
	scale := T(1 / keep)
	if p.mutant == "dropout unscaled" {
		scale = 1
	}
	for b := range n {
		for h := range hidden {
			z := sum(p.order, inputs, func(d int) T {
				if p.mutant == "weight transposed where square" {
					return p.x[b*inputs+d] * p.w1[d*inputs+h]
				}
				return p.x[b*inputs+d] * p.w1[h*inputs+d]
			}) + p.b1[h]
			p.z1[b*hidden+h] = z
			if z > 0 && p.kept(b*hidden+h) {
				p.a1[b*hidden+h] = z * scale
			}
		}
		for c := range classes {
			p.logits[b*classes+c] = sum(p.order, hidden, func(h int) T { return p.a1[b*hidden+h] * p.w2[c*hidden+h] }) + p.b2[c]
		}
	}
	dz := p.crossEntropy()
	p.gw2, p.gb2 = make([]T, classes*hidden), make([]T, classes)
	for c := range classes {
		for h := range hidden {
			p.gw2[c*hidden+h] = sum(p.order, n, func(b int) T { return dz[b*classes+c] * p.a1[b*hidden+h] })
		}
		p.gb2[c] = sum(p.order, n, func(b int) T { return dz[b*classes+c] })
	}
	da := make([]T, n*hidden)
	for b := range n {
		for h := range hidden {
			if i := b*hidden + h; p.z1[i] > 0 && p.kept(i) {
				da[i] = scale * sum(p.order, classes, func(c int) T { return dz[b*classes+c] * p.w2[c*hidden+h] })
			}
		}
	}
	p.gw1, p.gb1 = make([]T, hidden*inputs), make([]T, hidden)
	for h := range hidden {
		for d := range inputs {
			p.gw1[h*inputs+d] = sum(p.order, n, func(b int) T { return da[b*hidden+h] * p.x[b*inputs+d] })
		}
		p.gb1[h] = sum(p.order, n, func(b int) T { return da[b*hidden+h] })
	}
	p.spoilGradients(n)
}

// crossEntropy sets the loss and returns its derivative by the logits.
func (p *pass[T]) crossEntropy() []T {
	n := len(p.labels)
	logits := p.logits
	if p.mutant == "softmax applied twice" {
		logits = softmax(p.order, logits)
	}
	q := softmax(p.order, logits)
	dz := make([]T, n*classes)
	divisor := T(n)
	if p.mutant == "loss sum for mean" {
		divisor = 1
	}
	if p.mutant == "mean over the nominal batch" {
		divisor = T(p.nominal)
	}
	label := func(b int) int {
		if p.mutant == "labels shifted" {
			return (p.labels[b] + 1) % classes
		}
		return p.labels[b]
	}
	p.loss = sum(p.order, n, func(b int) T { return -T(math.Log(float64(q[b*classes+label(b)]))) }) / divisor
	for b := range n {
		for c := range classes {
			y := T(0)
			if c == label(b) {
				y = 1
			}
			dz[b*classes+c] = (q[b*classes+c] - y) / divisor
		}
	}
	if p.mutant == "loss not a number" {
		p.loss = T(math.NaN())
	}
	return dz
}

func softmax[T float](order string, x []T) []T {
	out := make([]T, len(x))
	for r := 0; r < len(x); r += classes {
		top := x[r]
		for _, v := range x[r : r+classes] {
			top = max(top, v)
		}
		for c := range classes {
			out[r+c] = T(math.Exp(float64(x[r+c] - top)))
		}
		total := sum(order, classes, func(c int) T { return out[r+c] })
		for c := range classes {
			out[r+c] /= total
		}
	}
	return out
}

// spoilGradients makes the mistakes that leave forward pass and loss right.
func (p *pass[T]) spoilGradients(n int) {
	all := [][]T{p.gw1, p.gb1, p.gw2, p.gb2}
	each := func(f func(T) T) {
		for _, g := range all {
			for i := range g {
				g[i] = f(g[i])
			}
		}
	}
	switch p.mutant {
	case "gradient scaled by 1/B twice":
		each(func(v T) T { return v / T(n) })
	case "gradient scaled on the short batch":
		if n < p.nominal {
			each(func(v T) T { return v * T(n) / T(p.nominal) })
		}
	case "gradient of the wrong sign":
		each(func(v T) T { return -v })
	case "gradient in half precision":
		each(func(v T) T { return T(half(float32(v))) })
	case "gradient off by 1e-5":
		each(func(v T) T { return v * (1 + 1e-5) })
	case "gradient off by 1e-8":
		each(func(v T) T { return T(float64(v) * (1 + 1e-8)) }) // below a float32 rounding
	case "bias gradient missing":
		clear(p.gb1)
	case "gradient not a number":
		p.gw2[3] = T(math.NaN())
	case "gradient infinite":
		p.gw1[7] = T(math.Inf(1))
	}
}

// half rounds to 11 significant bits, as binary16 has.
func half(v float32) float32 {
	return math.Float32frombits((math.Float32bits(v) + 1<<12) &^ (1<<13 - 1))
}
