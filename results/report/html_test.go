package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

// html writes a page.
func html(t *testing.T, entries ...report.Entry) string {
	t.Helper()
	var buf bytes.Buffer
	if err := report.HTML(&buf, entries...); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

// element is a part of a page: an element, or the text in one when its name is empty.
type element struct {
	name     string
	attrs    map[string]string
	parent   *element
	children []*element
	data     string
}

var scripts = regexp.MustCompile(`(?s)(<script[^>]*>)(.*?)(</script>)`)

// parse reads a page, which is well-formed XML but for what stands in its scripts.
func parse(t *testing.T, page string) *element {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(scripts.ReplaceAllString(page, "$1$3")))
	root := &element{}
	at := root
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v", err)
		}
		switch x := token.(type) {
		case xml.StartElement:
			e := &element{name: x.Name.Local, attrs: map[string]string{}, parent: at}
			for _, a := range x.Attr {
				if _, twice := e.attrs[a.Name.Local]; twice {
					t.Errorf("<%s> has the attribute %s twice", e.name, a.Name.Local)
				}
				e.attrs[a.Name.Local] = a.Value
			}
			at.children = append(at.children, e)
			at = e
		case xml.EndElement:
			at = at.parent
		case xml.CharData:
			at.children = append(at.children, &element{parent: at, data: string(x)})
		}
	}
	if at != root {
		t.Fatalf("<%s> is not closed", at.name)
	}
	return root
}

// each calls f for e and everything in it.
func (e *element) each(f func(*element)) {
	f(e)
	for _, c := range e.children {
		c.each(f)
	}
}

// text is what stands in e.
func (e *element) text() string {
	var b strings.Builder
	e.each(func(x *element) {
		if x.parent == nil || x.parent.name != "title" || e.name == "title" {
			b.WriteString(x.data)
		}
	})
	return b.String()
}

// up is the nearest element around e, or e itself, that has the attribute.
func (e *element) up(attr string) *element {
	for e != nil && e.attrs[attr] == "" {
		e = e.parent
	}
	return e
}

func (e *element) classes() []string { return strings.Fields(e.attrs["class"]) }

func (e *element) within(class string) bool {
	for ; e != nil; e = e.parent {
		if slices.Contains(e.classes(), class) {
			return true
		}
	}
	return false
}

// path is the field that e shows: a path that begins with a point continues the one around it.
func (e *element) path() string {
	p := e.attrs["data-path"]
	if strings.HasPrefix(p, ".") {
		if outer := e.parent.up("data-path"); outer != nil {
			return outer.path() + p
		}
	}
	return p
}

var step = regexp.MustCompile(`^(?:\.?([^.\[\] ]+)|\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\])`)

// field is what stands in a record at a path.
func field(record any, path string) (any, error) {
	at := record
	for rest := path; rest != ""; {
		m := step.FindStringSubmatch(rest)
		if m == nil {
			return nil, fmt.Errorf("%q is no path", path)
		}
		rest = rest[len(m[0]):]
		switch {
		case m[2] != "":
			list, ok := at.([]any)
			i, _ := strconv.Atoi(m[2])
			if !ok || i >= len(list) {
				return nil, fmt.Errorf("%q has no item %d", path, i)
			}
			at = list[i]
		default:
			name := m[1]
			if m[3] != "" {
				if err := json.Unmarshal([]byte(m[3]), &name); err != nil {
					return nil, err
				}
			}
			object, _ := at.(map[string]any)
			v, ok := object[name]
			if !ok {
				return nil, fmt.Errorf("%q has no %q", path, name)
			}
			at = v
		}
	}
	return at, nil
}

// records are the records of a page by their elements' ids, as they stand in the page.
func records(t *testing.T, page string) map[string]any {
	t.Helper()
	out := map[string]any{}
	for _, m := range regexp.MustCompile(`(?s)<script type="application/json" id="([^"]+)">(.*?)</script>`).FindAllStringSubmatch(page, -1) {
		d := json.NewDecoder(strings.NewReader(m[2]))
		d.UseNumber()
		var v any
		if err := d.Decode(&v); err != nil {
			t.Fatalf("the record %s in the page: %v", m[1], err)
		}
		out[m[1]] = v
	}
	return out
}

