package main

import (
	"errors"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tandem/fixtures/experiment"
	"tandem/results/compare"
)

// app is what all commands share: where they write, and the flags that are alike everywhere.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer

	json    bool
	quiet   bool
	verbose bool

	ifInterrupted string // what to say of a command that leaves something when it is interrupted
	left          string // what a run that failed has left
	which         string // which of several comparisons is made, for its progress
	// unfinished is the interrupted run that is gone on with.
	unfinished *compare.Unfinished
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "tandem",
		Short: "Compare two trainings of one model: correctness first, speed second",
		Long: `Tandem exports a PyTorch model as ONNX, imports it into its own native trainer with identical weights, trains both
on the same batches, and judges whether the second training is right before it says how fast it is.`,
		Version:       version(),
		SilenceErrors: true, SilenceUsage: true,
		// Without Args cobra refuses an unknown command and names the nearest.
		RunE: func(*cobra.Command, []string) error { return usageError{errors.New("name a command")} },
	}
	flags := root.PersistentFlags()
	flags.BoolVar(&a.json, "json", false, "print the result record as JSON; everything for people goes to standard error")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no progress, and only the verdict's lines")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "more detail, and the engines' own messages")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(a.runCommand(), a.checkCommand(), a.benchCommand(), a.reportCommand(), a.diffCommand(), a.historyCommand(), a.recordCommand(), a.inspectCommand(),
		a.exportCommand(), a.initCommand(),
		a.listCommand(), a.doctorCommand(), a.setupCommand(), a.engineCommand(), a.manCommand(), a.versionCommand())
	return root
}

// completeExperiments offers a shell the built-in experiments, and files.
func completeExperiments(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var names []string
	for _, b := range experiment.Builtins() {
		names = append(names, b.Name)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// human is where text for people goes.
func (a *app) human() io.Writer {
	if a.json {
		return a.stderr
	}
	return a.stdout
}

// terminal reports whether w is a terminal, and its width in columns (0 when unknown).
func terminal(w io.Writer) (bool, int) {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return false, 0
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil {
		return true, 0
	}
	return true, width
}

// colour reports whether w is to get colours: a terminal, and the user has not asked for none (https://no-color.org).
func colour(w io.Writer) bool {
	is, _ := terminal(w)
	return is && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
