package main

import (
	"context"
	"go/parser"
	"go/token"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// manual is the package comment.
func manual(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "main.go", nil, parser.ParseComments|parser.PackageClauseOnly)
	if err != nil {
		t.Fatal(err)
	}
	if f.Doc == nil {
		t.Fatal("main.go has no package comment")
	}
	return f.Doc.Text()
}

func command() *cobra.Command {
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: io.Discard}
	c := a.command()
	c.InitDefaultHelpCmd()
	c.InitDefaultCompletionCmd()
	return c
}

var invocation = regexp.MustCompile(`(?m)^\t(?:.*\| )?tandem ([^\n]*)`)

// TestManualNamesCommandsThatExist: each command line of the manual is one that the program accepts as far as its command, flags and
// number of arguments go, and every command is in the manual.
func TestManualNamesCommandsThatExist(t *testing.T) {
	named := map[string]bool{}
	for _, m := range invocation.FindAllStringSubmatch(manual(t), -1) {
		line, _, _ := strings.Cut(m[1], "  ") // a column of explanations follows
		named[checkLine(t, line)] = true
	}
	for _, c := range command().Commands() {
		if !c.Hidden && !named[c.Name()] {
			t.Errorf("the manual does not name the command %s", c.Name())
		}
	}
}

// TestHelpExamples holds the examples of --help to the same.
func TestHelpExamples(t *testing.T) {
	for _, c := range command().Commands() {
		if c.Name() == "help" || c.Name() == "completion" {
			continue // cobra's own
		}
		if c.Short == "" || c.Example == "" {
			t.Errorf("%s has no description or no example", c.Name())
		}
		for line := range strings.Lines(c.Example) {
			_, line, ok := strings.Cut(strings.TrimSpace(line), "tandem ")
			if !ok {
				t.Errorf("%s: the example %q calls no tandem", c.Name(), line)
				continue
			}
			checkLine(t, line)
		}
	}
}

// checkLine parses a command line as the program does, without running it, and returns its command.
func checkLine(t *testing.T, line string) string {
	t.Helper()
	words, err := splitCommand(line)
	if err != nil {
		t.Errorf("tandem %s: %v", line, err)
		return ""
	}
	root := command()
	c, rest, err := root.Find(words)
	if err != nil || c == root {
		t.Errorf("tandem %s: no such command (%v)", line, err)
		return ""
	}
	c.SetContext(context.Background())
	if err := c.ParseFlags(rest); err != nil {
		t.Errorf("tandem %s: %v", line, err)
		return ""
	}
	if err := c.ValidateArgs(c.Flags().Args()); err != nil {
		t.Errorf("tandem %s: %v", line, err)
	}
	for c.Parent() != root {
		c = c.Parent()
	}
	return c.Name()
}

// TestManualNamesVariablesAndStatuses: what other packages read from the environment is in the manual, and all exit statuses are.
func TestManualNamesVariablesAndStatuses(t *testing.T) {
	text := manual(t)
	words := strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZ_", r) })
	for _, v := range []string{"TANDEM_ENV", "TANDEM_PYTHON", "TANDEM_TORCH_INDEX", "TANDEM_DATA", "TANDEM_ONNXRUNTIME", "TANDEM_KERNELS", "NO_COLOR"} {
		if !slices.Contains(words, v) {
			t.Errorf("the manual does not name the variable %s", v)
		}
	}
	for _, status := range []string{"0", "1", "2", "3"} {
		if !regexp.MustCompile(`(?m)^\t` + status + "  ").MatchString(text) {
			t.Errorf("the manual does not explain exit status %s", status)
		}
	}
}
