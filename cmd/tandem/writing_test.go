//go:build unix

package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var console = regexp.MustCompile("(?ms)^```console\n(.*?)^```")

// TestWritingAnEngine runs every command of the page on writing an engine, the example engine in plain NumPy among them, and wants what stands
// below it: each line is part of the output, and "exit status N" is the status.
func TestWritingAnEngine(t *testing.T) {
	t.Parallel()
	env := located(t)
	page, err := os.ReadFile("../../results/engine/WRITING.md")
	if err != nil {
		t.Fatal(err)
	}
	// A root of its own, so that what the commands write stays out of the checkout.
	root := t.TempDir()
	results, err := filepath.Abs("../../results")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(results, filepath.Join(root, "results")); err != nil {
		t.Fatal(err)
	}
	blocks := console.FindAllStringSubmatch(string(page), -1)
	if len(blocks) < 6 {
		t.Fatalf("the page has %d commands", len(blocks))
	}
	for _, block := range blocks {
		line, expected, _ := strings.Cut(block[1], "\n")
		line, ok := strings.CutPrefix(line, "$ ")
		if !ok {
			t.Errorf("a block begins with no command: %q", line)
			continue
		}
		t.Run(line, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(line, "bin/tandem ", "tandem "))
			cmd.Dir = root
			cmd.Env = append(os.Environ(), "TANDEM_ENV="+env.Folder,
				"PATH="+filepath.Dir(env.Python)+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			status := "exit status 0"
			if err != nil {
				status = err.Error()
			}
			wanted := "exit status 0"
			for want := range strings.Lines(expected) {
				want = strings.TrimSuffix(want, "\n")
				if strings.HasPrefix(want, "exit status ") {
					wanted = want
				} else if !strings.Contains(string(out), want) {
					t.Errorf("the output lacks %q", want)
				}
			}
			if status != wanted {
				t.Errorf("%s, want %s", status, wanted)
			}
			if t.Failed() {
				t.Logf("%s", out)
			}
		})
	}
}
