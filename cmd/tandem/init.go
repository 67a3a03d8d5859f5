package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func (a *app) initCommand() *cobra.Command {
	var f userFlags
	var sets []string
	var out string
	c := &cobra.Command{
		Use:   "init FILE.py:CALLABLE|FILE.onnx",
		Short: "Write an experiment for a PyTorch model of yours, or for an ONNX file",
		Long: `Write a commented TOML file that compares the native trainer with PyTorch on a model of yours: the model is exported once to see
what it returns, the data are random numbers until you name your own, and the loss follows from the shape of the model's first output.`,
		Example: `  tandem init my_model.py:build --input image=3x32x32
  tandem init my_model.py:build --input tokens=16:int:30522 --input mask=16 --loss cross_entropy -o my.toml
  tandem init model.onnx`,
		Args: userModelArgument("init"),
		RunE: func(c *cobra.Command, args []string) error {
			settings, err := parseSettings(sets)
			if err != nil {
				return err
			}
			if _, stem := modelPlace(args[0]); out == "" {
				out = stem + ".toml"
			}
			if _, err := os.Lstat(out); !errors.Is(err, fs.ErrNotExist) {
				return inputError{fmt.Errorf("%s is there already; remove it, or name another file with --out", out)}
			}
			text, err := a.proposed(c.Context(), args[0], filepath.Dir(out), &f, settings)
			if err != nil {
				return err
			}
			if _, err := parseUserExperiment(text, args[0], filepath.Dir(out), settings); err != nil {
				return err
			}
			file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
			if err != nil {
				return inputError{err}
			}
			_, err = file.WriteString(text)
			if err := errors.Join(err, file.Close()); err != nil {
				return inputError{err}
			}
			if a.json {
				return a.printJSON(map[string]string{"schema": "tandem.init/1", "file": out})
			}
			fmt.Fprintf(a.stdout, "%s is written. \"tandem run %s\" compares both trainings, \"tandem inspect %s\" shows the model.\n", out, out, out)
			return nil
		},
	}
	flags := c.Flags()
	f.add(flags)
	flags.StringVarP(&out, "out", "o", "", "the TOML file (default beside the model's file, under its name)")
	flags.StringArrayVar(&sets, "set", nil, "change a `KEY=VALUE` of the experiment that the model is exported with, such as model.args.width=64")
	return c
}
