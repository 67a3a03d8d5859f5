package roofline

import (
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"
)

// Result is one benchmark's line.
type Result struct {
	Name   string            // "Gemm"
	Keys   map[string]string // of the name: "threads" to "2"; a part without a key has the key ""
	Values map[string]float64
}

// Run is the output of one run of benchmarks.
type Run struct {
	CPU     string
	Results []Result
}

// Read reads benchmarks in Go's format, as benchstat does. Other lines are passed over.
func Read(r io.Reader, file string) (*Run, error) {
	out := &Run{}
	reader := benchfmt.NewReader(r, file)
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.SyntaxError:
			return nil, rec
		case *benchfmt.Result:
			if cpu := rec.GetConfig("cpu"); cpu != "" {
				out.CPU = cpu
			}
			base, parts := rec.Name.Parts()
			one := Result{Name: string(base), Keys: map[string]string{}, Values: map[string]float64{}}
			for _, p := range parts {
				if p[0] == '-' {
					continue // GOMAXPROCS
				}
				key, value, found := strings.Cut(strings.TrimPrefix(string(p), "/"), "=")
				if !found {
					key, value = "", key
				}
				one.Keys[key] = value
			}
			for _, v := range rec.Values {
				unit, x := v.Unit, v.Value
				if v.OrigUnit != "" {
					unit, x = v.OrigUnit, v.OrigValue
				}
				if math.IsNaN(x) || math.IsInf(x, 0) || x < 0 {
					return nil, fmt.Errorf("%s: %s has %v %s", file, rec.Name, x, unit)
				}
				one.Values[unit] = x
			}
			out.Results = append(out.Results, one)
		}
	}
	if err := reader.Err(); err != nil {
		return nil, err
	}
	if len(out.Results) == 0 {
		return nil, fmt.Errorf("%s: there is no benchmark in it", file)
	}
	return out, nil
}

// The names of the benchmarks that are limits, and of the other program's products.
const (
	peakName      = "Peak"
	tileName      = "Tile"
	bandwidthName = "Bandwidth"
	torchName     = "TorchGemm"
)

func (r *Result) threads() int {
	n, err := strconv.Atoi(r.Keys["threads"])
	if err != nil {
		return 1
	}
	return n
}

// setting is a path and a number of threads.
type setting struct {
	path    string
	threads int
}

// limits are what the machine can do.
type limits struct {
	peaks map[setting]float64 // GF/s
	// tiles are the GF/s of multiply-adds with the loads of a product, all from the first-level cache.
	tiles map[setting]float64
	best  string // the path with the highest peak
	// bandwidths are GB/s by threads, by size of the set.
	bandwidths map[int]map[float64]float64
}

// limits finds the limits among the results.
func (run *Run) limits() (*limits, error) {
	l := &limits{peaks: map[setting]float64{}, tiles: map[setting]float64{}, bandwidths: map[int]map[float64]float64{}}
	for _, r := range run.Results {
		switch r.Name {
		case peakName:
			s := setting{r.Keys["path"], r.threads()}
			l.peaks[s] = max(l.peaks[s], r.Values["GF/s"])
		case tileName:
			s := setting{r.Keys["path"], r.threads()}
			l.tiles[s] = max(l.tiles[s], r.Values["GF/s"])
		case bandwidthName:
			set, err := strconv.ParseFloat(r.Keys["set"], 64)
			if err != nil {
				return nil, fmt.Errorf("the benchmark %s has the set %q, which is no number of bytes", r.Name, r.Keys["set"])
			}
			if l.bandwidths[r.threads()] == nil {
				l.bandwidths[r.threads()] = map[float64]float64{}
			}
			l.bandwidths[r.threads()][set] = max(l.bandwidths[r.threads()][set], r.Values["GB/s"])
		}
	}
	// Each product was measured beside the peak at its moment. The highest of all moments is the limit: a peak that another program lowered
	// would flatter.
	for _, r := range run.Results {
		if share, rate := r.Values["%peak"], r.Values["GF/s"]; share > 0 {
			s := setting{r.Keys["path"], r.threads()}
			l.peaks[s] = max(l.peaks[s], 100*rate/share)
		}
	}
	highest := 0.0
	for s, x := range l.peaks {
		if x > highest || x == highest && s.path > l.best {
			highest, l.best = x, s.path
		}
	}
	if highest == 0 || len(l.bandwidths) == 0 {
		return nil, errors.New("the benchmarks Peak and Bandwidth are missing: without limits there is no share of them; run make bench")
	}
	return l, nil
}

// peak is the limit of multiply-adds; 0 when it was not measured.
func (l *limits) peak(path string, threads int) float64 {
	if path == "" {
		path = l.best
	}
	return l.peaks[setting{path, threads}]
}

// tile is the rate of a tile alone; 0 when it was not measured.
func (l *limits) tile(path string, threads int) float64 {
	if path == "" {
		path = l.best
	}
	return l.tiles[setting{path, threads}]
}

// bandwidth is the limit at the smallest measured set that holds so many bytes, or at the largest; 0 when none was measured.
func (l *limits) bandwidth(bytes float64, threads int) float64 {
	sets := l.sets(threads)
	for _, s := range sets {
		if s >= bytes {
			return l.bandwidths[threads][s]
		}
	}
	if len(sets) == 0 {
		return 0
	}
	return l.bandwidths[threads][sets[len(sets)-1]]
}

func (l *limits) sets(threads int) []float64 {
	var out []float64
	for s := range l.bandwidths[threads] {
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}
