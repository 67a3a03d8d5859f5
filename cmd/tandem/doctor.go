package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/spf13/cobra"

	"tandem/fixtures/dataset"
	"tandem/fixtures/dataset/fashionmnist"
	"tandem/onnx/ort"
	"tandem/pytorch"
	"tandem/results/environment"
)

// finding is one line of "tandem doctor".
type finding struct {
	Area   string `json:"area"`
	Name   string `json:"name"`
	Status string `json:"status"` // one of the constants below
	Found  string `json:"found,omitempty"`
	Advice string `json:"advice,omitempty"` // what to do when it is not ok
}

// The statuses of a finding.
const (
	found    = "ok"
	missing  = "missing"  // "tandem run" cannot work
	optional = "optional" // it is not there, and only what Advice names needs it
)

// diagnosis is the result of doctor.
type diagnosis struct {
	Schema   string    `json:"schema"` // "tandem.doctor/1"
	Ready    bool      `json:"ready"`  // "tandem run" can work
	Findings []finding `json:"findings"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Say what is installed, what is missing and how to get it",
		Long: `Look at everything that tandem uses: Python and its environment, ONNX Runtime, processor, memory, disk, data sets. Each line says
ok, missing ("tandem run" cannot work without it) or optional, with the command that helps. Nothing is installed or changed.

Exit status 0 when "tandem run" can work, 2 when not. "tandem check" needs none of it.`,
		Example: `  tandem doctor
  tandem doctor --json`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			d := diagnose(c.Context())
			if err := c.Context().Err(); err != nil {
				return err
			}
			var err error
			if a.json {
				err = a.printJSON(d)
			} else {
				err = a.printDiagnosis(d)
			}
			if err == nil && !d.Ready {
				return inputError{errors.New(`doctor: "tandem run" cannot work yet: see what is missing above; "tandem check" can`)}
			}
			return err
		},
	}
}

func diagnose(ctx context.Context) *diagnosis {
	d := &diagnosis{Schema: "tandem.doctor/1", Ready: true}
	d.program()
	env := d.python(ctx)
	d.onnxRuntime(env)
	d.machine()
	d.data()
	d.folders()
	for _, f := range d.Findings {
		d.Ready = d.Ready && f.Status != missing
	}
	return d
}

func (d *diagnosis) add(area, name, status, what, advice string) {
	if status == found {
		advice = ""
	}
	d.Findings = append(d.Findings, finding{Area: area, Name: name, Status: status, Found: what, Advice: advice})
}

// program is tandem itself and what would build it.
func (d *diagnosis) program() {
	const area = "tandem"
	d.add(area, "tandem", found, version()+", built with "+runtime.Version(), "")
	if path, err := exec.LookPath("go"); err == nil {
		d.add(area, "Go", found, path, "")
	} else {
		d.add(area, "Go", optional, "", "only building tandem needs it: https://go.dev/doc/install")
	}
	if err := ort.Available(); err == nil {
		d.add(area, "cgo", found, "built with it", "")
	} else {
		d.add(area, "cgo", optional, "built without it", "ONNX Runtime, the third look at the forward pass, needs it: build with CGO_ENABLED=1 and a C compiler")
	}
	compilers := []string{"cc", "gcc", "clang"}
	if cc := os.Getenv("CC"); cc != "" {
		compilers = strings.Fields(cc)[:1]
	}
	for _, c := range compilers {
		if path, err := exec.LookPath(c); err == nil {
			d.add(area, "C compiler", found, path, "")
			return
		}
	}
	advice := "only building tandem with cgo needs one"
	switch runtime.GOOS {
	case "linux":
		advice += " (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc)"
	case "darwin":
		advice += " (xcode-select --install)"
	}
	d.add(area, "C compiler", optional, "", advice)
}

// python is PyTorch's side. It returns the environment, nil when there is none.
func (d *diagnosis) python(ctx context.Context) *pytorch.Environment {
	const area = "PyTorch"
	r := pytorch.Inspect(ctx)
	for _, i := range r.Items {
		switch {
		case i.Name == "ONNX Runtime library":
			// With the version, below.
		case i.OK:
			d.add(area, i.Name, found, i.Found, "")
		case i.Name == "Python", i.Name == "Python environment":
			d.add(area, i.Name, missing, i.Found, i.Advice)
		case r.Environment == nil:
			d.add(area, i.Name, missing, i.Found, i.Need+" comes with the Python environment")
		default:
			d.add(area, i.Name, missing, i.Found, i.Need+" is needed: "+i.Advice)
		}
	}
	return r.Environment
}

func (d *diagnosis) onnxRuntime(env *pytorch.Environment) {
	const area, name = "PyTorch", "ONNX Runtime"
	hint := ""
	if env != nil {
		hint = env.ONNXRuntime
	}
	path, err := ort.Find(hint)
	if err != nil {
		d.add(area, name, optional, "", "the third look at the forward pass needs it: "+err.Error())
		return
	}
	if v, err := ort.Version(path); err == nil {
		d.add(area, name, found, v+" ("+path+")", "")
	} else {
		d.add(area, name, optional, path, "the third look at the forward pass needs it: "+err.Error())
	}
}

func (d *diagnosis) machine() {
	const area = "Machine"
	e := environment.Capture()
	what := e.CPU
	if len(e.CPUFeatures) > 0 {
		what += " (" + strings.Join(e.CPUFeatures, ", ") + ")"
	}
	d.add(area, "processor", found, what, "")
	d.add(area, "cores", found, fmt.Sprintf("%d for this process", e.Cores), "")
	if m, err := mem.VirtualMemory(); err == nil {
		d.add(area, "memory", found, fmt.Sprintf("%s, %s free", bytesText(int(e.MemoryBytes)), bytesText(int(min(m.Available, uint64(e.MemoryBytes))))), "")
	}
}

func (d *diagnosis) data() {
	const area = "Data"
	d.add(area, "fashion-mnist-slice", found, fmt.Sprintf("part of tandem: %s training and %s test images", grouped(fashionmnist.Train), grouped(fashionmnist.Test)), "")
	d.add(area, "synthetic", found, "part of tandem: drawn from the seed", "")
	for _, source := range []string{"fashion-mnist", "mnist", "cifar10"} {
		dir, err := dataset.Find(source, dataset.Options{})
		switch {
		case err != nil:
			d.add(area, source, optional, "", err.Error())
		case dir == "":
			d.add(area, source, optional, "", "--data "+source+" downloads it. Otherwise: "+dataset.Advice(source))
		default:
			d.add(area, source, found, dir, "")
		}
	}
}

// leastDisk is what a run with its working files needs at most with the built-in experiments; the environment has what setup says.
const (
	leastDisk        = 1 << 30
	environmentBytes = 6 << 30
)

func (d *diagnosis) folders() {
	const area = "Folders"
	writable := func(name, dir, advice, status string) {
		what := dir
		if free, err := disk.Usage(nearestFolder(dir)); err == nil {
			what += ", " + bytesText(int(free.Free)) + " free"
			if free.Free < leastDisk {
				d.add(area, name, optional, what, "that is little: a run with the full data sets needs up to "+bytesText(leastDisk))
				return
			}
		}
		if err := tryWriting(nearestFolder(dir)); err != nil {
			d.add(area, name, status, what, err.Error()+"; "+advice)
			return
		}
		d.add(area, name, found, what, "")
	}
	if wd, err := os.Getwd(); err == nil {
		writable("working folder", wd, `results go to runs in it: choose another place with --out`, optional)
	}
	writable("temporary folder", os.TempDir(), "engines exchange files there: set TMPDIR to a folder that can be written", missing)
	if cache, err := os.UserCacheDir(); err != nil {
		d.add(area, "cache folder", optional, "", err.Error()+"; downloads need it")
	} else {
		writable("cache folder", filepath.Join(cache, "tandem"), "downloads need it: set XDG_CACHE_HOME to a folder that can be written", optional)
	}
	folder, err := pytorch.Folder()
	if err != nil {
		return // said already
	}
	if _, err := pytorch.Locate(); err == nil {
		return
	}
	if free, err := disk.Usage(nearestFolder(folder)); err == nil && free.Free < environmentBytes {
		d.add(area, "Python environment", optional, folder+", "+bytesText(int(free.Free))+" free", "set-up needs about "+bytesText(environmentBytes)+
			" there, or 1 GiB when TANDEM_TORCH_INDEX names a CPU-only index; TANDEM_ENV chooses another place")
	}
}

// nearestFolder is dir or the first folder above it that exists.
func nearestFolder(dir string) string {
	for {
		if info, err := os.Stat(dir); err == nil && info.IsDir() {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return dir
		}
		dir = parent
	}
}

func tryWriting(dir string) error {
	f, err := os.CreateTemp(dir, ".tandem-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func (a *app) printDiagnosis(d *diagnosis) error {
	marks := map[string]string{found: "ok      ", missing: "missing ", optional: "optional"}
	if colour(a.stdout) {
		marks = map[string]string{found: "\x1b[32mok\x1b[0m      ", missing: "\x1b[31mmissing\x1b[0m ", optional: "\x1b[33moptional\x1b[0m"}
	}
	_, width := terminal(a.stdout)
	if width == 0 {
		width = 100
	}
	var b strings.Builder
	area, names := "", 0
	for _, f := range d.Findings {
		names = max(names, len(f.Name))
	}
	for _, f := range d.Findings {
		if a.quiet && f.Status != missing {
			continue
		}
		if f.Area != area {
			area = f.Area
			fmt.Fprintf(&b, "%s\n", area)
		}
		text := f.Found
		if f.Advice != "" {
			if text != "" {
				text += ". "
			}
			text += f.Advice
		}
		indent := strings.Repeat(" ", 14+names)
		for i, line := range wrapped(text, max(30, width-len(indent))) {
			if i == 0 {
				fmt.Fprintf(&b, "  %s  %-*s  %s\n", marks[f.Status], names, f.Name, line)
			} else {
				fmt.Fprintf(&b, "%s%s\n", indent, line)
			}
		}
	}
	if d.Ready {
		b.WriteString("\"tandem run\" can work.\n")
	}
	_, err := fmt.Fprint(a.stdout, b.String())
	return err
}

// wrapped breaks a text into lines at spaces; a longer word has a line of its own.
func wrapped(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		switch {
		case line == "":
			line = word
		case len([]rune(line))+1+len([]rune(word)) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}
