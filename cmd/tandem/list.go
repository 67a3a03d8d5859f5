package main

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"tandem/fixtures/dataset/fashionmnist"
	"tandem/fixtures/experiment"
	"tandem/fixtures/reference"
	"tandem/onnx"
)

// listed is one experiment of "tandem list"; its JSON is the command's result. Numbers that are not known without PyTorch or without the
// data are 0.
type listed struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Model       string `json:"model"`
	Data        string `json:"data"`
	TrainRows   int    `json:"train_rows,omitempty"`
	Batch       int    `json:"batch"`
	Epochs      int    `json:"epochs"`
	Steps       int    `json:"steps,omitempty"`
	Optimizer   string `json:"optimizer"`
	Parameters  int    `json:"parameters,omitempty"`
	// Recorded says that there is a recorded reference for "tandem check".
	Recorded bool `json:"recorded"`
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the built-in experiments",
		Long: `List the built-in experiments: what they train, on what, for how long, and whether there is a recorded PyTorch
reference that "tandem check" needs no Python for. A TOML file of your own is an experiment too: its keys are explained
in fixtures/experiment/builtin/mnist-mlp.toml.`,
		Example: `  tandem list
  tandem list --json`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			var all []listed
			for _, b := range experiment.Builtins() {
				e, err := experiment.Load(b.Name)
				if err != nil {
					return err
				}
				all = append(all, describe(e))
			}
			if a.json {
				return a.printJSON(all)
			}
			_, width := terminal(a.stdout)
			for _, l := range all {
				fmt.Fprintln(a.stdout, l.text(width))
			}
			return nil
		},
	}
}

func describe(e *experiment.Experiment) listed {
	l := listed{
		Name: e.Name, Description: e.Description, Model: e.Model.Source, Data: e.Data.Source, TrainRows: trainRows(e.Data),
		Batch: e.Train.Batch, Epochs: e.Train.Epochs, Optimizer: fmt.Sprintf("%s, learning rate %v", e.Optimizer.Kind, e.Optimizer.LearningRate),
		Recorded: slices.Contains(reference.Names(), e.Name),
	}
	if e.Schedule.Kind != "constant" {
		l.Optimizer += fmt.Sprintf(", %s schedule", e.Schedule.Kind)
	}
	if l.TrainRows > 0 {
		l.Steps = e.Steps(l.TrainRows)
	}
	if l.Recorded {
		l.Parameters = recordedParameters(e.Name)
	}
	return l
}

// trainRows is the number of training samples, as far as it is known without loading them.
func trainRows(d experiment.Data) int {
	all := map[string]int{
		"fashion-mnist-slice": fashionmnist.Train, "fashion-mnist": 60_000, "mnist": 60_000, "synthetic": experiment.DefaultSyntheticTrain,
		"cifar10": 50_000, "fashion-mnist-rgb": fashionmnist.Train, "synthetic-rgb": experiment.DefaultSyntheticTrain,
	}[d.Source]
	if d.Train > 0 && (all == 0 || d.Train < all || strings.HasPrefix(d.Source, "synthetic")) {
		return d.Train
	}
	return all
}

// recordedParameters counts the numbers in the parameters of a recording's model.
func recordedParameters(name string) int {
	recording, err := reference.Open(name)
	if err != nil {
		return 0
	}
	data, err := fs.ReadFile(recording, reference.ModelFile)
	if err != nil {
		return 0
	}
	m, err := onnx.Decode(data, reference.ModelFile)
	if err != nil || m.Manifest == nil {
		return 0
	}
	n := 0
	for _, p := range m.Manifest.Parameters {
		if t := m.Graph.Initializer(p.Name); t != nil {
			n += t.Len()
		}
	}
	return n
}

// text is the experiment for people, on lines of width characters; 0 means 100.
func (l listed) text(width int) string {
	if width == 0 {
		width = 100
	}
	var b strings.Builder
	b.WriteString(l.Name)
	for _, line := range wrapped(l.Description, max(30, width-2)) {
		b.WriteString("\n  " + line)
	}
	fmt.Fprintf(&b, "\n  data       %s", l.Data)
	if l.TrainRows > 0 {
		fmt.Fprintf(&b, ", %s training samples", grouped(l.TrainRows))
	}
	epochs := "epochs"
	if l.Epochs == 1 {
		epochs = "epoch"
	}
	fmt.Fprintf(&b, "\n  training   %s, batch %d, %d %s", l.Optimizer, l.Batch, l.Epochs, epochs)
	if l.Steps > 0 {
		fmt.Fprintf(&b, ", %s steps", grouped(l.Steps))
	}
	if l.Parameters > 0 {
		fmt.Fprintf(&b, "\n  parameters %s", grouped(l.Parameters))
	}
	b.WriteString("\n  reference  ")
	if l.Recorded {
		fmt.Fprintf(&b, "recorded: tandem check %s", l.Name)
	} else {
		fmt.Fprintf(&b, "live PyTorch: tandem run %s", l.Name)
	}
	return b.String()
}
