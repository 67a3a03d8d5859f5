package kernel

// ClassLossStep holds the settings of a loss of classes; package op says what they mean.
type ClassLossStep[T Float] struct {
	// Weights has a factor for each class; nil means 1.
	Weights []T
	// Smoothing is the share of each target that all classes have in common.
	Smoothing float64
	// Ignored is the label of rows that do not count, if Ignores is set.
	Ignored int64
	Ignores bool
}

func (c *ClassLossStep[T]) weight(class int) float64 {
	if c.Weights == nil {
		return 1
	}
	return float64(c.Weights[class])
}

// ClassWeight returns the sum of the weights of the rows that count: what a mean divides by.
func ClassWeight[T Float](target []int64, c *ClassLossStep[T]) (weight float64) {
	for _, label := range target {
		if !c.Ignores || label != c.Ignored {
			weight += c.weight(int(label))
		}
	}
	return weight
}

// ClassLoss returns the sum over rows of the loss of log-probabilities (rows, columns), taken in float64. With y the row's label, w the weights, s the smoothing and C the number of columns a row's
// loss is
//
//	-(1 - s) * w[y] * logProbability[y] - s / C * sum over c of w[c] * logProbability[c]
func ClassLoss[T Float](logProbability []T, target []int64, columns int, c *ClassLossStep[T]) (loss float64) {
	for r, label := range target {
		if c.Ignores && label == c.Ignored {
			continue
		}
		row, w := logProbability[r*columns:(r+1)*columns], c.weight(int(label))
		loss -= (1 - c.Smoothing) * w * float64(row[label])
		if c.Smoothing != 0 {
			all := 0.0
			for class, p := range row {
				all += c.weight(class) * float64(p)
			}
			loss -= c.Smoothing / float64(columns) * all
		}
	}
	return loss
}

// ClassLossGradient is scale times the gradient of ClassLoss's sum with respect to the log-probabilities, for rows lo ... hi.
func ClassLossGradient[T Float](d []T, target []int64, columns, lo, hi int, scale T, c *ClassLossStep[T]) {
	for r := lo; r < hi; r++ {
		out, label := d[r*columns:(r+1)*columns], target[r]
		if c.Ignores && label == c.Ignored {
			clear(out)
			continue
		}
		for class := range out {
			out[class] = -scale * T(c.Smoothing/float64(columns)*c.weight(class))
		}
		out[label] -= scale * T((1-c.Smoothing)*c.weight(int(label)))
	}
}
