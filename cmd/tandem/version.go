package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tandem/onnx/ort"
	"tandem/results/engine"
	"tandem/results/record"
)

// release is the version of the next release.
const release = "0.1.0"

// build is what "tandem version" says; its JSON is the command's result.
type build struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Cgo      bool   `json:"cgo"` // ONNX Runtime can be called
	Protocol int    `json:"engine_protocol"`
	Schema   string `json:"record_schema"`
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which tandem this is and what it was built with",
		Example: "  tandem version --json",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := build{
				Version: version(), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, Cgo: ort.Available() == nil,
				Protocol: engine.Version, Schema: record.Schema,
			}
			if a.json {
				return a.printJSON(b)
			}
			cgo := "with cgo"
			if !b.Cgo {
				cgo = "without cgo (no ONNX Runtime)"
			}
			_, err := fmt.Fprintf(a.stdout, "tandem %s (%s %s/%s, %s; engine protocol %d, record %s)\n", b.Version, b.Go, b.OS, b.Arch, cgo, b.Protocol, b.Schema)
			return err
		},
	}
}

// version is the release and, where the build knows it, the revision.
func version() string {
	v := release
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" && len(s.Value) >= 12 {
				v += "+" + s.Value[:12]
			}
			if s.Key == "vcs.modified" && s.Value == "true" {
				v += "-modified"
			}
		}
	}
	return v
}
