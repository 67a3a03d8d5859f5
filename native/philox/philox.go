// Package philox is the counter-based random number generator that draws dropout masks: the same seed, step, site
// and element give the same word on every engine, in any order and with any number of threads.
//
// It is Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011. The
// layout of key and counter is tandem's own; package results/engine documents it.
package philox

import "math"

// The multipliers and the Weyl increments of the key, from the paper's table.
const (
	m0 = 0xD2511F53
	m1 = 0xCD9E8D57
	w0 = 0x9E3779B9
	w1 = 0xBB67AE85
)

// Block returns the four words of a counter under a key: ten rounds.
func Block(counter [4]uint32, key [2]uint32) [4]uint32 {
	c0, c1, c2, c3 := counter[0], counter[1], counter[2], counter[3]
	k0, k1 := key[0], key[1]
	for range 10 {
		p0, p1 := uint64(m0)*uint64(c0), uint64(m1)*uint64(c2)
		c0, c1, c2, c3 = uint32(p1>>32)^c1^k0, uint32(p1), uint32(p0>>32)^c3^k1, uint32(p0)
		k0 += w0
		k1 += w1
	}
	return [4]uint32{c0, c1, c2, c3}
}

// Stream identifies one dropout site at one step.
type Stream struct {
	Seed uint64
	Step uint64
	Site uint32
}

// Words returns the words of elements 4*block to 4*block+3.
func (s Stream) Words(block uint32) [4]uint32 {
	return Block([4]uint32{block, uint32(s.Step), uint32(s.Step >> 32), s.Site}, [2]uint32{uint32(s.Seed), uint32(s.Seed >> 32)})
}

// Threshold returns the bound below which a word keeps its element, for a dropout probability p in [0, 1]:
// ceil((1-p) * 2^32), which may be 2^32 and so is a uint64.
func Threshold(p float64) uint64 {
	return uint64(math.Ceil((1 - p) * (1 << 32)))
}

// Keep fills keep[i-first] for the elements i = first ... first+len(keep)-1 of a mask.
func (s Stream) Keep(keep []bool, first int, p float64) {
	t := Threshold(p)
	for i := 0; i < len(keep); {
		e := first + i
		words := s.Words(uint32(e / 4))
		for lane := e % 4; lane < 4 && i < len(keep); lane++ {
			keep[i] = uint64(words[lane]) < t
			i++
		}
	}
}
