package timing

import (
	"math"
	"slices"
	"testing"

	"tandem/results/record"
)

func TestSummarize(t *testing.T) {
	sequence := func(n int) []float64 {
		var v []float64
		for i := range n {
			v = append(v, float64(n-i)) // descending: the order must not matter
		}
		return v
	}
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		reason string
		values []float64
		want   record.Quantile
		bad    bool
	}{
		{"nothing measured is an error, not zero", nil, record.Quantile{}, true},
		{"NaN", []float64{1, nan, 2}, record.Quantile{}, true},
		{"infinite", []float64{1, inf}, record.Quantile{}, true},
		{"zero is no time", []float64{1, 0}, record.Quantile{}, true},
		{"negative", []float64{1, -1}, record.Quantile{}, true},
		{"one value says nothing about its spread", []float64{3}, record.Quantile{Median: 3, Low: 3, High: 3, N: 1, Confidence: 0}, false},
		{"two", []float64{4, 2}, record.Quantile{Median: 3, Low: 2, High: 4, N: 2, Confidence: 0.5}, false},
		{"five: the whole range reaches 1 - 2/2^5 only", sequence(5), record.Quantile{Median: 3, Low: 1, High: 5, N: 5, Confidence: 0.9375}, false},
		// The interval of the median between order statistics k and n+1-k covers 1 - 2 P(Binomial(n, 1/2) < k).
		{"six: the whole range, 1 - 2/2^6", sequence(6), record.Quantile{Median: 3.5, Low: 1, High: 6, N: 6, Confidence: 0.96875}, false},
		{"ten: 2nd to 9th, 1 - 2(1+10)/2^10", sequence(10), record.Quantile{Median: 5.5, Low: 2, High: 9, N: 10, Confidence: 1 - 22.0/1024}, false},
		{"ties", []float64{2, 2, 2, 2, 2, 2, 2}, record.Quantile{Median: 2, Low: 2, High: 2, N: 7, Confidence: 1 - 2.0/128}, false},
	}
	for _, test := range tests {
		before := slices.Clone(test.values)
		got, err := Summarize(test.values)
		if (err != nil) != test.bad {
			t.Errorf("%s: error %v", test.reason, err)
		}
		if !near(got.Median, test.want.Median) || got.Low != test.want.Low || got.High != test.want.High || got.N != test.want.N || !near(got.Confidence, test.want.Confidence) {
			t.Errorf("%s: got %+v, want %+v", test.reason, got, test.want)
		}
		if !slices.EqualFunc(before, test.values, func(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }) {
			t.Errorf("%s: the values were changed", test.reason)
		}
	}
}

// near allows for rounding in sums of binomial coefficients and in interpolation.
func near(a, b float64) bool { return math.Abs(a-b) <= 1e-12 }

func TestRatios(t *testing.T) {
	got, err := Ratios([]float64{2, 6, 4}, []float64{1, 2, 4})
	if err != nil || !slices.Equal(got.Ratios, []float64{2, 3, 1}) || got.Median != 2 || got.Low != 1 || got.High != 3 || got.N != 3 {
		t.Errorf("got %+v, %v: pairs are divided in their order", got, err)
	}
	for _, bad := range []struct {
		reason string
		a, b   []float64
	}{
		{"unequal numbers", []float64{1, 2}, []float64{1}},
		{"no pair", nil, nil},
		{"division by zero", []float64{1}, []float64{0}},
		{"zero by zero", []float64{0}, []float64{0}},
		{"NaN", []float64{1, 1}, []float64{1, math.NaN()}},
	} {
		if got, err := Ratios(bad.a, bad.b); err == nil {
			t.Errorf("%s gives %+v and no error", bad.reason, got)
		}
	}
}

func TestDeviation(t *testing.T) {
	tests := []struct {
		s    record.Speedup
		want float64
	}{
		{record.Speedup{Median: 1, Low: 1, High: 1, N: 10}, 1},
		{record.Speedup{Median: 1, Low: 0.8, High: 1.1, N: 10}, 1.25}, // 1/0.8 is farther than 1.1
		{record.Speedup{Median: 1.3, Low: 1.2, High: 1.5, N: 10}, 1.5},
		{record.Speedup{}, math.NaN()},
		{record.Speedup{Median: math.NaN(), Low: 1, High: 1, N: 10}, math.NaN()},
	}
	for _, test := range tests {
		got := deviation(test.s)
		if math.IsNaN(test.want) != math.IsNaN(got) || !math.IsNaN(got) && !near(got, test.want) {
			t.Errorf("%+v: got %v, want %v", test.s, got, test.want)
		}
	}
}

func TestMedian(t *testing.T) {
	v := []float64{9, 1, 5}
	if got := median(v); got != 5 || v[0] != 9 {
		t.Errorf("median of %v is %v", v, got)
	}
	if got := median([]float64{4, 1, 2, 100}); got != 3 {
		t.Errorf("median of four is %v, want 3", got)
	}
	if !math.IsNaN(median(nil)) {
		t.Error("the median of nothing is a number")
	}
}

func TestBest(t *testing.T) {
	m := func(values ...float64) (out []record.EngineTiming) {
		for _, v := range values {
			out = append(out, record.EngineTiming{StepSeconds: record.Quantile{Median: v}})
		}
		return out
	}
	for _, test := range []struct {
		modes []record.EngineTiming
		among []int
		want  int
	}{{m(3), []int{0}, 0}, {m(3, 1, 2), []int{0, 1, 2}, 1}, {m(2, 1, 1), []int{0, 1, 2}, 1}, {m(3, 1, 2), []int{2, 0}, 2}} {
		if got := best(test.modes, test.among); got != test.want {
			t.Errorf("%v: best is %d, want %d", test.modes, got, test.want)
		}
	}
}

func TestBlockSteps(t *testing.T) {
	for seconds, want := range map[float64]int{0.0001: 500, 0: 500, 0.001: 250, 0.025: 10, 1: 5} {
		if got := blockSteps(seconds); got != want {
			t.Errorf("%v s a step: %d steps a block, want %d", seconds, got, want)
		}
	}
	if got := blockSteps(math.NaN()); got != 500 {
		t.Errorf("NaN: %d", got)
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{6.1: "6.10", 1: "1.00", 1.0042: "1.0042", 0.9981: "0.9981", 23.44: "23.4", 150.7: "151", 0.5: "0.50"} {
		if got := number(x); got != want {
			t.Errorf("%v is shown as %s, want %s", x, got, want)
		}
	}
}