var quantity = regexp.MustCompile(`^([+-]?)([0-9][0-9,]*(?:\.[0-9]+)?)(e[+-]?[0-9]+)?(?: ?(%|s|ms|µs|ns|MiB|MHz|k))?$`)

// check compares a text with the value that it shows, to the last digit that it has.
func check(text string, value any) error {
	switch v := value.(type) {
	case string:
		switch v {
		case "NaN":
			v = "NaN"
		case "Infinity":
			v = "infinite"
		case "-Infinity":
			v = "-infinite"
		}
		if text != strings.Join(strings.Fields(v), " ") && !strings.HasPrefix(text, strings.ReplaceAll(firstOf(v, 16), "T", " ")) {
			return fmt.Errorf("shows %q for %q", text, v)
		}
		return nil
	case bool:
		if want := map[bool][]string{true: {"yes", "agree", "true", "recorded earlier"}, false: {"no", "differ", "false"}}[v]; !slices.Contains(want, text) {
			return fmt.Errorf("shows %q for %v", text, v)
		}
		return nil
	case []any: // a command line
		var words []string
		for _, w := range v {
			words = append(words, fmt.Sprint(w))
		}
		if strings.ReplaceAll(text, "'", "") != strings.Join(words, " ") {
			return fmt.Errorf("shows %q for %q", text, words)
		}
		return nil
	case json.Number:
		x, err := v.Float64()
		if err != nil {
			return err
		}
		return checkNumber(text, x)
	case float64:
		return checkNumber(text, v)
	}
	return fmt.Errorf("shows %q for a value of type %T", text, value)
}

func firstOf(s string, n int) string {
	if len(s) < n || s[10] != 'T' {
		return "\x00"
	}
	return s[:n]
}

func checkNumber(text string, x float64) error {
	m := quantity.FindStringSubmatch(text)
	if m == nil {
		return fmt.Errorf("%q is no number", text)
	}
	digits := strings.ReplaceAll(m[2], ",", "")
	shown, err := strconv.ParseFloat(m[1]+digits+m[3], 64)
	if err != nil {
		return err
	}
	unit := map[string]float64{"": 1, "%": 0.01, "s": 1, "ms": 1e-3, "µs": 1e-6, "ns": 1e-9, "MiB": 1 << 20, "MHz": 1, "k": 1000}[m[4]]
	last := unit // the worth of the last digit
	if _, decimals, ok := strings.Cut(digits, "."); ok {
		last *= math.Pow(10, -float64(len(decimals)))
	}
	if m[3] != "" {
		e, _ := strconv.Atoi(m[3][1:])
		last *= math.Pow(10, float64(e))
	}
	if !(math.Abs(shown*unit-x) <= 0.5001*last+1e-12*math.Abs(x)) {
		return fmt.Errorf("shows %q for %v", text, x)
	}
	return nil
}

