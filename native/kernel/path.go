package kernel

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// PathVariable is the environment variable that forces a path: generic, avx2 or avx512.
const PathVariable = "TANDEM_KERNELS"

// path is one implementation of the float32 kernels; of the generic one all but the name is zero.
type path struct {
	name string
	// lanes is the number of elements of a vector; strips[v-1][r] computes tiles of r rows and v vectors, r up to tileRows.
	lanes, tileRows int
	strips          [2][]stripFunc
	// deepTiles are for the same tiles.
	deepTiles [2][]deepTileFunc
	// stripsAdam[0][r] updates with tiles of r rows and two vectors, stripsAdam[1][r] with weight decay too; nil where the path has none.
	stripsAdam [2][]stripAdamFunc
	// Transpose strips of eight rows, and overwrite what they write to or add to it.
	transpose8, transposeAdd8 func(dst *float32, stepDst uintptr, src *float32, stepSrc uintptr, blocks int)
	// copyRows copies rows of n elements, at least eight.
	copyRows func(dst *float32, stepDst uintptr, src *float32, stepSrc uintptr, vectors int, last uintptr, rows int)
	// copyPanel copies rows of two vectors one behind the other.
	copyPanel func(dst, src *float32, stepSrc uintptr, rows int)
	// What follows computes whole vectors of the kernel of the same name.
	relu                     func(y, x *float32, vectors int)
	reluGradient             func(dx, dy, y *float32, vectors int)
	gate                     func(dx, dy, y *float32, vectors int, scale float32)
	clip                     func(y, x *float32, vectors int, least, most float32)
	clipGradient             func(dx, dy, x *float32, vectors int, least, most float32)
	hardSwish                func(y, x *float32, vectors int)
	hardSwishGradient        func(dx, dy, x *float32, vectors int)
	mask                     func(y, x *float32, keep *bool, vectors int, scale float32)
	reluDropout              func(y *float32, stride uintptr, rows, vectors int, bias *float32, keep *bool, scale float32)
	adam                     func(p, g, m, v *float32, vectors int, c *float32)
	sgd                      func(p, g *float32, vectors int, c *float32)
	sgdMomentum, sgdNesterov func(p, g, b *float32, vectors int, c *float32)
	rmsprop                  func(p, g, v *float32, vectors int, c *float32)
	rmspropMomentum          func(p, g, v, b *float32, vectors int, c *float32)
	rmspropCentered          func(p, g, v, m *float32, vectors int, c *float32)
	rmspropCenteredMomentum  func(p, g, v, m, b *float32, vectors int, c *float32)
	adagrad                  func(p, g, s *float32, vectors int, c *float32)
	nadam                    func(p, g, m, v *float32, vectors int, c *float32)
	lion                     func(p, g, m *float32, vectors int, c *float32)
	addScaled                func(y, x *float32, vectors int, factor float32)
	approximations
	arithmetic
	rowPasses
	channelPasses
	depthwisePasses
	poolingPasses
	// peak does 12 vectors of multiply-adds in each of the loops, for the benchmarks to compare with.
	peak func(loops int)
}

// paths are those that this processor can run, the fastest last. paths[0] is the generic one.
var (
	paths  = append([]*path{{name: "generic"}}, vectorPaths()...)
	active atomic.Pointer[path]
)

func init() {
	active.Store(paths[len(paths)-1])
	// A wrong value has no one to be reported to here; who runs kernels calls UseVariable for the error.
	_ = UseVariable()
}

// Paths returns the names of the paths that this processor can run, the slowest first; "generic" is always there. It depends
// on the build as well: with the tag noasm, and on processors other than amd64, there is no other.
func Paths() []string {
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = p.name
	}
	return names
}

// Path returns the name of the path in use: the fastest one unless Use or the environment chose another.
func Path() string { return active.Load().name }

// Use chooses the path of all kernels that are prepared or called from now on. It is meant for the start of a program and
// for tests: what was prepared before keeps its path.
func Use(name string) error {
	for _, p := range paths {
		if p.name == name {
			active.Store(p)
			return nil
		}
	}
	return fmt.Errorf("kernels %q are not available: this processor and build have %s", name, strings.Join(Paths(), ", "))
}

// UseVariable does what the environment variable TANDEM_KERNELS asks for; unset or empty, it changes nothing. The package has already
// called it at start: call it again for its error.
func UseVariable() error {
	name := os.Getenv(PathVariable)
	if name == "" {
		return nil
	}
	if err := Use(name); err != nil {
		return fmt.Errorf("environment variable %s: %w", PathVariable, err)
	}
	return nil
}
