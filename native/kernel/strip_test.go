package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// Every function for tiles, of every height and width, is called here by itself: a product asks for few of them. The numbers are small and whole, so that
// sums are exact in any order, and all operands lie between fences, none longer than it must be.

// placed returns n elements at the fences of the slot, drawn from the whole numbers -4 ... 4.
func (f *fences) placed(slot, n int, p position, rng *rand.Rand) ([]float32, *fence) {
	m := f.place(slot, 4*n, 4, p, rng)
	x := slice[float32](m)
	for i := range x {
		x[i] = float32(rng.IntN(9) - 4)
	}
	return x, m
}

// eachTile calls a test for every height and width of the path in use.
func eachTile(t *testing.T, test func(t *testing.T, p *path, rows, vectors int)) {
	t.Helper()
	eachPath(t, func(t *testing.T) {
		p := active.Load()
		for vectors := 1; vectors <= 2 && p.lanes > 0; vectors++ {
			for rows := 1; rows <= p.tileRows; rows++ {
				t.Run(fmt.Sprintf("%d x %d", rows, vectors*p.lanes), func(t *testing.T) { test(t, p, rows, vectors) })
			}
		}
	})
}

// tileOperands are what a function for tiles gets.
type tileOperands struct {
	rows, width, depth, tiles int
	a, b, c                   []float32
	stepA, stepDepth          int // in elements, as all here
	stepB, tileB, stepC       int
	alpha                     float32
	add                       bool
	used                      []*fence
}

// tileOperands draws them: with the left factor row by row or column by column, the right one in place or packed.
func (f *fences) tileOperands(rng *rand.Rand, p position, rows, width, depth, tiles int, columns, packed bool) *tileOperands {
	o := &tileOperands{rows: rows, width: width, depth: depth, tiles: tiles, alpha: 1, stepC: tiles*width + 3}
	o.stepA, o.stepDepth = depth+2, 1
	if columns {
		o.stepA, o.stepDepth = 1, rows+1
	}
	o.stepB, o.tileB = tiles*width+5, width
	if packed {
		o.stepB, o.tileB = width, width*depth
	}
	place := func(slot, n int) []float32 {
		x, m := f.placed(slot, n, p, rng)
		o.used = append(o.used, m)
		return x
	}
	if depth == 0 {
		o.a, o.b = make([]float32, 1), make([]float32, 1) // are not read
	} else {
		o.a = place(0, (rows-1)*o.stepA+(depth-1)*o.stepDepth+1)
		o.b = place(1, (tiles-1)*o.tileB+(depth-1)*o.stepB+width)
	}
	o.c = place(2, (rows-1)*o.stepC+tiles*width)
	return o
}

// want returns what must stand in C.
func (o *tileOperands) want() []float32 {
	c := slices.Clone(o.c)
	for r := range o.rows {
		for j := range o.tiles * o.width {
			sum := float32(0)
			for p := range o.depth {
				sum += o.a[r*o.stepA+p*o.stepDepth] * o.b[j/o.width*o.tileB+p*o.stepB+j%o.width]
			}
			sum *= o.alpha
			if o.add {
				sum += c[r*o.stepC+j]
			}
			c[r*o.stepC+j] = sum
		}
	}
	return c
}

// check runs a function and compares all that it could have written.
func (o *tileOperands) check(t *testing.T, what string, run func()) {
	t.Helper()
	want, a, b := o.want(), slices.Clone(o.a), slices.Clone(o.b)
	if err := faults(run); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if !slices.Equal(o.c, want) {
		t.Fatalf("%s: C is %v, want %v", what, o.c, want)
	}
	if !slices.Equal(o.a, a) || !slices.Equal(o.b, b) {
		t.Fatalf("%s: a factor was changed", what)
	}
	for i, m := range o.used {
		if !m.stands() {
			t.Fatalf("%s: memory outside operand %d was written", what, i)
		}
	}
}

// bytesOf is a distance as the functions get it.
func bytesOf(elements int) uintptr { return uintptr(elements) * elementBytes }

func TestStrips(t *testing.T) {
	eachTile(t, func(t *testing.T, p *path, rows, vectors int) {
		rng, f := rand.New(rand.NewPCG(uint64(rows), uint64(vectors))), &fences{t: t}
		for _, depth := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 33, 64, 65} {
			for form := range 32 {
				for at := range positions {
					o := f.tileOperands(rng, at, rows, vectors*p.lanes, depth, 1+form&1*2, form&2 != 0, form&4 != 0)
					o.add = form&8 != 0
					if form&16 != 0 {
						o.alpha = -0.5
					}
					o.check(t, fmt.Sprintf("depth %d, form %d, position %d", depth, form, at), func() {
						p.strips[vectors-1][rows](&o.a[0], bytesOf(o.stepA), bytesOf(o.stepDepth), &o.b[0], bytesOf(o.stepB), bytesOf(o.tileB),
							&o.c[0], bytesOf(o.stepC), depth, o.tiles, o.alpha, o.add)
					})
				}
			}
		}
	})
}

func TestDeepTiles(t *testing.T) {
	eachTile(t, func(t *testing.T, p *path, rows, vectors int) {
		rng, f := rand.New(rand.NewPCG(uint64(rows), uint64(vectors))), &fences{t: t}
		width := vectors * p.lanes
		for _, lengths := range [][]int{{1}, {6}, {66}, {2, 1}, {5, 4}, {8, 8, 7}, {70, 3, 64}} {
			depth, fetched := 0, 0 // rows of the next panel
			for i, n := range lengths {
				depth += n
				if i+1 < len(lengths) {
					fetched += n / 2 / 2
				}
			}
			for form := range 48 {
				for at := range positions {
					o := f.tileOperands(rng, at, rows, width, depth, 1, form&1 != 0, form&2 != 0)
					o.add = form&4 != 0
					if form&8 != 0 {
						o.alpha = -0.5
					}
					sums, m := f.placed(3, rows*width, at, rng)
					o.used = append(o.used, m)
					var next, into *float32
					var source, copied []float32
					every, step := math.MaxInt, width+1
					if form/16 > 0 && fetched > 0 {
						source, m = f.placed(4, (fetched-1)*step+width, at, rng)
						o.used = append(o.used, m)
						next, every = &source[0], 2
					}
					if form/16 > 1 && fetched > 0 {
						copied, m = f.placed(5, fetched*width, at, rng)
						o.used = append(o.used, m)
						into = &copied[0]
					}
					what := fmt.Sprintf("chains %v, form %d, position %d", lengths, form, at)
					o.check(t, what, func() {
						p.deepTiles[vectors-1][rows](&o.a[0], bytesOf(o.stepA), bytesOf(o.stepDepth), &o.b[0], bytesOf(o.stepB), &o.c[0], bytesOf(o.stepC),
							unsafe.SliceData(sums), &lengths[0], len(lengths), o.alpha, o.add, next, bytesOf(step), into, every)
					})
					for i, x := range copied {
						if want := source[i/width*step+i%width]; x != want {
							t.Fatalf("%s: element %d of the panel is %g, want %g", what, i, x, want)
						}
					}
				}
			}
		}
	})
}
