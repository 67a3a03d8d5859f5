package environment

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"

	"tandem/results/record"
)

// Capture describes the machine and this process now. LoadAfter is left for later: see [Load].
func Capture() record.Environment {
	home, _ := os.UserHomeDir()
	e := record.Environment{
		Tandem:       version(),
		Go:           runtime.Version(),
		OS:           runtime.GOOS,
		Arch:         runtime.GOARCH,
		CPUFeatures:  features(),
		Cores:        runtime.NumCPU(), // honours the affinity of the process
		LoadBefore:   Load(),
		FrequencyMHz: Frequencies(),
		Variables:    variables(os.Environ(), home),
		CommandLine:  commandLine(os.Args, home),
	}
	if v, err := host.KernelVersion(); err == nil {
		e.Kernel = v
	}
	e.CPU = runtime.GOARCH
	if infos, err := cpu.Info(); err == nil && len(infos) > 0 && infos[0].ModelName != "" {
		e.CPU = strings.Join(strings.Fields(infos[0].ModelName), " ")
	}
	if m, err := mem.VirtualMemory(); err == nil {
		e.MemoryBytes = int64(m.Total)
	}
	limit := ownLimits()
	if limit.cpus > 0 {
		// A quota of 1.5 processors lets two threads run, though not all the time.
		e.Cores = max(1, min(e.Cores, ceil(limit.cpus)))
	}
	if limit.memoryBytes > 0 && (e.MemoryBytes == 0 || limit.memoryBytes < e.MemoryBytes) {
		e.MemoryBytes = limit.memoryBytes
	}
	return e
}

// Load returns the load averages of the last 1, 5 and 15 minutes, or nil where the system has none, as Windows.
func Load() []float64 {
	if runtime.GOOS == "windows" {
		return nil // gopsutil would sample for a minute in the background
	}
	avg, err := load.Avg()
	if err != nil {
		return nil
	}
	return []float64{avg.Load1, avg.Load5, avg.Load15}
}

// version is the version of the program that this package was built into.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// commandLine keeps the arguments and, of the program's path, the last part.
func commandLine(args []string, home string) []string {
	var out []string
	for i, a := range args {
		if i == 0 {
			a = filepath.Base(a)
		}
		out = append(out, presentable(a, home))
	}
	return out
}

func ceil(x float64) int {
	n := int(x)
	if float64(n) < x {
		n++
	}
	return n
}
