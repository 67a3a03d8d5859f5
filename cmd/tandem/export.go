package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tandem/onnx"
	"tandem/onnx/atomicfile"
)

// exportInfo is what "tandem export --json" prints.
type exportInfo struct {
	Schema string       `json:"schema"` // "tandem.export/1"
	File   string       `json:"file"`
	SHA256 string       `json:"sha256"`
	Opset  int64        `json:"opset"`
	Inputs []graphValue `json:"inputs"`

	Outputs []graphValue `json:"outputs"`
	Checks  []string     `json:"checks"` // what the exporter verified
}

func (a *app) exportCommand() *cobra.Command {
	var inputs, sets []string
	var out string
	var opset, static int
	c := &cobra.Command{
		Use:   "export FILE.py:CALLABLE",
		Short: "Write a PyTorch model as ONNX that can be trained, and check it",
		Long: `Export a PyTorch model for training: BatchNorm and dropout work as in training, every parameter keeps its name, nothing is
folded or merged, and the batch size is open, unless --static fixes it. The file says in its metadata which tensors are parameters and buffers. The exporter runs the result
and compares it with the module, its gradients among the rest, before the file is written.

The callable returns a torch.nn.Module. torch.onnx's own export is silently wrong for training.`,
		Example: `  tandem export my_model.py:build --input image=3x32x32 -o model.onnx
  tandem export my_model.py:build --input tokens=16:int:30522 --input mask=16 --set model.args.width=64`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 1 && isONNXFile(args[0]) {
				return usageError{errors.New("export: " + args[0] + " is an ONNX file already; name a model as FILE.py:CALLABLE")}
			}
			return userModelArgument("export")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			parsed, err := parseInputs(inputs)
			if err != nil {
				return err
			}
			if static < 0 {
				return usageError{fmt.Errorf("--static %d is no number of rows", static)}
			}
			if static > 0 {
				sets = append(sets, "model.static=true", fmt.Sprintf("train.batch=%d", static))
			}
			settings, err := parseSettings(append(sets, fmt.Sprintf("model.opset=%d", opset)))
			if err != nil {
				return err
			}
			if out == "" {
				out = strings.TrimSuffix(filepath.Base(modelSource.FindStringSubmatch(args[0])[1]), ".py") + ".onnx"
			}
			m, digest, err := a.exported(c.Context(), args[0], parsed, settings, func(file string) error {
				content, err := os.ReadFile(file)
				if err != nil {
					return err
				}
				return atomicfile.WriteBytes(out, content)
			})
			if err != nil {
				return err
			}
			return a.printExport(m, out, digest)
		},
	}
	flags := c.Flags()
	flags.StringArrayVar(&inputs, "input", nil, inputHelp)
	flags.StringVarP(&out, "out", "o", "", "the ONNX file (default the Python file's name with .onnx)")
	flags.IntVar(&opset, "opset", 20, "ONNX operator set, 18 to 25")
	flags.IntVar(&static, "static", 0, "fix the batch at so many `ROWS`, for a forward that needs one; by default any batch will do")
	flags.StringArrayVar(&sets, "set", nil, "change a `KEY=VALUE` of the experiment, such as model.args.width=64 or seed=1")
	return c
}

// userModelArgument demands one model of the user's.
func userModelArgument(command string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 || !isUserModel(args[0]) {
			return usageError{errors.New(command + ": name one model as FILE.py:CALLABLE, such as my_model.py:build")}
		}
		return nil
	}
}

func (a *app) printExport(m *onnx.Model, file, digest string) error {
	info := exportInfo{
		Schema: "tandem.export/1", File: file, SHA256: digest, Opset: m.Opset[""], Inputs: graphValues(m.Graph.Inputs), Outputs: graphValues(m.Graph.Outputs),
	}
	if m.Manifest != nil {
		info.Checks = m.Manifest.Checks
	}
	if a.json {
		return a.printJSON(info)
	}
	fmt.Fprintf(a.stdout, "%s: operator set %d, SHA-256 %s\n", file, info.Opset, digest)
	if a.quiet {
		return nil
	}
	for _, c := range info.Checks {
		fmt.Fprintf(a.stdout, "  - %s\n", c)
	}
	fmt.Fprintf(a.stdout, "tandem inspect %s shows what is in it.\n", file)
	return nil
}