// numbers compares everything on a page that names a field with that field, and returns how many it compared.
func numbers(t *testing.T, page string) int {
	t.Helper()
	root, all := parse(t, page), records(t, page)
	compared := 0
	resolve := func(e *element, path string) (float64, any, error) {
		owner := e.up("data-record")
		if owner == nil {
			return 0, nil, errors.New("stands in no record")
		}
		v, err := field(all[owner.attrs["data-record"]], path)
		if err != nil {
			return 0, nil, err
		}
		x := math.NaN()
		if n, ok := v.(json.Number); ok {
			x, _ = n.Float64()
		}
		return x, v, nil
	}
	root.each(func(e *element) {
		path := e.path()
		if e.attrs["data-path"] == "" {
			return
		}
		switch {
		case e.name == "tr" || e.name == "div":
			if _, _, err := resolve(e, path); err != nil {
				t.Errorf("<%s> %s: %v", e.name, path, err)
			}
			return
		case e.name == "path":
			curve(t, e, path, func(p string) (any, error) { _, v, err := resolve(e, p); return v, err })
			compared++
			return
		case e.name == "circle":
			x, _, err := resolve(e, path)
			at, atErr := strconv.ParseFloat(strings.TrimSuffix(e.attrs["cx"], "%"), 64)
			if err := errors.Join(err, atErr); err != nil {
				t.Errorf("%s: %v", path, err)
				return
			}
			if want := scaleOf(t, e.up("data-horizontal").attrs["data-horizontal"]).at(x) / 10; !(math.Abs(want-at) < 0.011) {
				t.Errorf("%s, %v, is drawn at %v %%, not %v", path, x, at, want)
			}
			compared++
			return
		case e.name == "rect":
			if slices.Contains(e.classes(), "part") {
				checkSegment(t, e, path, func(p string) (float64, error) { x, _, err := resolve(e, p); return x, err })
				compared++
				return
			}
			_, v, err := resolve(e, path)
			if err == nil {
				m := regexp.MustCompile(`: rho (\S+?),? ?(?:error .*)?$`).FindStringSubmatch(e.children[0].text())
				if m == nil {
					t.Errorf("%s has the title %q", path, e.children[0].text())
					return
				}
				err = check(m[1], v)
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			compared++
			return
		}
		text := e.text()
		if inverse, ok := strings.CutPrefix(path, "1 / "); ok {
			x, _, err := resolve(e, inverse)
			if err == nil {
				err = checkNumber(text, 1/x)
			}
			if err != nil {
				t.Errorf("%s: %v", path, err)
			}
			compared++
			return
		}
		if strings.Contains(path, " + ") {
			sum := 0.0
			for term := range strings.SplitSeq(path, " + ") {
				x, _, err := resolve(e, term)
				if err != nil {
					t.Errorf("%s: %v", path, err)
				}
				sum += x
			}
			if err := checkNumber(text, sum); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			compared++
			return
		}
		if a, b, ok := strings.Cut(path, " - "); ok {
			x, _, err := resolve(e, a)
			y, _, err2 := resolve(e, b)
			if err := errors.Join(err, err2, checkNumber(text, x-y)); err != nil {
				t.Errorf("%s: %v", path, err)
			}
			compared++
			return
		}
		_, v, err := resolve(e, path)
		if err == nil {
			if e.attrs["data-short"] != "" {
				if s, ok := v.(string); ok {
					head, tail, cut := strings.Cut(text, "…")
					short := s[strings.LastIndexByte(s, '/')+1:]
					if !(cut && strings.HasPrefix(short, head) && strings.HasSuffix(short, tail)) && text != short && text != s {
						err = fmt.Errorf("shows %q for %q", text, s)
					}
					v = nil
				}
			}
			if v != nil {
				err = check(text, v)
			}
		}
		if err != nil {
			t.Errorf("<%s> %s: %v", e.name, path, err)
		}
		compared++
	})
	return compared
}

// scale maps values to units, as a chart says that it does.
type scale struct {
	log       bool
	low, high float64
}

func scaleOf(t *testing.T, s string) scale {
	t.Helper()
	f := strings.Fields(s)
	if len(f) != 3 {
		t.Fatalf("%q is no scale", s)
	}
	low, err := strconv.ParseFloat(f[1], 64)
	high, err2 := strconv.ParseFloat(f[2], 64)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return scale{f[0] == "log", low, high}
}

func (s scale) at(v float64) float64 {
	low, high := s.low, s.high
	if s.log {
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	return 1000 * (v - low) / (high - low)
}

// checkSegment compares the width of a bar's part with the field that it shows, or the difference of two.
func checkSegment(t *testing.T, e *element, path string, resolve func(string) (float64, error)) {
	t.Helper()
	a, b, difference := strings.Cut(path, " - ")
	want, err := resolve(a)
	if difference {
		less, err2 := resolve(b)
		want, err = want-less, errors.Join(err, err2)
	}
	width, err2 := strconv.ParseFloat(strings.TrimSuffix(e.attrs["width"], "%"), 64)
	s := scaleOf(t, e.up("data-horizontal").attrs["data-horizontal"])
	if err := errors.Join(err, err2); err != nil || s.log || s.low != 0 {
		t.Errorf("%s: %v on the scale %+v", path, err, s)
		return
	}
	if !(math.Abs(s.at(want)/10-width) < 0.011) {
		t.Errorf("%s, %v, is drawn %v %% wide, not %v", path, want, width, s.at(want)/10)
	}
}

// samples compares a drawn list of memory samples with the record's.
func samples(t *testing.T, e *element, path string, x, y scale, resolve func(string) (any, error)) {
	t.Helper()
	v, err := resolve(strings.TrimSuffix(strings.TrimPrefix(path, "memory("), ")"))
	items, ok := v.([]any)
	if err != nil || !ok {
		t.Errorf("%s: %v, %v", path, v, err)
		return
	}
	points := vertex.FindAllStringSubmatch(e.attrs["d"], -1)
	if len(points) != len(items) {
		t.Errorf("%s: %d points for %d samples", path, len(points), len(items))
		return
	}
	for i, p := range points {
		px, _ := strconv.ParseFloat(p[2], 64)
		py, _ := strconv.ParseFloat(p[3], 64)
		s, _ := items[i].(map[string]any)
		steps, _ := s["steps"].(json.Number).Float64()
		bytes, _ := s["bytes"].(json.Number).Float64()
		if !(math.Abs(x.at(steps)-px) < 0.06 && math.Abs(1000-y.at(bytes/(1<<20))-py) < 0.06) {
			t.Errorf("%s: sample %d of %v bytes after %v steps is drawn at %v, %v", path, i, bytes, steps, px, py)
		}
	}
}

var vertex = regexp.MustCompile(`([ML])(-?[0-9.]+) (-?[0-9.]+)`)

// curve compares the points of a drawn curve with the list that it is of.
func curve(t *testing.T, e *element, path string, resolve func(string) (any, error)) {
	t.Helper()
	svg := e.up("data-horizontal")
	x, y := scaleOf(t, svg.attrs["data-horizontal"]), scaleOf(t, svg.attrs["data-vertical"])
	list := func(path string) []float64 {
		v, err := resolve(path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
		}
		var out []float64
		items, _ := v.([]any)
		for _, item := range items {
			n, ok := item.(json.Number)
			f := math.NaN()
			switch {
			case ok:
				f, _ = n.Float64()
			case item == "Infinity":
				f = math.Inf(1)
			}
			out = append(out, f)
		}
		return out
	}
	if strings.HasPrefix(path, "memory(") {
		samples(t, e, path, x, y, resolve)
		return
	}
	var values []float64
	switch path {
	case "difference(loss)":
		a, b := list("loss.reference"), list("loss.candidate")
		var mean float64
		for _, v := range a {
			mean += math.Abs(v) / float64(len(a))
		}
		for i := range min(len(a), len(b)) {
			values = append(values, math.Abs(b[i]-a[i])/max(math.Abs(a[i]), mean/1000))
		}
	case "limit(loss.envelope)", "mean(runs.trainings)":
		return // computed from several fields
	default:
		values = list(path)
	}
	if window, _ := strconv.Atoi(e.attrs["data-mean"]); window > 1 {
		mean := make([]float64, len(values))
		for i := range values {
			part := values[max(0, i-window/2):min(len(values), i+window/2+1)]
			for _, v := range part {
				mean[i] += v / float64(len(part))
			}
		}
		values = mean
	}
	points := vertex.FindAllStringSubmatch(e.attrs["d"], -1)
	if dots := strings.Count(e.attrs["d"], "h0"); dots > 0 {
		points = regexp.MustCompile(`(M)(-?[0-9.]+) (-?[0-9.]+)h0`).FindAllStringSubmatch(e.attrs["d"], -1)
	}
	if len(points) == 0 {
		t.Errorf("%s draws nothing", path)
	}
	wrong := 0
	for _, p := range points {
		px, _ := strconv.ParseFloat(p[2], 64)
		py, _ := strconv.ParseFloat(p[3], 64)
		i := int(math.Round(x.low + px/1000*(x.high-x.low)))
		// Several steps may share a tenth of a unit.
		found := false
		for k := max(0, i-1-len(values)/5000); k <= min(len(values)-1, i+1+len(values)/5000) && !found; k++ {
			want := 1000 - max(0, min(1100, y.at(values[k])))
			found = math.Abs(x.at(float64(k))-px) < 0.051 && math.Abs(want-py) < 0.06
		}
		if !found {
			wrong++
			if wrong < 4 {
				t.Errorf("%s: the point %s, %s is none of the curve's (step %d)", path, p[2], p[3], i)
			}
		}
	}
}

// theseWords are the page's own that have digits in them.
var theseWords = strings.NewReplacer("95 %", "", "90 %", "", "float64", "", "SHA-256", "", "≤ 0.1", "", "≤ 0.5", "", "≤ 1", "", "≤ 2", "")

// untraced lists the texts with digits on a page that name no field of the record.
func untraced(root *element) []string {
	var out []string
	root.each(func(e *element) {
		if e.name != "" || !strings.ContainsAny(theseWords.Replace(e.data), "0123456789") || e.up("data-path") != nil && e.up("data-path").name != "tr" && e.up("data-path").name != "div" {
			return
		}
		for _, class := range []string{"tick", "path", "key", "usual", "index", "counted", "headline"} {
			if e.within(class) {
				return
			}
		}
		switch e.parent.name {
		case "title", "style", "script", "figcaption", "h1":
			return
		}
		out = append(out, e.data)
	})
	return out
}

func TestHTMLShowsTheRecordsNumbers(t *testing.T) {
	tests := []struct {
		name     string
		entries  []report.Entry
		compared int // at least
	}{
		{"faster", []report.Entry{{Run: recordtest.Faster()}}, 1500},
		{"profiled", []report.Entry{{Run: recordtest.Profiled()}}, 1560},
		{"slower", []report.Entry{{Run: recordtest.Slower()}}, 1500},
		{"failed", []report.Entry{{Run: recordtest.Failed()}}, 900},
		{"undecided", []report.Entry{{Run: recordtest.Undecided()}}, 900},
		{"checked", []report.Entry{{Run: recordtest.Checked()}}, 900},
		{"sweep", []report.Entry{{Sweep: recordtest.Sweep()}}, 80},
		{"several", []report.Entry{{Run: recordtest.Faster()}, {Sweep: recordtest.Sweep()}, {Run: recordtest.Failed()}}, 2500},
		{"published", []report.Entry{{Run: published(t, "mnist-mlp")}}, 2500},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			page := html(t, test.entries...)
			if n := numbers(t, page); n < test.compared {
				t.Errorf("%d texts and marks name a field, want at least %d", n, test.compared)
			}
			for _, text := range untraced(parse(t, page)) {
				t.Errorf("%q names no field", text)
			}
			if again := html(t, test.entries...); again != page {
				t.Error("the page differs between two writings of one record")
			}
		})
	}
}

