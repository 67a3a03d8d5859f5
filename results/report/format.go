package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"tandem/results/record"
)

// threeDigits writes x, which is 0 or at least 1e-4, with three significant digits and no exponent below 1e6.
func threeDigits(x float64) string {
	switch a := math.Abs(x); {
	case x == 0:
		return "0"
	case a >= 999_500:
		return strconv.FormatFloat(x, 'e', 2, 64)
	case a >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	case a >= 0.9995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	default:
		return strconv.FormatFloat(x, 'g', 3, 64)
	}
}

// timeUnit is a unit that times are written in.
type timeUnit struct {
	name string
	size float64 // seconds
}

// unitFor chooses the unit in which s seconds have a readable number of digits.
func unitFor(s float64) timeUnit {
	switch a := math.Abs(s); {
	case a >= 0.9995:
		return timeUnit{"s", 1}
	case a >= 0.9995e-3:
		return timeUnit{"ms", 1e-3}
	case a >= 0.9995e-6:
		return timeUnit{"µs", 1e-6}
	default:
		return timeUnit{"ns", 1e-9}
	}
}

// Seconds writes a time as the report does, with its unit and three significant digits: "712 µs".
func Seconds(s float64) string { return seconds(s) }

// seconds writes a time with its unit and three significant digits.
func seconds(s float64) string {
	switch {
	case math.IsNaN(s) || math.IsInf(s, 0):
		return number(s)
	case s == 0:
		return "0 s"
	}
	u := unitFor(s)
	return threeDigits(s/u.size) + " " + u.name
}

// secondsRange writes a median with its interval in the median's unit: "712 µs [709, 718]".
func secondsRange(q record.Quantile) string {
	u := unitFor(q.Median)
	return fmt.Sprintf("%s [%s, %s]", seconds(q.Median), threeDigits(q.Low/u.size), threeDigits(q.High/u.size))
}

// mebibytes writes a number of bytes in MiB: one decimal below 100.
func mebibytes(n int64) string {
	m := float64(n) / (1 << 20)
	if math.Abs(m) < 99.95 {
		return strconv.FormatFloat(m, 'f', 1, 64) + " MiB"
	}
	return strconv.FormatFloat(m, 'f', 0, 64) + " MiB"
}

// ratio writes a ratio with two decimals, below 1 with three significant digits.
func ratio(x float64) string {
	if math.Abs(x) < 0.9995 {
		return threeDigits(x)
	}
	return strconv.FormatFloat(x, 'f', 2, 64)
}

// times writes a factor as it is spoken: "2.27 times", "6.1 times", "44 times".
func times(x float64) string {
	digits := 0
	switch {
	case x < 2.995:
		digits = 2
	case x < 19.95:
		digits = 1
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + " times"
}

// relative writes an error with two significant digits: "3.1e-07".
func relative[F ~float64](x F) string {
	v := float64(x)
	if v == 0 {
		return "0"
	}
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return number(v)
	}
	return strconv.FormatFloat(v, 'e', 1, 64)
}

// rho writes an error in units of the noise floor: two decimals below 10, one below 1000, otherwise an exponent.
func rho[F ~float64](x F) string {
	switch v := float64(x); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return number(v)
	case math.Abs(v) < 9.995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case math.Abs(v) < 999.95:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'e', 2, 64)
	}
}

// loss writes a loss with four decimals.
func loss[F ~float64](x F) string {
	v := float64(x)
	switch a := math.Abs(v); {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return number(v)
	case a != 0 && (a < 1e-3 || a >= 1e6):
		return strconv.FormatFloat(v, 'e', 3, 64)
	}
	return strconv.FormatFloat(v, 'f', 4, 64)
}

// percent writes a share with one decimal: "82.3 %".
func percent(x float64) string { return strconv.FormatFloat(100*x, 'f', 1, 64) + " %" }

// count writes a whole number with commas between thousands: "109,386".
func count(n int) string {
	s := strconv.Itoa(n)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// number writes any number, NaN and the infinities in words that need no explanation.
func number(x float64) string {
	switch {
	case math.IsNaN(x):
		return "NaN"
	case math.IsInf(x, 1):
		return "infinite"
	case math.IsInf(x, -1):
		return "-infinite"
	}
	return strconv.FormatFloat(x, 'g', -1, 64)
}

// plural writes "1 step", "785 steps".
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return count(n) + " " + noun + "s"
}

// clean makes a text from a record safe to print: other people's engines write some of them, and a terminal obeys
// control characters.
func clean(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
}
