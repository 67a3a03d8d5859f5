package report

import (
	"math"
	"strings"

	"tandem/results/record"
)

var (
	blocks      = []rune("▁▂▃▄▅▆▇█")
	asciiBlocks = []rune("_.-:=+*#")
)

// sparklines draws curves of losses on one scale, each as a line of at most width characters. A character stands for an
// equal share of the values and shows their mean; a share with a value that is not finite is drawn as "!". The scale is
// logarithmic where all means are positive, since losses fall fast first; logarithmic says whether.
func sparklines(width int, levels []rune, curves ...[]record.Float) (lines []string, logarithmic bool) {
	var all [][]float64
	logarithmic = true
	for _, values := range curves {
		means := shares(values, width)
		all = append(all, means)
		for _, m := range means {
			logarithmic = logarithmic && !(m <= 0)
		}
	}
	low, high := math.Inf(1), math.Inf(-1)
	for _, means := range all {
		for i, m := range means {
			if logarithmic {
				m = math.Log(m)
				means[i] = m
			}
			if !math.IsNaN(m) && !math.IsInf(m, 0) {
				low, high = min(low, m), max(high, m)
			}
		}
	}
	for _, means := range all {
		var b strings.Builder
		for _, m := range means {
			switch {
			case math.IsNaN(m) || math.IsInf(m, 0):
				b.WriteByte('!')
			case !(high > low):
				b.WriteRune(levels[0])
			default:
				at := int((m - low) / (high - low) * float64(len(levels)))
				b.WriteRune(levels[min(at, len(levels)-1)])
			}
		}
		lines = append(lines, b.String())
	}
	return lines, logarithmic
}

// shares are the means of at most n equal shares of values.
func shares(values []record.Float, n int) []float64 {
	n = min(n, len(values))
	means := make([]float64, n)
	for i := range means {
		part := values[i*len(values)/n : (i+1)*len(values)/n]
		for _, v := range part {
			means[i] += float64(v) / float64(len(part))
		}
	}
	return means
}
