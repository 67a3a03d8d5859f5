package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// onTerminal runs tandem with a terminal of 80 columns as its standard output and error, and returns what it wrote there.
func onTerminal(t *testing.T, environment []string, args ...string) string {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip(err)
	}
	defer master.Close()
	fd := int(master.Fd())
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip(err)
	}
	defer slave.Close()
	if err := unix.IoctlSetWinsize(int(slave.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80}); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tandem", args...)
	cmd.Stdout, cmd.Stderr = slave, slave
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "NO_COLOR=") || strings.HasPrefix(v, "TERM=") }), "TERM=xterm")
	cmd.Env = append(cmd.Env, environment...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	out, _ := io.ReadAll(master) // ends with an error when the last one has closed the other end
	_ = cmd.Wait()
	return string(out)
}

// TestColour: a terminal gets colours unless the user wants none, which every command respects.
func TestColour(t *testing.T) {
	dir := t.TempDir()
	before, after := filepath.Join(dir, "before.json"), filepath.Join(dir, "after.json")
	for path, r := range map[string]*record.Run{before: recordtest.Faster(), after: recordtest.Failed()} {
		if err := record.Write(path, r); err != nil {
			t.Fatal(err)
		}
	}
	const colour = "\x1b["
	for _, args := range [][]string{
		{"report", before},
		{"report", after, "--quiet"},
		{"diff", before, after},
		{"history", before, after},
		{"doctor"},
		{"list"},
		{"check", "mnist-mlp", "--threads=1"},
	} {
		// A bar is drawn by moving the cursor and erasing the line, which is no colour.
		without := func(said string) string { return strings.ReplaceAll(said, "\x1b[K", "") }
		coloured := without(onTerminal(t, nil, args...))
		if coloured == "" {
			t.Errorf("tandem %v said nothing", args)
		}
		if slices.Contains([]string{"report", "diff", "check"}, args[0]) && !strings.Contains(coloured, colour) {
			t.Errorf("tandem %v has no colour on a terminal:\n%q", args, coloured)
		}
		for _, plain := range []string{"NO_COLOR=1", "TERM=dumb"} {
			if said := without(onTerminal(t, []string{plain}, args...)); strings.Contains(said, colour) || said == "" {
				t.Errorf("tandem %v with %s:\n%q", args, plain, said)
			}
		}
	}
}
