package main

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestWorkflowCallsCommandsThatExist holds the workflow that users copy to the commands and flags that there are.
func TestWorkflowCallsCommandsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../examples/github-actions/tandem.yml")
	if err != nil {
		t.Fatal(err)
	}
	settings := regexp.MustCompile(`(?m)^  SETTINGS: (.+)$`).FindStringSubmatch(string(text))
	if settings == nil {
		t.Fatal("the workflow has no SETTINGS")
	}
	called := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(?:tandem/bin/)?tandem ([a-z].*)$`).FindAllStringSubmatch(string(text), -1) {
		line, _, _ := strings.Cut(m[1], " |")
		called[checkLine(t, strings.NewReplacer(`"$EXPERIMENT"`, "tandem.toml", "$SETTINGS", settings[1]).Replace(line))] = true
	}
	for _, name := range []string{"setup", "run", "diff", "report"} {
		if !called[name] {
			t.Errorf("the workflow does not call %s", name)
		}
	}
}

// TestWorkflowPinsItsActions: a tag can be moved, the name of a commit cannot.
func TestWorkflowPinsItsActions(t *testing.T) {
	text, err := os.ReadFile("../../examples/github-actions/tandem.yml")
	if err != nil {
		t.Fatal(err)
	}
	pinned := regexp.MustCompile(`^[a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
	uses := regexp.MustCompile(`(?m)uses: (.+)$`).FindAllStringSubmatch(string(text), -1)
	if len(uses) < 5 {
		t.Errorf("the workflow uses %d actions", len(uses))
	}
	for _, m := range uses {
		if !pinned.MatchString(m[1]) {
			t.Errorf("%s is not pinned to a commit with its version beside it", m[1])
		}
	}
}
