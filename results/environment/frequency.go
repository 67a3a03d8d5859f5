package environment

import (
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
)

// Frequencies returns the present clock frequency of each core in MHz, or nil where the system does not tell. On a
// virtual machine it is often a constant that the host made up.
func Frequencies() []float64 {
	if runtime.GOOS != "linux" {
		return nil
	}
	return readFrequencies(os.DirFS("/"))
}

// readFrequencies prefers what the frequency driver says to what /proc/cpuinfo shows, which is an estimate. (gopsutil
// gives the largest possible frequency, which says nothing about a run.)
func readFrequencies(root fs.FS) []float64 {
	var out []float64
	for i := 0; ; i++ {
		kHz := fields(root, "sys/devices/system/cpu/cpu"+strconv.Itoa(i)+"/cpufreq/scaling_cur_freq")
		if len(kHz) != 1 || positive(kHz[0]) == 0 {
			break
		}
		out = append(out, float64(positive(kHz[0]))/1000)
	}
	if out != nil {
		return out
	}
	data, err := fs.ReadFile(root, "proc/cpuinfo")
	if err != nil {
		return nil
	}
	for l := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(l, ":")
		if strings.TrimSpace(name) != "cpu MHz" {
			continue
		}
		if mhz, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && mhz > 0 && mhz < 1e6 {
			out = append(out, mhz)
		}
	}
	return out
}
