package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"tandem/results/engine"
)

// moody is an engine whose commands fail in different ways.
type moody struct{ engine.Unimplemented }

func (moody) Hello() engine.Hello { return engine.Hello{Name: "moody", DTypes: []string{"float32"}} }

func (moody) Load(context.Context, engine.LoadParams) (*engine.Loaded, error) {
	return nil, fmt.Errorf("model.onnx: %w", engine.Errorf(engine.KindInput, "cut short"))
}

func (moody) Grad(_ context.Context, p engine.GradParams) (*engine.GradResult, error) {
	return &engine.GradResult{Loss: engine.Float(math.NaN())}, nil
}

func (moody) Step(_ context.Context, n int) (*engine.StepResult, error) {
	var weights []float32
	weights[n] = 1
	return nil, nil
}

func (moody) Forward(context.Context, engine.ForwardParams) (*engine.ForwardResult, error) {
	return nil, nil
}

func (moody) Memory(context.Context) (*engine.Memory, error) { return nil, errors.New("no /proc") }

func (moody) Save(context.Context, string) error { return nil }

// drive gives Serve's ends to talk, over pipes, and returns what Serve returned.
func drive(t *testing.T, e engine.Engine, talk func(ask func(line string) engine.Response)) error {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- engine.Serve(t.Context(), inR, outW, e)
		outW.Close()
	}()
	answers := bufio.NewScanner(outR)
	talk(func(line string) engine.Response {
		t.Helper()
		if _, err := io.WriteString(inW, line+"\n"); err != nil {
			t.Fatal(err)
		}
		if !answers.Scan() {
			t.Fatalf("no answer to %s", line)
		}
		var r engine.Response
		if err := json.Unmarshal(answers.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		return r
	})
	inW.Close()
	return <-done
}

func TestServe(t *testing.T) {
	tests := []struct {
		request      string
		kind, answer string // of the error; or of the result when kind is empty
		reason       string
	}{
		{`{"id":1,"command":"hello"}`, "", `"protocol":1`, "Serve knows the version itself"},
		{`{"id":2,"command":"hello","params":{"x":1}}`, engine.KindInput, "takes no params", "strict"},
		{`{"id":3,"command":"load","params":{"experiment":"e","model":"m","data":"d","threads":1,"random":"own"}}`, engine.KindInput, "model.onnx: cut short", "a wrapped Error keeps its kind and the whole text"},
		{`{"id":4,"command":"load","params":{"modell":"m"}}`, engine.KindInput, `unknown field "modell"`, "a misspelt field would be a default in silence"},
		{`{"id":5,"command":"load"}`, engine.KindInput, "no params", "absence is no default"},
		{`{"id":6,"command":"grad","params":{"dtype":"float32","file":"f"}}`, "", `{"loss":"NaN"}`, "NaN travels as a string"},
		{`{"id":7,"command":"step","params":{"n":3}}`, engine.KindInternal, "index out of range", "a panic is an answer"},
		{`{"id":8,"command":"step","params":{"n":0}}`, engine.KindInput, "at least one step", "no step, no time"},
		{`{"id":9,"command":"step","params":{"n":1.5}}`, engine.KindInput, "params", "half a step"},
		{`{"id":10,"command":"forward","params":{"split":"test","mode":"eval","dtype":"float32","file":"f"}}`, engine.KindInternal, "answered nothing", "nil without an error is a mistake"},
		{`{"id":11,"command":"memory"}`, engine.KindInternal, "no /proc", "a plain error is internal"},
		{`{"id":12,"command":"update","params":{"gradients":"g","dtype":"float32","file":"f"}}`, engine.KindUnsupported, `"update"`, "not implemented"},
		{`{"id":13,"command":"dance"}`, engine.KindUnsupported, `"dance"`, "unknown command"},
		{`{"id":14,"command":"save","params":{"file":"f"}}`, "", `{}`, "no result"},
		{`{"id":15,"command":"hello"} trailing`, engine.KindInput, "no request", "two values in a line"},
		{`{"id":16`, engine.KindInput, "no request", "cut short"},
		{`{"id":17,"command":"hello","extra":1}`, engine.KindInput, "unknown field", "strict"},
	}
	err := drive(t, moody{}, func(ask func(string) engine.Response) {
		for _, test := range tests {
			r := ask(test.request)
			text := string(r.Result)
			kind := ""
			if r.Error != nil {
				kind, text = r.Error.Kind, r.Error.Message
			}
			if kind != test.kind || !strings.Contains(text, test.answer) {
				t.Errorf("%s: got kind %q, %s; want %q, %s (%s)", test.request, kind, text, test.kind, test.answer, test.reason)
			}
			if test.kind == engine.KindInternal && strings.Contains(text, "panic") && !strings.Contains(r.Error.Detail, "serve_test.go") {
				t.Errorf("%s: no stack in %q", test.request, r.Error.Detail)
			}
		}
		if r := ask(`{"id":99,"command":"quit"}`); r.Error != nil || r.ID != 99 {
			t.Errorf("quit: %+v", r)
		}
	})
	if err != nil {
		t.Errorf("Serve returned %v after quit", err)
	}
}

func TestServeEnds(t *testing.T) {
	if err := drive(t, moody{}, func(func(string) engine.Response) {}); err != nil {
		t.Errorf("the end of input gives %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, w := io.Pipe()
	defer w.Close()
	if err := engine.Serve(ctx, r, io.Discard, moody{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	long := io.MultiReader(strings.NewReader(`{"id":1,"command":"`), endless{})
	if err := engine.Serve(t.Context(), long, io.Discard, moody{}); err == nil {
		t.Error("an endless line gives no error")
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, bytes.Repeat([]byte("a"), len(p))), nil }

// Whatever comes in, Serve answers every line that is not blank with one line, and never panics.
func FuzzServe(f *testing.F) {
	f.Add([]byte(`{"id":1,"command":"hello"}` + "\n" + `{"id":2,"command":"quit"}`))
	f.Add([]byte(`{"id":1,"command":"step","params":{"n":-1}}`))
	f.Add([]byte("\n\n[]\nnull\r\n\"\"\n{"))
	f.Add([]byte("\xff\xfe\x00\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if err := engine.Serve(t.Context(), bytes.NewReader(in), &out, moody{}); err != nil {
			t.Fatalf("%q: %v", in, err)
		}
		asked := 0
		for line := range bytes.SplitSeq(in, []byte("\n")) {
			if len(bytes.TrimSpace(line)) > 0 {
				asked++
			}
		}
		answered := 0
		quit := false
		for line := range bytes.Lines(out.Bytes()) {
			var r engine.Response
			if err := json.Unmarshal(line, &r); err != nil || (r.Error == nil) == (len(r.Result) == 0) {
				t.Fatalf("%q: answer %q (%v)", in, line, err)
			}
			quit = quit || string(r.Result) == "{}"
			answered++
		}
		if answered != asked && !quit {
			t.Errorf("%q: %d lines, %d answers", in, asked, answered)
		}
	})
}
