package judge

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/record"
)

// trainings have the given differences of the last tenth's loss, and of the accuracy where there are any.
func trainings(losses, accuracies []float64) []record.Training {
	out := make([]record.Training, len(losses))
	for i, d := range losses {
		out[i].Seed = uint64(i)
		out[i].Reference.LastTenth, out[i].Candidate.LastTenth = 0.5, engine.Float(0.5+d)
		if accuracies != nil {
			a, b := engine.Float(0.8), engine.Float(0.8+accuracies[i])
			out[i].Reference.Accuracy, out[i].Candidate.Accuracy = &a, &b
		}
	}
	return out
}

// The reference's loss fell by 1 and its accuracy rose by 0.7, so that the margins are 0.01 and 0.007.
var learned = &record.Curve{FirstTenth: 1.5, LastTenth: 0.5}

func TestRuns(t *testing.T) {
	nan := math.NaN()
	for _, c := range []struct {
		name       string
		losses     []float64
		accuracies []float64
		want       record.Verdict
		reason     string
	}{
		{"the same bits", []float64{0, 0, 0, 0}, []float64{0, 0, 0, 0}, record.Pass, "within the margin of 0.01 on both sides"},
		// Mean 0.001, deviation 0.00365, t(0.95, 5) = 2.015: 0.001 +- 0.0030.
		{"small differences", []float64{0.004, -0.003, 0.002, 0.005, -0.004, 0.002}, nil, record.Pass, "by 0.001 on average (90 % interval -0.002 to 0.004, standard deviation 0.0037)"},
		{"too few", []float64{0, 0, 0}, nil, record.Inconclusive, "3 trainings are too few"},
		{"one", []float64{0}, nil, record.Inconclusive, "1 trainings are too few"},
		{"none", nil, nil, record.Inconclusive, "0 trainings are too few"},
		{"too wide", []float64{0.03, -0.03, 0.02, -0.02}, nil, record.Inconclusive, "trainings would decide (--runs"},
		{"close to the margin, surely", []float64{0.0121, 0.0119, 0.0122, 0.0118}, nil, record.Fail, "beyond the margin of 0.01 with 99 % confidence"},
		{"worse", []float64{0.2, 0.21, 0.19, 0.22}, nil, record.Fail, "beyond the margin"},
		{"better, which is another training too", []float64{-0.2, -0.21, -0.19, -0.22}, nil, record.Fail, "beyond the margin"},
		{"probably worse", []float64{0.001, 0.03, 0.001, 0.05}, nil, record.Inconclusive, "neither fits"},
		{"losses alike, accuracy not", []float64{0, 0, 0, 0}, []float64{-0.05, -0.051, -0.049, -0.05}, record.Fail, "accuracy on the test rows"},
		{"not a number", []float64{0, nan, 0, 0}, nil, record.Inconclusive, "NaN"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Runs(trainings(c.losses, c.accuracies), learned, 0.1, experiment.DefaultThresholds)
			if r.Verdict != c.want || !strings.Contains(strings.Join(r.Reasons, "\n"), c.reason) {
				t.Errorf("%s, want %s and %q\n%s", r.Verdict, c.want, c.reason, strings.Join(r.Reasons, "\n"))
			}
			if (r.Accuracy != nil) != (c.accuracies != nil) || len(r.Trainings) != len(c.losses) {
				t.Errorf("%+v", r)
			}
		})
	}
	if r := Runs(trainings([]float64{0, 0, 0, 0}, nil), &record.Curve{FirstTenth: 1, LastTenth: 1}, 0, experiment.DefaultThresholds); r.Verdict != record.Inconclusive {
		t.Errorf("two trainings that learn nothing: %s", r.Verdict)
	}
}

// TestRunsLevel draws differences from normal distributions: one that lies on the margin passes in at most 5 % of the cases, one of no
// difference never fails, and with trainings enough it passes nearly always.
func TestRunsLevel(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const draws = 1000
	count := func(n int, mean, deviation float64, v record.Verdict) float64 {
		hits := 0
		for range draws {
			d := make([]float64, n)
			for i := range d {
				d[i] = mean + deviation*random.NormFloat64()
			}
			if equivalence(d, 0.01).Verdict == v {
				hits++
			}
		}
		return float64(hits) / draws
	}
	for _, n := range []int{4, 6, 12} {
		// Three standard errors of a share of 5 % in 1000 draws are 2 %.
		if p := count(n, 0.01, 0.004, record.Pass); p > 0.07 {
			t.Errorf("%d trainings on the margin pass in %.1f %% of the cases, 5 %% may", n, 100*p)
		}
		if p := count(n, 0, 0.02, record.Fail); p > 0.002 {
			t.Errorf("%d trainings without a difference fail in %.2f %% of the cases", n, 100*p)
		}
	}
	if p := count(12, 0, 0.005, record.Pass); p < 0.99 {
		t.Errorf("twelve trainings without a difference pass in %.1f %% of the cases only", 100*p)
	}
	if p := count(6, 0.03, 0.005, record.Fail); p < 0.95 {
		t.Errorf("six trainings with three margins' difference fail in %.1f %% of the cases only", 100*p)
	}
}

// TestStudent compares with the tables.
func TestStudent(t *testing.T) {
	for _, c := range []struct {
		confidence float64
		n          int
		want       float64
	}{{0.90, 4, 2.353}, {0.90, 6, 2.015}, {0.99, 6, 4.032}, {0.90, 31, 1.697}} {
		if got := student(c.confidence, c.n); math.Abs(got-c.want) > 0.001 {
			t.Errorf("%g of %d values: %.4f, the tables say %.3f", c.confidence, c.n, got, c.want)
		}
	}
}
