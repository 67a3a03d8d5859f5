package kernel

import "tandem/native/philox"

// keepConstants is what the vectorised mask reads, at the offsets that _gen/philox.go has.
type keepConstants struct {
	roundKeys   [20]uint32 // both words of the key for each of the ten rounds
	counter     [4]uint32  // of the first block
	threshold   uint32     // with its sign bit flipped
	multipliers [2]uint32
	lanes       [8]uint32 // 0 ... 7
	eight       uint32
	sign        uint32
	bytes       [4]uint32 // 1 in each byte of a word
}

// The multipliers and the increments of the key of Philox4x32, as in package philox, which is the definition and the test's reference.
var philoxConstants = keepConstants{
	multipliers: [2]uint32{0xD2511F53, 0xCD9E8D57},
	lanes:       [8]uint32{0, 1, 2, 3, 4, 5, 6, 7},
	eight:       8,
	sign:        1 << 31,
	bytes:       [4]uint32{1, 1 << 8, 1 << 16, 1 << 24},
}

const philoxIncrement0, philoxIncrement1 = 0x9E3779B9, 0xBB67AE85

// Keep is s.Keep(keep, first, p): the dropout mask of the elements from first on.
func Keep(keep []bool, s philox.Stream, first int, p float64) {
	threshold := philox.Threshold(p)
	path := active.Load()
	if path.lanes == 0 || threshold >= 1<<32 {
		s.Keep(keep, first, p)
		return
	}
	// The elements up to the next block, whole groups of eight blocks, and the rest.
	head := min(-first&3, len(keep))
	s.Keep(keep[:head], first, p)
	c := philoxOf(s, threshold)
	done := head + (len(keep)-head)&^31
	for i := head; i < done; i += elementsPerCall {
		c.counter = [4]uint32{uint32((first + i) / 4), uint32(s.Step), uint32(s.Step >> 32), s.Site}
		path.keep(&keep[i], min(elementsPerCall, done-i)/32, 1, 0, &c)
	}
	s.Keep(keep[done:], first+done, p)
}

// KeepRows is Keep for a part of a matrix: rows of width elements, one behind the other in keep, of which the first begins with the element first and each
// other stride behind the one before.
func KeepRows(keep []bool, s philox.Stream, first, width, stride int, p float64) {
	threshold := philox.Threshold(p)
	path := active.Load()
	if width == 0 {
		return
	}
	if path.lanes == 0 || threshold >= 1<<32 || width%32 != 0 || first%4 != 0 || stride%4 != 0 || width > elementsPerCall {
		for ; len(keep) > 0; first += stride {
			n := min(width, len(keep))
			Keep(keep[:n], s, first, p)
			keep = keep[n:]
		}
		return
	}
	c := philoxOf(s, threshold)
	rows := len(keep) / width
	most := elementsPerCall / width
	for i := 0; i < rows; i += most {
		c.counter = [4]uint32{uint32((first + i*stride) / 4), uint32(s.Step), uint32(s.Step >> 32), s.Site}
		path.keep(&keep[i*width], width/32, min(most, rows-i), uint32(stride/4), &c)
	}
}

// philoxOf returns the constants for a stream; the counter is to be set.
func philoxOf(s philox.Stream, threshold uint64) keepConstants {
	c := philoxConstants
	for i := range 10 {
		c.roundKeys[2*i] = uint32(s.Seed) + uint32(i)*philoxIncrement0
		c.roundKeys[2*i+1] = uint32(s.Seed>>32) + uint32(i)*philoxIncrement1
	}
	c.threshold = uint32(threshold) ^ 1<<31
	return c
}
