package export

import (
	"fmt"
	"html"
	"io"
	"strconv"

	"tandem/results/record"
)

// Badge writes an SVG of one line, as READMEs show them: "tandem" and the verdict, and, only where a PASS stands and a speed-up is claimed,
// how many times faster or slower the candidate is.
func Badge(w io.Writer, r *record.Run) error {
	left, right := "tandem", badgeText(r)
	color := map[record.Verdict]string{record.Pass: "#1a7f45", record.Fail: "#bf2a26"}[r.Parity.Verdict]
	if color == "" {
		color = "#7d5a0b"
	}
	a, b := textWidth(left)+14, textWidth(right)+14
	_, err := fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" width="%[1]d" height="20" role="img" aria-label="%[5]s: %[6]s">
<title>%[5]s: %[6]s</title>
<clipPath id="r"><rect width="%[1]d" height="20" rx="3"/></clipPath>
<g clip-path="url(#r)"><rect width="%[2]d" height="20" fill="#3f4247"/><rect x="%[2]d" width="%[3]d" height="20" fill="%[4]s"/></g>
<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11"><text x="7" y="14" textLength="%[7]d">%[5]s</text><text x="%[9]d" y="14" textLength="%[8]d">%[6]s</text></g>
</svg>
`, a+b, a, b, color, html.EscapeString(left), html.EscapeString(right), a-14, b-14, a+7)
	return err
}

// badgeText is what the right side says.
func badgeText(r *record.Run) string {
	v := r.Parity.Verdict
	switch {
	case v == record.Fail && r.Parity.Stage != "":
		return string(v) + ": " + clean(string(r.Parity.Stage))
	case v != record.Pass && v != record.Fail:
		return string(record.Inconclusive)
	case v != record.Pass || r.Timing == nil || r.Timing.Speedup == nil:
		return string(v)
	}
	x, word := r.Timing.Speedup.Median, "faster"
	if x < 1 {
		x, word = 1/x, "slower"
	}
	digits := 1
	switch {
	case x >= 20:
		digits = 0
	case x < 2:
		digits = 2
	}
	return fmt.Sprintf("%s, %s times %s than %s", v, strconv.FormatFloat(x, 'f', digits, 64), word, engineName(r, record.Reference))
}

// textWidth is about how wide a text is in Verdana of 11 pixels; textLength makes it exact.
func textWidth(s string) int {
	var w float64
	for _, r := range s {
		switch {
		case r == 'i' || r == 'l' || r == 'j' || r == '.' || r == ',' || r == ':' || r == ' ' || r == 'I' || r == 't' || r == 'f':
			w += 4.2
		case r == 'm' || r == 'w' || r == 'M' || r == 'W':
			w += 10
		case r >= 'A' && r <= 'Z':
			w += 7.6
		default:
			w += 6.8
		}
	}
	return int(w + 0.999)
}
