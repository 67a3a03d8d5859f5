package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tandem/results/compare"
	"tandem/results/environment"
)

// resumeUsage is the help of the flag that run and bench share.
const resumeUsage = "go on with the interrupted run in the folder `DIR`, or beside it, with all its settings; it takes no experiment and no other setting"

// resume goes on with an interrupted run or bench, by the arguments that it was called with.
func (a *app) resume(c *cobra.Command, dir string) error {
	var extra string
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if f.Changed && f.Name != "resume" {
			extra = f.Name
		}
	})
	if extra != "" {
		return usageError{fmt.Errorf("%s: --resume takes all settings from the interrupted run: give no --%s", c.Name(), extra)}
	}
	dir, err := compare.FindUnfinished(dir)
	if err != nil {
		return inputError{fmt.Errorf("%s: --resume: %w", c.Name(), err)}
	}
	now, err := setup(nil)
	if err != nil {
		return err
	}
	u, err := compare.Reopen(dir, *now, compare.ResultFile)
	if err != nil {
		return inputError{err}
	}
	if kept := u.Kept(); kept != "" && !a.quiet {
		fmt.Fprintf(a.stderr, "going on with what is finished: %s\n", kept)
	}
	again := &app{stdin: a.stdin, stdout: a.stdout, stderr: a.stderr, unfinished: u}
	root := again.command()
	arguments := append([]string{}, u.Setup.Arguments...)
	for name, on := range map[string]bool{"json": a.json, "quiet": a.quiet, "verbose": a.verbose} {
		if on {
			arguments = append(arguments, "--"+name)
		}
	}
	root.SetArgs(arguments)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	err = root.ExecuteContext(c.Context())
	a.ifInterrupted, a.left = again.ifInterrupted, again.left
	return err
}

// resumeArguments allows --resume without an experiment.
func resumeArguments(c *cobra.Command, args []string) (bool, error) {
	if !c.Flags().Changed("resume") {
		return false, nil
	}
	if len(args) > 0 {
		return true, usageError{fmt.Errorf("%s: --resume takes the experiment from the interrupted run: name none", c.Name())}
	}
	return true, nil
}

// begin opens the run's folder at out: a new one, or that of the interrupted run that is gone on with.
func (a *app) begin(c *cobra.Command, name, out string) (*compare.Unfinished, error) {
	if a.unfinished != nil {
		return a.unfinished, nil
	}
	folder, err := compare.NewFolder(out, compare.ResultFile)
	if err != nil {
		return nil, inputError{err}
	}
	s, err := setup(arguments(c, name, out))
	if err != nil {
		folder.Discard()
		return nil, err
	}
	u, err := compare.Keep(folder, *s)
	if err != nil {
		folder.Discard()
		return nil, err
	}
	return u, nil
}

// end leaves a run's folder: nothing is left to do after a success, which has moved it; else what is finished stays, and the user is told.
func (a *app) end(u *compare.Unfinished, committed bool) {
	if committed {
		u.Close()
		u.Folder.Discard()
		return
	}
	kept := u.Kept()
	dir, err := u.Suspend()
	switch {
	case dir != "":
		if kept == "" {
			kept = "nothing yet"
		}
		a.left = fmt.Sprintf("finished and kept: %s; to go on with the rest: tandem run --resume %s", kept, shellWord(shorten(dir)))
		a.ifInterrupted = a.left
	case err != nil:
		a.ifInterrupted = "nothing was kept: " + err.Error()
	}
}

// setup describes this process, for a run that may be interrupted and gone on with.
func setup(arguments []string) (*compare.Setup, error) {
	wd, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	f, err := os.Open(self)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	s := &compare.Setup{Arguments: arguments, Directory: wd, Tandem: version(), Program: hex.EncodeToString(h.Sum(nil)), Environment: environment.Capture()}
	s.Environment.Tandem = version()
	return s, nil
}

// arguments are those that make the same comparison again, in the folder out.
func arguments(c *cobra.Command, name, out string) []string {
	words := []string{c.Name(), name}
	c.NonInheritedFlags().VisitAll(func(f *pflag.Flag) {
		if !f.Changed || f.Name == "out" {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				words = append(words, "--"+f.Name+"="+v)
			}
			return
		}
		words = append(words, "--"+f.Name+"="+f.Value.String())
	})
	if abs, err := filepath.Abs(out); err == nil {
		out = abs
	}
	return append(words, "--out="+out)
}

// verdictOnly reports whether a run came to its end: a verdict that is no PASS is a result.
func verdictOnly(err error) bool {
	var verdict verdictError
	return err == nil || errors.As(err, &verdict)
}
