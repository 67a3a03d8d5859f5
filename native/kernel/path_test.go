package kernel

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem/native/philox"
)

// eachPath runs a test on every path that the processor has. A path named by TANDEM_REQUIRE must be among them: a machine that is
// there to test it must not skip it.
func eachPath(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	for _, name := range []string{"avx2", "avx512"} { // the variable names other things too, such as pytorch
		if required := strings.Split(os.Getenv("TANDEM_REQUIRE"), ","); slices.Contains(required, name) && !slices.Contains(Paths(), name) {
			t.Fatalf("TANDEM_REQUIRE asks for kernels %q, this processor and build have %v", name, Paths())
		}
	}
	for _, name := range Paths() {
		t.Run(name, func(t *testing.T) {
			use(t, name)
			test(t)
		})
	}
}

// use chooses a path until the test ends.
func use(t *testing.T, name string) {
	t.Helper()
	before := Path()
	if err := Use(name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := Use(before); err != nil {
			t.Fatal(err)
		}
	})
}

func TestUseRefusesWhatTheProcessorHasNot(t *testing.T) {
	use(t, "generic")
	for _, name := range []string{"", "avx", "AVX2", "neon"} {
		err := Use(name)
		if err == nil || !strings.Contains(err.Error(), "generic") {
			t.Errorf("Use(%q): %v; the error must name the paths there are", name, err)
		}
	}
	if Path() != "generic" {
		t.Errorf("after errors the path is %s", Path())
	}
}

func TestVariableChoosesThePath(t *testing.T) {
	use(t, Path())
	for _, name := range Paths() {
		t.Setenv(PathVariable, name)
		if err := UseVariable(); err != nil || Path() != name {
			t.Errorf("%s=%s: path %s, %v", PathVariable, name, Path(), err)
		}
	}
	t.Setenv(PathVariable, "sse9")
	if err := UseVariable(); err == nil || !strings.Contains(err.Error(), PathVariable) {
		t.Errorf("a path that does not exist: %v; the error must name the variable", err)
	}
	t.Setenv(PathVariable, "")
	before := Path()
	if err := UseVariable(); err != nil || Path() != before {
		t.Errorf("empty: path %s, %v", Path(), err)
	}
}

// special are the numbers at which vector instructions differ from Go's operators most easily.
var special = []float32{
	0, float32(math.Copysign(0, -1)), float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)),
	math.SmallestNonzeroFloat32, -math.SmallestNonzeroFloat32, 1e-39, -3e-41, 0x1p-126, -0x1.8p-126, 1e-36, math.MaxFloat32, -math.MaxFloat32, 1, -1,
}

func TestKeepIsPhilox(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng, f := rand.New(rand.NewPCG(2, 2)), &fences{t: t}
		for _, n := range []int{0, 1, 3, 4, 31, 32, 33, 35, 36, 67, 100, 129, elementsPerCall + 77} {
			for first := range 9 {
				for _, p := range []float64{0, 0x1p-32, 0.2, 0.5, 1 - 0x1p-32, 1} {
					s := philox.Stream{Seed: rng.Uint64(), Step: rng.Uint64(), Site: rng.Uint32()}
					want := make([]bool, n)
					s.Keep(want, 1000+first, p)
					for position := range positions {
						m := f.place(0, n, 1, position, rng)
						got := slice[bool](m)
						Keep(got, s, 1000+first, p)
						if !slices.Equal(got, want) {
							t.Fatalf("%d elements from %d, p = %g: the mask differs from philox's", n, 1000+first, p)
						}
						if !m.stands() {
							t.Fatalf("%d elements from %d: wrote outside", n, 1000+first)
						}
					}
				}
			}
		}
	})
}

// TestKeepRowsIsPhilox compares the mask of a part of a matrix with that of its elements.
func TestKeepRowsIsPhilox(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng, f := rand.New(rand.NewPCG(2, 3)), &fences{t: t}
		for _, width := range []int{0, 1, 31, 32, 64, 96, 100, elementsPerCall / 2, elementsPerCall + 32} {
			for _, rows := range []int{0, 1, 2, 3, 7} {
				for _, more := range []int{0, 1, 4, 64} {
					for _, first := range []int{0, 3, 8, 1 << 33} {
						s := philox.Stream{Seed: rng.Uint64(), Step: rng.Uint64(), Site: rng.Uint32()}
						want := make([]bool, rows*width)
						for r := range rows {
							s.Keep(want[r*width:][:width], first+r*(width+more), 0.3)
						}
						m := f.place(0, rows*width, 1, atEnd, rng)
						got := slice[bool](m)
						KeepRows(got, s, first, width, width+more, 0.3)
						if !slices.Equal(got, want) || !m.stands() {
							t.Fatalf("%d rows of %d elements from %d, %d apart: the mask differs from philox's", rows, width, first, width+more)
						}
					}
				}
			}
		}
	})
}

// TestAdamAgainstFloat64 bounds the error of a step in float32 by what its roundings can add up to.
func TestAdamAgainstFloat64(t *testing.T) {
	eachPath(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(6, 6))
		const n = 1003
		c := AdamStep[float32]{Shrink: 0.9999, Decay: 0.01, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.003, Scale: 10, Eps: 1e-8}
		c64 := AdamStep[float64]{
			Shrink: float64(c.Shrink), Decay: float64(c.Decay), Fresh1: float64(c.Fresh1), Beta2: float64(c.Beta2), Fresh2: float64(c.Fresh2),
			Size: float64(c.Size), Scale: float64(c.Scale), Eps: float64(c.Eps),
		}
		x, x64 := make([][]float32, 4), make([][]float64, 4)
		for s := range x {
			x[s], x64[s] = make([]float32, n), make([]float64, n)
			for i := range x[s] {
				v := rng.NormFloat64()
				if s == 3 {
					v *= v
				}
				x[s][i] = float32(v)
				x64[s][i] = float64(x[s][i])
			}
		}
		before := slices.Clone(x64[0])
		g, m := slices.Clone(x64[1]), slices.Clone(x64[2])
		Adam(x[0], x[1], x[2], x[3], &c)
		Adam(x64[0], x64[1], x64[2], x64[3], &c64)
		const u = 0x1p-24 // half a unit in the last place
		for i := range n {
			// d carries 3 roundings of terms of its size, m adds 3 more.
			size := math.Abs(g[i]) + 0.01*math.Abs(before[i]) + math.Abs(m[i])
			if err := math.Abs(float64(x[2][i]) - x64[2][i]); !(err <= 6*u*size) {
				t.Fatalf("m[%d] is off by %g, allowed %g", i, err, 6*u*size)
			}
			if err := math.Abs(float64(x[3][i]) - x64[3][i]); !(err <= 8*u*x64[3][i]+1e-3*12*u*size*size) {
				t.Fatalf("v[%d] is off by %g of %g", i, err, x64[3][i])
			}
			// The parameter is rounded twice; the update has the error of m, of the root of v, and four of its own.
			update := c64.Size / (math.Sqrt(x64[3][i])*c64.Scale + c64.Eps)
			limit := 2*u*math.Abs(before[i]) + update*(6*u*size+16*u*size)
			if err := math.Abs(float64(x[0][i]) - x64[0][i]); !(err <= limit) {
				t.Fatalf("p[%d] is off by %g, allowed %g", i, err, limit)
			}
		}
	})
}
