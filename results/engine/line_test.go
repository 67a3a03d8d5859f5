package engine

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestReadLine(t *testing.T) {
	const limit = 40
	tests := []struct {
		in     string
		want   []string
		end    error
		reason string
	}{
		{"", nil, io.EOF, "nothing"},
		{"a\nb\n", []string{"a", "b"}, io.EOF, "plain"},
		{"a\r\nb", []string{"a", "b"}, io.EOF, "Windows; a last line without an end"},
		{strings.Repeat("x", limit) + "\n", []string{strings.Repeat("x", limit)}, io.EOF, "just fits, longer than the buffer"},
		{strings.Repeat("x", limit+1) + "\n", nil, errLineTooLong, "one too long"},
		{strings.Repeat("x", 10*limit), nil, errLineTooLong, "far too long, without an end"},
	}
	for _, test := range tests {
		r := bufio.NewReaderSize(strings.NewReader(test.in), 16)
		var got []string
		var err error
		for {
			var l []byte
			if l, err = readLine(r, limit); err != nil {
				break
			}
			got = append(got, string(l))
		}
		if strings.Join(got, "|") != strings.Join(test.want, "|") || !errors.Is(err, test.end) {
			t.Errorf("%.20q: got %q, %v; want %q, %v (%s)", test.in, got, err, test.want, test.end, test.reason)
		}
	}
}

func TestTailKeepsTheEnd(t *testing.T) {
	tl := newTail(failing{})
	var all bytes.Buffer
	for i := range 5000 {
		line := strings.Repeat("x", i%97) + "\n"
		all.WriteString(line)
		if n, err := tl.Write([]byte(line)); n != len(line) || err != nil {
			t.Fatal(n, err)
		}
	}
	_, _ = tl.Write(append(bytes.Repeat([]byte("y"), 3*tailBytes), "\nlast\n\n"...))
	got := tl.lines()
	if len(got) != 2 || got[1] != "last" || !strings.HasSuffix(got[0], "y...") || utf8.RuneCountInString(got[0]) != tailLineRunes+3 {
		t.Errorf("got %.100q", got)
	}
}

type failing struct{}

func (failing) Write([]byte) (int, error) { return 0, errors.New("disk full") }

func TestFloat(t *testing.T) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1.5, math.MaxFloat64, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)} {
		data, err := Float(v).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var f Float
		if err := f.UnmarshalJSON(data); err != nil {
			t.Fatal(err)
		}
		if math.Float64bits(float64(f)) != math.Float64bits(v) && !(math.IsNaN(v) && math.IsNaN(float64(f))) {
			t.Errorf("%v became %s and %v", v, data, f)
		}
	}
	for _, bad := range []string{`"nan"`, `"1"`, `true`, `[]`, ``} {
		if err := new(Float).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is read as a float", bad)
		}
	}
}

// Whatever an engine writes, the decoder gives exactly one of a result, a refusal and an error, and the refusal's
// kind is known.
func FuzzDecodeResponse(f *testing.F) {
	for _, seed := range []string{
		`{"id":1,"result":{"losses":[2.3,"NaN"],"seconds":[0.1,0.1],"step":2}}`,
		`{"id":1,"error":{"kind":"input","message":"no"}}`,
		`{"id":1}`, `{"id":2,"result":{}}`, `{"id":1,"result":null,"error":null}`, `null`, `[]`, `{"id":1,"result":{}} x`,
		`{"id":"1"}`, `{"id":1e400}`, "\xff", `{"ID":1,"Result":1,"result":2}`, strings.Repeat("[", 20000),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		raw, refused, err := decodeResponse(data, 1)
		if err != nil {
			if raw != nil || refused != nil {
				t.Fatalf("%q: a result or refusal came with %v", data, err)
			}
			return
		}
		if refused != nil {
			if raw != nil {
				t.Fatalf("%q: both", data)
			}
			if k := refused.Kind; k != KindInput && k != KindUnsupported && k != KindInternal {
				t.Fatalf("%q: kind %q", data, k)
			}
			return
		}
		var r StepResult
		if decodeResult(raw, &r) == nil && len(raw) == 0 {
			t.Fatalf("%q: absence was taken for a result", data)
		}
	})
}
