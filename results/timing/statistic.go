package timing

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"tandem/results/record"
)

const confidence = 0.95

// errNoValues: nothing was measured, which is no measurement of nothing.
var errNoValues = errors.New("no values")

// Summarize returns the median of positive values with its confidence interval: at least 95 % from order statistics
// for six values and more, else the range of the values with its confidence. Confidence is the actual one.
func Summarize(values []float64) (record.Quantile, error) {
	n := len(values)
	if n == 0 {
		return record.Quantile{}, errNoValues
	}
	for i, v := range values {
		if !(v > 0) || math.IsInf(v, 1) {
			return record.Quantile{}, fmt.Errorf("value %d of %d is %v; a time or a ratio of times is positive and finite", i+1, n, v)
		}
	}
	// NewSample sorts what it is given.
	sample := benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds)
	s := benchmath.AssumeNothing.Summary(sample, confidence)
	q := record.Quantile{Median: s.Center, Low: s.Lo, High: s.Hi, N: n, Confidence: s.Confidence}
	if math.IsInf(q.Low, 0) || math.IsInf(q.High, 0) || n == 1 {
		// The true median lies outside the range when all values fall on one side of it: 2 * 2^-n.
		q.Low, q.High = sample.Values[0], sample.Values[n-1]
		q.Confidence = 1 - math.Pow(2, float64(1-n))
	}
	return q, nil
}

// Ratios divides pair by pair: how many times as fast the second is.
func Ratios(first, second []float64) (record.Speedup, error) {
	if len(first) != len(second) {
		return record.Speedup{}, fmt.Errorf("%d blocks of one contender and %d of the other are no pairs", len(first), len(second))
	}
	ratios := make([]float64, len(first))
	for i := range first {
		ratios[i] = first[i] / second[i]
	}
	q, err := Summarize(ratios)
	if err != nil {
		return record.Speedup{}, err
	}
	return record.Speedup{Median: q.Median, Low: q.Low, High: q.High, N: q.N, Ratios: ratios}, nil
}

// deviation is the largest distance of a ratio and its interval from 1, as a factor of 1 or more: 1.05 for 0.96 and
// for 1.05 alike. It is NaN for a ratio that was not measured.
func deviation(s record.Speedup) float64 {
	if s.N == 0 {
		return math.NaN()
	}
	d := 0.0
	for _, v := range []float64{s.Median, s.Low, s.High} {
		d = math.Max(d, math.Abs(math.Log(v))) // NaN stays NaN
	}
	return math.Exp(d)
}

// median of a block's steps.
func median(values []float64) float64 {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	if n == 0 {
		return math.NaN()
	}
	return (s[(n-1)/2] + s[n/2]) / 2
}

// best is the one of some indices whose median is the lowest, the first of several.
func best(timings []record.EngineTiming, among []int) int {
	b := among[0]
	for _, i := range among {
		if timings[i].StepSeconds.Median < timings[b].StepSeconds.Median {
			b = i
		}
	}
	return b
}
