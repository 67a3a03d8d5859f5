package fingerprint

import "math"

// sharedMask is the dropout mask that both sides draw, by the definition in package results/engine. The judge has a generator of its own, so that it does
// not take an engine's word: Philox4x32-10 (J. Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
func sharedMask(seed, step uint64, site uint32, p float64, n int) []bool {
	bound := math.Ceil((1 - p) * (1 << 32))
	keep := make([]bool, n)
	var words [4]uint32
	for i := range keep {
		if i%4 == 0 {
			words = philox([4]uint32{uint32(i / 4), uint32(step), uint32(step >> 32), site}, [2]uint32{uint32(seed), uint32(seed >> 32)})
		}
		keep[i] = float64(words[i%4]) < bound
	}
	return keep
}

// philox returns the four words of a counter under a key. The constants are the paper's.
func philox(c [4]uint32, key [2]uint32) [4]uint32 {
	for range 10 {
		low, high := 0xD2511F53*uint64(c[0]), 0xCD9E8D57*uint64(c[2])
		c = [4]uint32{uint32(high>>32) ^ c[1] ^ key[0], uint32(high), uint32(low>>32) ^ c[3] ^ key[1], uint32(low)}
		key[0] += 0x9E3779B9
		key[1] += 0xBB67AE85
	}
	return c
}
