package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

// markdown writes a report to a new folder and returns its files by name.
func markdown(t *testing.T, r *record.Run) map[string][]byte {
	t.Helper()
	dir := t.TempDir()
	if err := report.Markdown(dir, r); err != nil {
		t.Fatal(err)
	}
	return readFiles(t, dir)
}

func readFiles(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, e := range entries {
		if files[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func names(files map[string][]byte) string {
	var out []string
	for name := range files {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestMarkdownGolden(t *testing.T) {
	tests := []struct {
		name  string
		build func() *record.Run
		files string
	}{
		{"faster", recordtest.Faster, "difference.svg loss.svg report.md step-time.svg"},
		{"profiled", recordtest.Profiled, "difference.svg loss.svg report.md step-time.svg"},
		{"slower", recordtest.Slower, "difference.svg loss.svg report.md step-time.svg"},
		{"failed", recordtest.Failed, "difference.svg loss.svg report.md"},
		{"undecided", recordtest.Undecided, "difference.svg loss.svg report.md"},
		{"checked", recordtest.Checked, "difference.svg loss.svg report.md"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			first, second := markdown(t, test.build()), markdown(t, test.build())
			golden(t, test.name+".md", first["report.md"])
			if got := names(first); got != test.files {
				t.Errorf("files %s, want %s", got, test.files)
			}
			for name := range first {
				if !bytes.Equal(first[name], second[name]) {
					t.Errorf("%s differs between two reports of one record", name)
				}
			}
			links := regexp.MustCompile(`\]\(([^)]+)\)`).FindAllSubmatch(first["report.md"], -1)
			if len(links) != len(first)-1 {
				t.Errorf("%d links for %d charts", len(links), len(first)-1)
			}
			for _, link := range links {
				if first[string(link[1])] == nil {
					t.Errorf("report.md shows %s, which was not written", link[1])
				}
			}
			for _, line := range strings.Split(string(first["report.md"]), "\n") {
				if strings.HasPrefix(line, "|") && !strings.HasSuffix(line, " |") {
					t.Errorf("a row of a table is cut: %q", line)
				}
			}
		})
	}
}

// TestChartsContents checks what must be seen in the pictures; the bytes are gonum's business.
func TestChartsContents(t *testing.T) {
	files := markdown(t, recordtest.Slower())
	tests := []struct {
		file  string
		words []string
	}{
		{"loss.svg", []string{"pytorch", "native", "envelope", "horizon, step 458", "step", "loss of the step"}},
		{"difference.svg", []string{"native against pytorch", "envelope", "4 times the envelope", "relative difference (log scale)", "1e-07", "horizon, step 458"}},
		{"step-time.svg", []string{"pytorch fused, 1 thread", "pytorch eager, 1 thread", "native, 1 thread", "median step time of a block, ms", "4.39 ms ["}},
	}
	for _, test := range tests {
		svg := files[test.file]
		texts := wellFormed(t, test.file, svg)
		for _, w := range test.words {
			if !strings.Contains(texts, w) {
				t.Errorf("%s does not say %q", test.file, w)
			}
		}
		if !bytes.Contains(svg, []byte(`style="fill:#FFFFFF"`)) {
			t.Errorf("%s has no white background: a dark page would hide it", test.file)
		}
		if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
			t.Errorf("%s has a coordinate that is no number", test.file)
		}
		// Another font than the one measured with would run over its neighbours.
		if all, fixed := bytes.Count(svg, []byte("<text ")), bytes.Count(svg, []byte("<text textLength=")); all == 0 || fixed != all {
			t.Errorf("%s has %d texts, of which %d have their width fixed", test.file, all, fixed)
		}
		if families := regexp.MustCompile("font-family:([^;\"]*)").FindAllSubmatch(svg, -1); len(families) == 0 {
			t.Errorf("%s names no font", test.file)
		} else {
			for _, f := range families {
				if !bytes.HasSuffix(f[1], []byte(",sans-serif")) {
					t.Errorf("%s: the font %s has no fallback", test.file, f[1])
				}
			}
		}
	}
	// 785 steps of two curves, each drawn whole.
	if n := strings.Count(string(files["loss.svg"]), "L"); n < 2*784 {
		t.Errorf("loss.svg has %d line segments, want one a step of both curves", n)
	}
}

// wellFormed parses an SVG file and returns its texts.
func wellFormed(t *testing.T, name string, svg []byte) string {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	var texts strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return texts.String()
		}
		if err != nil {
			t.Fatalf("%s is not well-formed: %v", name, err)
		}
		if chars, ok := token.(xml.CharData); ok {
			texts.Write(chars)
			texts.WriteByte('\n')
		}
	}
}

func TestMarkdownShowsNoSpeedWithoutPass(t *testing.T) {
	for _, verdict := range []record.Verdict{record.Fail, record.Inconclusive, "", "pass"} {
		r := recordtest.Slower()
		r.Parity.Verdict = verdict
		files := markdown(t, r)
		if files["step-time.svg"] != nil {
			t.Errorf("verdict %q: the step times are drawn", verdict)
		}
		for _, sign := range []string{"times slower", "times faster", "Speed-up", " ms |", " µs |", "step-time.svg"} {
			if bytes.Contains(files["report.md"], []byte(sign)) {
				t.Errorf("verdict %q: the report shows %q", verdict, sign)
			}
		}
		if !bytes.Contains(files["report.md"], []byte("Not claimed: ")) {
			t.Errorf("verdict %q: the report does not say that nothing is claimed", verdict)
		}
	}
}

func TestMarkdownReplacesAnEarlierReport(t *testing.T) {
	dir := t.TempDir()
	if err := report.Markdown(dir, recordtest.Faster()); err != nil {
		t.Fatal(err)
	}
	if err := report.Markdown(dir, recordtest.Failed()); err != nil {
		t.Fatal(err)
	}
	files := readFiles(t, dir)
	if got := names(files); got != "difference.svg loss.svg report.md" {
		t.Errorf("files %s: the earlier report's step times or temporary files are left", got)
	}
	if !bytes.HasPrefix(files["report.md"], []byte("# mnist-mlp: FAIL\n")) {
		t.Error("the report is the earlier one")
	}
	if err := report.Markdown(filepath.Join(dir, "absent"), recordtest.Faster()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder gives %v", err)
	}
}

func TestMarkdownSurvivesStrangeRecords(t *testing.T) {
	nan, inf := record.Float(math.NaN()), record.Float(math.Inf(1))
	tests := []struct {
		label  string
		change func(r *record.Run)
		files  string
		words  string
	}{
		{"empty", func(r *record.Run) { *r = record.Run{} }, "report.md", "Not measured."},
		{"diverged", func(r *record.Run) {
			for i := 100; i < len(r.Loss.Candidate); i++ {
				r.Loss.Candidate[i] = nan
			}
			r.Loss.Envelope[700] = inf
		}, "difference.svg loss.svg report.md", "The loss of native is NaN at step 100."},
		{"all NaN", func(r *record.Run) {
			for i := range r.Loss.Candidate {
				r.Loss.Candidate[i], r.Loss.Reference[i] = nan, inf
			}
		}, "report.md", "The loss of pytorch is infinite at step 0."},
		{"one step", func(r *record.Run) {
			r.Loss = record.Losses{Reference: []record.Float{2}, Candidate: []record.Float{2}, Envelope: []record.Float{0}}
			r.Parity.Curve = nil
		}, "difference.svg loss.svg report.md", "2.0000"},
		{"huge", func(r *record.Run) { r.Loss.Candidate[784] = 1e300 }, "difference.svg loss.svg report.md", "1.000e+300"},
		{"negative losses", func(r *record.Run) {
			for i := range r.Loss.Candidate {
				r.Loss.Candidate[i], r.Loss.Reference[i] = -r.Loss.Candidate[i], -r.Loss.Reference[i]
			}
		}, "difference.svg loss.svg report.md", "-2.3147"},
		{"markup", func(r *record.Run) { r.Engines[1].Name = "<script>|x\n# y" }, "difference.svg loss.svg report.md", `&lt;script&gt;\|x # y`},
		{"shorter candidate", func(r *record.Run) { r.Loss.Candidate = r.Loss.Candidate[:5] }, "difference.svg loss.svg report.md", "| native | 5 |"},
		{"long", func(r *record.Run) {
			for range 5 {
				r.Loss.Reference = append(r.Loss.Reference, r.Loss.Reference...)
				r.Loss.Candidate = append(r.Loss.Candidate, r.Loss.Candidate...)
			}
		}, "difference.svg loss.svg report.md", "25,120"},
	}
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			r := recordtest.Failed()
			test.change(r)
			files := markdown(t, r)
			if got := names(files); got != test.files {
				t.Errorf("files %s, want %s", got, test.files)
			}
			if !strings.Contains(string(files["report.md"]), test.words) {
				t.Errorf("the report does not say %q", test.words)
			}
			for name, data := range files {
				if strings.HasSuffix(name, ".svg") {
					wellFormed(t, name, data)
					if regexp.MustCompile(` d="[^"]*(NaN|Inf)`).Match(data) {
						t.Errorf("%s has a coordinate that is no number", name)
					}
					if len(data) > 1<<20 {
						t.Errorf("%s has %d bytes", name, len(data))
					}
				}
			}
			if terminal(t, r, report.Options{Verbose: true}) == "" {
				t.Error("nothing for the terminal")
			}
		})
	}
}
