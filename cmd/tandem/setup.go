package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tandem/pytorch"
)

func (a *app) setupCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "setup",
		Short: "Make the Python environment with PyTorch (once; about 5 GB)",
		Long: `Make the Python environment that the PyTorch engine runs in: pinned versions, checked by their hashes. It is skipped
when it is there already, and can be interrupted and called again.

  TANDEM_TORCH_INDEX  address of a package index to take PyTorch from, such as its CPU-only one (about 1 GB instead of 5)
  TANDEM_ENV          folder of the environment; usually .tandem/python in a checkout, else in the user's cache
  TANDEM_PYTHON       the Python interpreter to build on; 3.11 or newer`,
		Example: `  tandem setup
  TANDEM_ENV=~/tandem-python tandem setup --verbose`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			a.ifInterrupted = "call it again, and it goes on with what is there"
			env, err := a.setup(c)
			if err == nil && !a.quiet {
				fmt.Fprintf(a.human(), "PyTorch %s in %s\n", env.Packages["torch"], env.Folder)
			}
			return err
		},
	}
}

// setup makes the Python environment, with progress.
func (a *app) setup(c *cobra.Command) (*pytorch.Environment, error) {
	p := a.newProgress()
	defer p.finish()
	return pytorch.Setup(c.Context(), pytorch.Options{Progress: func(e pytorch.Event) {
		if e.Line == "" {
			p.phase(fmt.Sprintf("set-up %d/%d: %s", e.Step, e.Steps, e.Message), 0, 0)
		} else {
			p.line(e.Line)
		}
	}})
}

func noArguments(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}
