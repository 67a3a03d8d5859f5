package report

import (
	"math"
	"testing"

	"tandem/results/record"
)

func TestFormats(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	tests := []struct {
		got, want, reason string
	}{
		{seconds(0), "0 s", "no unit suits nothing better"},
		{seconds(7.12e-4), "712 µs", "below a millisecond"},
		{seconds(9.9996e-4), "1.00 ms", "rounding reaches the next unit"},
		{seconds(9.99e-4), "999 µs", "rounding does not reach it"},
		{seconds(4.3612e-3), "4.36 ms", "three digits"},
		{seconds(0.0472), "47.2 ms", "three digits"},
		{seconds(0.997), "997 ms", "three digits"},
		{seconds(2.41), "2.41 s", "seconds"},
		{seconds(48.72), "48.7 s", "seconds"},
		{seconds(1234.5), "1234 s", "no exponent"},
		{seconds(2.5e-8), "25.0 ns", "nanoseconds"},
		{seconds(nan), "NaN", "NaN has no unit"},
		{seconds(inf), "infinite", "neither has infinity"},
		{secondsRange(record.Quantile{Median: 9.99e-4, Low: 9.95e-4, High: 1.012e-3}), "999 µs [995, 1012]", "one unit for all three"},

		{mebibytes(0), "0.0 MiB", "zero is a number"},
		{mebibytes(36_175_872), "34.5 MiB", "one decimal when small"},
		{mebibytes(697_303_040), "665 MiB", "none when large"},
		{mebibytes(8 << 30), "8192 MiB", "always MiB"},
		{mebibytes(-(1 << 20)), "-1.0 MiB", "a wrong sign is shown"},

		{ratio(2.279), "2.28", "two decimals"},
		{ratio(1.0), "1.00", "two decimals"},
		{ratio(0.1634), "0.163", "a slowness keeps three digits"},
		{ratio(0.99961), "1.00", "rounding reaches 1"},
		{ratio(22), "22.00", "two decimals"},
		{times(2.279), "2.28 times", "small factors need their decimals"},
		{times(1 / 0.1634), "6.1 times", "as spoken"},
		{times(44.3), "44 times", "as spoken"},

		{relative(3.14e-7), "3.1e-07", "two digits"},
		{relative(record.Float(1)), "1.0e+00", "always an exponent"},
		{relative(0.0), "0", "exactly zero is said plainly"},
		{relative(nan), "NaN", "NaN"},
		{relative(record.Float(inf)), "infinite", "a word"},
		{rho(1.486), "1.49", "two decimals"},
		{rho(9.996), "10.0", "rounding reaches one decimal"},
		{rho(37.42), "37.4", "one decimal"},
		{rho(8.124e6), "8.12e+06", "an exponent when large"},
		{rho(record.Float(nan)), "NaN", "NaN"},
		{rho(inf), "infinite", "a word"},

		{loss(2.31469), "2.3147", "four decimals"},
		{loss(0.00001234), "1.234e-05", "an exponent when tiny"},
		{loss(record.Float(3.2e9)), "3.200e+09", "an exponent when diverged"},
		{loss(0.0), "0.0000", "zero"},
		{loss(nan), "NaN", "NaN"},

		{percent(0.823), "82.3 %", "one decimal"},
		{percent(1), "100.0 %", "all"},
		{count(0), "0", "zero"},
		{count(999), "999", "no comma"},
		{count(109386), "109,386", "one comma"},
		{count(-1234567), "-1,234,567", "sign and two commas"},
		{plural(1, "step"), "1 step", "one"},
		{plural(785, "step"), "785 steps", "many"},
		{plural(0, "step"), "0 steps", "none"},
		{number(1e-10), "1e-10", "as the experiment writes it"},
		{number(math.Inf(-1)), "-infinite", "a word"},

		{threeDigits(99.96), "100", "rounding reaches three whole digits"},
		{threeDigits(9.996), "10.0", "rounding reaches two"},
		{threeDigits(0.99951), "1.00", "rounding reaches one"},
		{threeDigits(1234567), "1.23e+06", "an exponent when large"},

		{clean("a\x1b[2Jb\n c\t"), "a [2Jb c", "no control character survives"},
		{commandLine([]string{"tandem", "run", "my file.toml", "", "it's"}), `tandem run 'my file.toml' '' 'it'\''s'`, "a shell reads it back"},
		{code("a`b|c"), "`a'b|c`", "the typewriter's face cannot be left"},
		{escape("a*b <script> [x](y) & `c`"), "a\\*b &lt;script&gt; \\[x\\](y) &amp; \\`c\\`", "no markup of a record is obeyed"},
		{shape([]int{128, 784}), "128x784", "dimensions"},
		{shape(nil), "", "a scalar"},
	}
	for _, test := range tests {
		if test.got != test.want {
			t.Errorf("got %q, want %q (%s)", test.got, test.want, test.reason)
		}
	}
}

func TestWorstFirstPutsNaNBeforeAll(t *testing.T) {
	p := &record.Parity{Steps: []record.JudgedStep{{
		Gradients: []record.TensorError{{Name: "a", Rho: 2}, {Name: "b", Rho: record.Float(math.NaN())}},
		Update:    []record.TensorError{{Name: "c", Rho: record.Float(math.Inf(1))}, {Name: "d", Rho: 3}},
	}}}
	var got string
	for _, x := range worstFirst(p) {
		got += x.Name
	}
	if got != "bcda" {
		t.Errorf("order %q, want bcda", got)
	}
	if got := largest(p.Steps[0].Gradients); got != "NaN b" {
		t.Errorf("largest is %q, want NaN b", got)
	}
}

func TestSparklines(t *testing.T) {
	nan := record.Float(math.NaN())
	tests := []struct {
		label  string
		width  int
		curves [][]record.Float
		want   []string
		log    bool
		reason string
	}{
		{"both on one scale", 8, [][]record.Float{{0, 1, 2, 3}, {3, 3, 0, 0}}, []string{"▁▃▆█", "██▁▁"}, false, "the sides can be compared"},
		{"logarithmic", 3, [][]record.Float{{100, 10, 1}}, []string{"█▅▁"}, true, "losses fall fast first"},
		{"means of shares", 2, [][]record.Float{{-1, -1, 0, 2}}, []string{"▁█"}, false, "more values than characters"},
		{"NaN", 3, [][]record.Float{{2, nan, 1}}, []string{"█!▁"}, true, "a break is seen"},
		{"constant", 3, [][]record.Float{{2, 2, 2}}, []string{"▁▁▁"}, true, "no division by zero"},
		{"empty", 3, [][]record.Float{nil}, []string{""}, true, "nothing to draw"},
	}
	for _, test := range tests {
		got, logarithmic := sparklines(test.width, blocks, test.curves...)
		for i := range test.want {
			if got[i] != test.want[i] || logarithmic != test.log {
				t.Errorf("%s: got %q, log %v; want %q, log %v (%s)", test.label, got, logarithmic, test.want, test.log, test.reason)
			}
		}
	}
}
