package report

import (
	"fmt"
	"testing"
)

// TestLegendLines breaks a legend that is too wide: every entry stands in one line of the chart's width, in order.
func TestLegendLines(t *testing.T) {
	style := textStyle(11, ink)
	for _, test := range []struct{ entries, lines int }{{0, 0}, {1, 1}, {4, 1}, {5, 2}, {8, 2}, {9, 3}} {
		c := newChart("", "", "")
		for i := range test.entries {
			c.legend = append(c.legend, legendEntry{name: fmt.Sprintf("native, layers %d, seq 64", i)})
		}
		lines := c.legendLines(style, chartWidth-28)
		at := 0
		for _, line := range lines {
			if line.width > chartWidth-28 {
				t.Errorf("%d entries: a line is %g wide", test.entries, float64(line.width))
			}
			for _, e := range line.entries {
				if e.name != c.legend[at].name {
					t.Errorf("%d entries: %q is number %d", test.entries, e.name, at)
				}
				at++
			}
		}
		if at != test.entries || len(lines) != test.lines {
			t.Errorf("%d entries: %d of them in %d lines, want %d", test.entries, at, len(lines), test.lines)
		}
	}
	c := newChart("", "", "")
	c.legend = []legendEntry{{name: "wider than the chart"}, {name: "short"}}
	if lines := c.legendLines(style, 20); len(lines) != 2 {
		t.Errorf("%d lines, want one for each entry", len(lines))
	}
}
