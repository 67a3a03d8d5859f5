package philox

import (
	"math"
	"testing"
)

// The known answers of Random123 (kat_vectors, philox4x32 with 10 rounds).
func TestKnownAnswers(t *testing.T) {
	tests := []struct {
		name    string
		counter [4]uint32
		key     [2]uint32
		want    [4]uint32
	}{
		{"zeros", [4]uint32{}, [2]uint32{}, [4]uint32{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
		{"ones", [4]uint32{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, [2]uint32{0xffffffff, 0xffffffff}, [4]uint32{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
		{"pi", [4]uint32{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, [2]uint32{0xa4093822, 0x299f31d0}, [4]uint32{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
	}
	for _, tt := range tests {
		if got := Block(tt.counter, tt.key); got != tt.want {
			t.Errorf("%s: Block = %x, want %x", tt.name, got, tt.want)
		}
	}
}

func TestKeepDoesNotDependOnWhereItStarts(t *testing.T) {
	s := Stream{Seed: 1<<40 + 7, Step: 3, Site: 2}
	whole := make([]bool, 1003)
	s.Keep(whole, 0, 0.2)
	for first := range 9 {
		part := make([]bool, 100)
		s.Keep(part, first, 0.2)
		for i := range part {
			if part[i] != whole[first+i] {
				t.Fatalf("from %d: element %d differs from the whole mask's", first, first+i)
			}
		}
	}
}

func TestKeepRate(t *testing.T) {
	keep := make([]bool, 1<<20)
	for _, p := range []float64{0, 0.1, 0.2, 0.5, 1} {
		Stream{Seed: 5, Step: 1}.Keep(keep, 0, p)
		n := 0
		for _, k := range keep {
			if k {
				n++
			}
		}
		// Five standard deviations of a binomial of a million draws; exact at the ends.
		if got, limit := float64(n)/float64(len(keep)), 5*math.Sqrt(p*(1-p)/float64(len(keep))); !(math.Abs(got-(1-p)) <= limit) {
			t.Errorf("p = %g: %g of the elements are kept, want %g within %g", p, got, 1-p, limit)
		}
	}
}

func TestStreamsDiffer(t *testing.T) {
	base := Stream{Seed: 1, Step: 1, Site: 1}
	for _, s := range []Stream{{2, 1, 1}, {1 + 1<<32, 1, 1}, {1, 2, 1}, {1, 1 + 1<<32, 1}, {1, 1, 2}} {
		if s.Words(0) == base.Words(0) {
			t.Errorf("%+v draws the words of %+v", s, base)
		}
	}
}
