package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	native "tandem/native/engine"
	"tandem/results/engine"
)

// garbage is the share of the live memory, in percent, that may be garbage. A step makes none: what is there is of load and of the judge's
// commands, and collecting it often costs less than the memory would.
const garbage = 20

// sparing lets little garbage lie, unless the user said how much.
func sparing() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
}

func (a *app) engineCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "engine native",
		Short: "Serve the native trainer's engine protocol on standard input and output",
		Long: `Serve an engine of tandem's own behind the engine protocol, one JSON object a line. "tandem run" starts it so; whoever
writes another engine can talk to it by hand. The protocol is documented in the Go package tandem/results/engine.`,
		Example: `  echo '{"id":1,"command":"hello"}' | tandem engine native`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || args[0] != "native" {
				return usageError{fmt.Errorf("engine: name one of: native")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error {
			sparing()
			return engine.Serve(c.Context(), a.stdin, a.stdout, native.New(version()))
		},
	}
}