func published(t *testing.T, name string) *record.Run {
	t.Helper()
	r, err := record.Read(filepath.Join("..", "published", name, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestHTMLNumbersCanFail: the comparison above sees a number that is not the record's.
func TestHTMLNumbersCanFail(t *testing.T) {
	for _, test := range []struct {
		text  string
		value any
		ok    bool
	}{
		{"6.63", json.Number("6.631"), true},
		{"6.63", json.Number("6.641"), false},
		{"743 µs", json.Number("0.00074321"), true},
		{"743 µs", json.Number("0.0007442"), false},
		{"743 ms", json.Number("0.00074321"), false},
		{"109,386", json.Number("109386"), true},
		{"109,386", json.Number("109387"), false},
		{"81.8 %", json.Number("0.818"), true},
		{"81.8", json.Number("0.818"), false},
		{"1.1e-15", json.Number("1.1099e-15"), true},
		{"1.1e-15", json.Number("1.1099e-14"), false},
		{"NaN", "NaN", true},
		{"0", "NaN", false},
		{"2026-03-14 09:26 UTC", "2026-03-14T09:26:53Z", true},
		{"2026-03-14 09:27 UTC", "2026-03-14T09:26:53Z", false},
		{"agree", false, false},
	} {
		if err := check(test.text, test.value); (err == nil) != test.ok {
			t.Errorf("%q for %v: %v", test.text, test.value, err)
		}
	}
}

// small is a record whose page can be read as a golden file.
func small(r *record.Run) *record.Run {
	r.Parity.Steps = r.Parity.Steps[:2]
	for i := range r.Parity.Steps {
		s := &r.Parity.Steps[i]
		s.Gradients, s.Outputs, s.Update, s.WholeStep = s.Gradients[:2], s.Outputs[:1], s.Update[:1], s.WholeStep[:1]
	}
	r.Parity.FinalWeights = r.Parity.FinalWeights[:1]
	if t := r.Timing; t != nil {
		t.Others, t.Comparisons, t.LeftOut = nil, nil, nil
		for _, x := range []*[]float64{&t.Reference.BlockMedians, &t.Candidate.BlockMedians, &t.Modes[0].BlockMedians, &t.Measured.Ratios, &t.Resolution.Ratios} {
			*x = (*x)[:2]
		}
		if t.Speedup != nil {
			t.Speedup.Ratios = t.Speedup.Ratios[:2]
		}
	}
	r.Loss = record.Losses{Reference: r.Loss.Reference[:5], Candidate: r.Loss.Candidate[:5], Envelope: r.Loss.Envelope[:5]}
	return r
}

var assets = regexp.MustCompile(`(?s)(<style>).*?(</style>)|(<script[^>]*>).*?(</script>)|sha256-(?:[A-Za-z0-9+/=]|&#43;)*`)

var wholeRecord = regexp.MustCompile(`(?s)<section id="run-0-record"[^>]*>.*?</section>`)

func TestHTMLGolden(t *testing.T) {
	for name, r := range map[string]*record.Run{"faster": recordtest.Faster(), "failed": recordtest.Failed()} {
		page := assets.ReplaceAllString(html(t, report.Entry{Run: small(r)}), "$1$2$3$4")
		page = wholeRecord.ReplaceAllLiteralString(page, "") // it has every field, new ones too: TestHTMLShowsTheRecordsNumbers reads it
		golden(t, name+".html", []byte(page))
	}
}

func TestHTMLShowsNoSpeedWithoutPass(t *testing.T) {
	for _, verdict := range []record.Verdict{record.Fail, record.Inconclusive, "", "pass"} {
		r := recordtest.Slower()
		r.Parity.Verdict = verdict
		s := recordtest.Sweep()
		for i := range s.Points {
			s.Points[i].Verdict = verdict
		}
		root := parse(t, html(t, report.Entry{Run: r}, report.Entry{Sweep: s}))
		text := root.text()
		for _, sign := range []string{"times slower", "times faster", "Speed-up", " ms", " µs"} {
			if strings.Contains(text, sign) {
				t.Errorf("verdict %q: the page shows %q", verdict, sign)
			}
		}
		root.each(func(e *element) {
			if p := e.path(); e.attrs["data-path"] != "" && (strings.HasPrefix(p, "timing.") && p != "timing.claim" || strings.Contains(p, "].timing.")) {
				t.Errorf("verdict %q: the page shows %s", verdict, p)
			}
		})
		if !strings.Contains(text, "not claimed") {
			t.Errorf("verdict %q: the page does not say that nothing is claimed", verdict)
		}
	}
	// And with a PASS, but without a claim, it shows no ratio at its top.
	r := recordtest.Faster()
	r.Timing.Speedup, r.Timing.Claim = nil, "no difference beyond the noise of this session"
	for i := range r.Timing.Comparisons {
		r.Timing.Comparisons[i].Speedup, r.Timing.Comparisons[i].Claim = nil, r.Timing.Claim
	}
	if text := parse(t, html(t, report.Entry{Run: r})).text(); strings.Contains(text, "times faster") || !strings.Contains(text, "not claimed") {
		t.Error("a speed-up is shown that is not claimed")
	}
}

// TestHTMLIsSafe: a record that other people's engines wrote cannot put an element, an attribute or a script on the page.
func TestHTMLIsSafe(t *testing.T) {
	hostile := []string{
		`</script><script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `' onmouseover='alert(1)`, `<!--`, `]]>`, `javascript:alert(1)`, `{{.}}`, "\x00\x1b[31m\u202e", `</style><style>*{display:none}</style>`, `.[]"\`,
	}
	for _, evil := range hostile {
		r := recordtest.Failed()
		r.Experiment.Name, r.Experiment.Description, r.Experiment.Model.Source = evil, evil, evil
		r.Experiment.Model.Args = map[string]any{evil: evil, "a.b": 1.5}
		for i := range r.Engines {
			r.Engines[i].Name, r.Engines[i].Version, r.Engines[i].Device, r.Engines[i].Mode, r.Engines[i].Mutant = evil, evil, evil, evil, evil
			r.Engines[i].Versions = map[string]string{evil: evil}
		}
		r.Parity.Reasons, r.Warnings, r.Parity.ChangedThresholds = []string{evil}, []string{evil}, []string{evil}
		r.Parity.Diagnosis.Tensor, r.Parity.Diagnosis.Summary, r.Parity.Diagnosis.Operator.Node = evil, evil, evil
		for i := range r.Parity.Steps {
			s := &r.Parity.Steps[i]
			s.Variants = []string{evil}
			s.Refused = map[string]string{evil: evil}
			for k := range s.Gradients {
				s.Gradients[k].Name = fmt.Sprint(evil, k)
			}
		}
		r.Model.File, r.Model.Exporter = evil, evil
		r.Data.SHA256 = map[string]string{evil: evil}
		r.Environment.Variables, r.Environment.CommandLine, r.Environment.CPU = map[string]string{evil: evil}, []string{evil, evil}, evil
		r.TimingAbsent = evil
		page := html(t, report.Entry{Run: r, Source: evil})
		root := parse(t, page)
		own := map[string]int{}
		parse(t, html(t, report.Entry{Run: recordtest.Failed()})).each(func(e *element) {
			own[e.name] = 1
			for a := range e.attrs {
				own[e.name+" "+a] = 1
			}
		})
		root.each(func(e *element) {
			if own[e.name] == 0 {
				t.Errorf("%q makes an element <%s>", evil, e.name)
			}
			for a, v := range e.attrs {
				if own[e.name+" "+a] == 0 {
					t.Errorf("%q makes an attribute %s of <%s>", evil, a, e.name)
				}
				if (a == "href" || a == "src") && !strings.HasPrefix(v, "#run-") {
					t.Errorf("%q makes the address %q", evil, v)
				}
			}
		})
		if n := strings.Count(page, "<script"); n != 2 {
			t.Errorf("%q: %d scripts", evil, n)
		}
		for _, r := range scripts.ReplaceAllString(page, "") {
			if r < ' ' && r != '\n' && r != '\t' || r == '\u202e' {
				t.Errorf("%q: the character %U is in the page", evil, r)
				break
			}
		}
		records(t, page)
	}
}

// TestHTMLLoadsNothing: no address but the page's own anchors is in it, and its policy forbids the rest.
func TestHTMLLoadsNothing(t *testing.T) {
	page := html(t, report.Entry{Run: recordtest.Faster()}, report.Entry{Sweep: recordtest.Sweep()})
	for _, sign := range []string{"@import", "url(", " src=", "<link", "<iframe", "fetch(", "XMLHttpRequest", " style="} {
		if strings.Contains(scripts.ReplaceAllStringFunc(page, func(s string) string {
			if strings.Contains(s, "application/json") {
				return ""
			}
			return s
		}), sign) {
			t.Errorf("the page has %q", sign)
		}
	}
	root := parse(t, page)
	policy := ""
	root.each(func(e *element) {
		if e.attrs["http-equiv"] == "Content-Security-Policy" {
			policy = e.attrs["content"]
		}
	})
	bodies := regexp.MustCompile(`(?s)<style>(.*?)</style>.*<script>(.*?)</script>`).FindStringSubmatch(page)
	source := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}
	want := fmt.Sprintf("default-src 'none'; style-src %s; script-src %s; base-uri 'none'; form-action 'none'", source(bodies[1]), source(bodies[2]))
	if policy != want {
		t.Errorf("the policy is %q, want %q", policy, want)
	}
}

