package roofline

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func TestGolden(t *testing.T) {
	text, err := os.ReadFile("testdata/bench.txt")
	if err != nil {
		t.Fatal(err)
	}
	run, err := Read(bytes.NewReader(text), "bench.txt")
	if err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := run.Markdown(&got); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("testdata/bench.md", got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/bench.md")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	for _, line := range []string{
		"| Gemm forward1 32x128x784 NT | avx2 | 1 | 100 | 80 % | 80.0 | 1.25 |",           // of the peak at its moment, which was the highest
		"| Step batch 32 | 1 | 312 | 100 | 56.0 | 156 | 50 % | 100 | 32 % | 160 | 51 % |", // 12.5e6 / 125e9 + 2.8e6 / 50e9; with 120e9
		"| Add | avx2 | 1 | 48.0 KiB | 60.0 | 50 % |",
		"| AddMemory | avx2 | 1 | 96.0 MiB | 10.0 | 20 % |", // beyond the largest set that was measured
	} {
		if !strings.Contains(got.String(), line) {
			t.Errorf("%q is missing", line)
		}
	}
}

func TestRefuses(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "no benchmark"},
		{"PASS\nok\n", "no benchmark"},
		{"BenchmarkGemm 1 1 ns/op 5 GF/s\n", "Peak and Bandwidth are missing"},
		{"BenchmarkPeak/path=a 1 5 GF/s\n", "Peak and Bandwidth are missing"},
		{"BenchmarkBandwidth/set=many 1 5 GB/s\n", `set "many"`},
		{"BenchmarkPeak/path=a 1 NaN GF/s\n", "NaN"},
		{"BenchmarkPeak/path=a 1 x GF/s\n", "parsing"},
	} {
		run, err := Read(strings.NewReader(test.text), "x.txt")
		if err == nil {
			err = run.Markdown(&bytes.Buffer{})
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.text, err, test.want)
		}
	}
}
