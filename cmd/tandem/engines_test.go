package main

import (
	"reflect"
	"testing"
)

func TestSplitCommand(t *testing.T) {
	for _, test := range []struct {
		line   string
		want   []string // nil: refused
		reason string
	}{
		{"engine", []string{"engine"}, "a program alone"},
		{"  python3\t engine.py\n--fast ", []string{"python3", "engine.py", "--fast"}, "any white space, of any length, splits"},
		{`"my engine" --name 'a "b"'`, []string{"my engine", "--name", `a "b"`}, "each kind of quotation mark holds the other"},
		{`"a \"b\" \\ \c"`, []string{`a "b" \ \c`}, "a backslash takes what it must and nothing else"},
		{`'a\'`, []string{`a\`}, "between single quotation marks a backslash is itself"},
		{`C:\engine.exe a\ b`, []string{`C:\engine.exe`, `a\`, "b"}, "outside them too, so that Windows paths work"},
		{`--name="x y"z`, []string{"--name=x yz"}, "a quotation mark may stand inside a word"},
		{`engine ""`, []string{"engine", ""}, "an empty word can be given"},
		{"$HOME/*", []string{"$HOME/*"}, "there are no variables and no patterns"},
		{`engine "a`, nil, "an open quotation mark is a mistake"},
		{`engine 'a`, nil, "of either kind"},
	} {
		got, err := splitCommand(test.line)
		if (err != nil) != (test.want == nil) || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %q gives %q, %v; want %q", test.reason, test.line, got, err, test.want)
		}
	}
	if got, err := splitCommand(" \t"); err != nil || len(got) != 0 {
		t.Errorf("white space alone gives %q, %v; want no words", got, err)
	}
}

func FuzzSplitCommand(f *testing.F) {
	for _, line := range []string{"", "a b", `"a b" 'c'`, `"\"`, "\x00\xff"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		words, err := splitCommand(line)
		if err != nil && words != nil {
			t.Errorf("%q gives both words and an error", line)
		}
	})
}