func TestHTMLSurvivesStrangeRecords(t *testing.T) {
	nan, inf := record.Float(math.NaN()), record.Float(math.Inf(1))
	tests := []struct {
		label  string
		change func(r *record.Run)
		words  string
	}{
		{"empty", func(r *record.Run) { *r = record.Run{} }, "not measured"},
		{"diverged", func(r *record.Run) {
			for i := 100; i < len(r.Loss.Candidate); i++ {
				r.Loss.Candidate[i] = nan
			}
			r.Loss.Envelope[700] = inf
		}, "The loss of native is NaN"},
		{"all NaN", func(r *record.Run) {
			for i := range r.Loss.Candidate {
				r.Loss.Candidate[i], r.Loss.Reference[i] = nan, inf
			}
		}, "The loss of pytorch is infinite"},
		{"one step", func(r *record.Run) {
			r.Loss = record.Losses{Reference: []record.Float{2}, Candidate: []record.Float{2}, Envelope: []record.Float{0}}
			r.Parity.Curve = nil
		}, "Training loss"},
		{"huge", func(r *record.Run) { r.Loss.Candidate[784] = 1e300 }, "Training loss"},
		{"negative losses", func(r *record.Run) {
			for i := range r.Loss.Candidate {
				r.Loss.Candidate[i], r.Loss.Reference[i] = -r.Loss.Candidate[i], -r.Loss.Reference[i]
			}
		}, "Training loss"},
		{"rho not a number", func(r *record.Run) { r.Parity.Steps[1].Gradients[0].Rho, r.Parity.Steps[0].Loss.Rho = nan, inf }, "NaN"},
		{"a tensor lacking", func(r *record.Run) { r.Parity.Steps[1].Gradients = r.Parity.Steps[1].Gradients[1:] }, "Gradients"},
		{"shorter candidate", func(r *record.Run) { r.Loss.Candidate = r.Loss.Candidate[:5] }, "Training loss"},
		{"long", func(r *record.Run) {
			for range 5 {
				r.Loss.Reference = append(r.Loss.Reference, r.Loss.Reference...)
				r.Loss.Candidate = append(r.Loss.Candidate, r.Loss.Candidate...)
				r.Loss.Envelope = append(r.Loss.Envelope, r.Loss.Envelope...)
			}
		}, "20,000"},
	}
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			r := recordtest.Failed()
			test.change(r)
			page := html(t, report.Entry{Run: r})
			numbers(t, page)
			root := parse(t, page)
			if !strings.Contains(root.text(), test.words) {
				t.Errorf("the page does not say %q", test.words)
			}
			root.each(func(e *element) {
				for _, a := range []string{"d", "x", "x1", "x2", "cx", "y", "width", "data-horizontal"} {
					if v := e.attrs[a]; strings.Contains(v, "NaN") || strings.Contains(v, "Inf") || strings.Contains(v, "infinite") {
						t.Errorf("<%s %s=%q> is no number", e.name, a, v)
					}
				}
			})
			if len(page) > 4<<20 {
				t.Errorf("the page has %d bytes", len(page))
			}
		})
	}
}

func TestHTMLWantsOneRecordEach(t *testing.T) {
	for _, entries := range [][]report.Entry{nil, {{}}, {{Run: recordtest.Faster(), Sweep: recordtest.Sweep()}}} {
		var buf bytes.Buffer
		if err := report.HTML(&buf, entries...); err == nil || buf.Len() > 0 {
			t.Errorf("%d entries: %v and %d bytes", len(entries), err, buf.Len())
		}
	}
}

func TestHTMLFileIsWrittenWhole(t *testing.T) {
	path := filepath.Join(t.TempDir(), report.FileHTML)
	if err := report.HTMLFile(path, report.Entry{Run: recordtest.Faster()}); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.HasSuffix(bytes.TrimSpace(data), []byte("</html>")) {
		t.Errorf("%v, the end is %q", err, data[max(0, len(data)-20):])
	}
	if err := report.HTMLFile(filepath.Join(path, "below"), report.Entry{Run: recordtest.Faster()}); err == nil {
		t.Error("a place that cannot be is no error")
	}
}
