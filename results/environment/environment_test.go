package environment

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestCapture(t *testing.T) {
	t.Setenv("OMP_NUM_THREADS", "3")
	t.Setenv("TANDEM_ACCESS_TOKEN", "abc")
	e := Capture()
	if e.Go != runtime.Version() || e.OS != runtime.GOOS || e.Arch != runtime.GOARCH || e.Tandem == "" || e.CPU == "" {
		t.Errorf("incomplete: %+v", e)
	}
	if e.Cores < 1 || e.Cores > runtime.NumCPU() {
		t.Errorf("%d cores of %d", e.Cores, runtime.NumCPU())
	}
	if e.MemoryBytes < 1<<26 {
		t.Errorf("%d bytes of memory", e.MemoryBytes)
	}
	if e.Variables["OMP_NUM_THREADS"] != "3" || e.Variables["TANDEM_ACCESS_TOKEN"] != "" {
		t.Errorf("variables: %v", e.Variables)
	}
	if len(e.CommandLine) == 0 || strings.ContainsAny(e.CommandLine[0], `/\`) {
		t.Errorf("command line: %q", e.CommandLine)
	}
	if runtime.GOARCH == "arm64" && !slices.Contains(e.CPUFeatures, "asimd") {
		t.Errorf("features: %v", e.CPUFeatures)
	}
	if runtime.GOOS == "linux" && len(e.LoadBefore) != 3 {
		t.Errorf("load: %v", e.LoadBefore)
	}
	for _, v := range slices.Concat(e.LoadBefore, e.FrequencyMHz) {
		if !(v >= 0) || math.IsInf(v, 0) {
			t.Errorf("load or frequency %v", v)
		}
	}
}

func TestFeaturesAreThoseOfTheKernel(t *testing.T) {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil || runtime.GOARCH != "amd64" {
		t.Skip("needs Linux's /proc/cpuinfo on amd64")
	}
	var flags []string
	for l := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(l, ":"); strings.TrimSpace(name) == "flags" {
			flags = strings.Fields(value)
			break
		}
	}
	for _, f := range features() {
		if !slices.Contains(flags, f) {
			t.Errorf("%s is not among the kernel's flags", f)
		}
	}
	for _, f := range []string{"avx2", "fma", "avx512f"} {
		if slices.Contains(flags, f) != slices.Contains(features(), f) {
			t.Errorf("%s: the kernel says %v", f, slices.Contains(flags, f))
		}
	}
}

func TestLimits(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	tests := []struct {
		reason string
		root   fstest.MapFS
		want   limits
	}{
		{"no control groups", fstest.MapFS{}, limits{}},
		{"version 2, own folder", fstest.MapFS{
			"proc/self/cgroup": file("0::/user/run\n"), "sys/fs/cgroup/user/run/cpu.max": file("150000 100000\n"),
			"sys/fs/cgroup/user/run/memory.max": file("max\n"), "sys/fs/cgroup/user/memory.max": file("1073741824\n"),
		}, limits{1.5, 1 << 30}},
		{"version 2, the parent's limit is smaller", fstest.MapFS{
			"proc/self/cgroup": file("0::/a/b\n"), "sys/fs/cgroup/a/b/cpu.max": file("400000 100000\n"),
			"sys/fs/cgroup/a/cpu.max": file("200000 100000\n"),
		}, limits{2, 0}},
		{"version 2 in a container: own folder not visible", fstest.MapFS{
			"proc/self/cgroup": file("0::/../../elsewhere\n"), "sys/fs/cgroup/cpu.max": file("50000 100000\n"),
		}, limits{0.5, 0}},
		{"version 1", fstest.MapFS{
			"proc/self/cgroup":                               file("4:memory:/job\n2:cpu,cpuacct:/\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us":             file("300000\n"),
			"sys/fs/cgroup/cpu/cpu.cfs_period_us":            file("100000\n"),
			"sys/fs/cgroup/memory/job/memory.limit_in_bytes": file("2147483648\n"),
		}, limits{3, 2 << 30}},
		{"version 1 without a limit", fstest.MapFS{
			"proc/self/cgroup": file("2:cpu:/\n"), "sys/fs/cgroup/cpu/cpu.cfs_quota_us": file("-1\n"), "sys/fs/cgroup/cpu/cpu.cfs_period_us": file("100000\n"),
		}, limits{}},
		{"nonsense", fstest.MapFS{
			"proc/self/cgroup": file("::\nabc\n0::/\n"), "sys/fs/cgroup/cpu.max": file("1 0\n"), "sys/fs/cgroup/memory.max": file("-5\n"),
		}, limits{}},
	}
	for _, test := range tests {
		if got := readLimits(test.root); got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.reason, got, test.want)
		}
	}
}

func TestCeil(t *testing.T) {
	for x, want := range map[float64]int{0.1: 1, 1: 1, 1.5: 2, 8: 8} {
		if got := ceil(x); got != want {
			t.Errorf("ceil(%v) = %d, want %d", x, got, want)
		}
	}
}

func TestFrequencies(t *testing.T) {
	cpuinfo := &fstest.MapFile{Data: []byte("processor\t: 0\ncpu MHz\t\t: 2596.144\nprocessor\t: 1\ncpu MHz\t\t: 2601.5\ncpu MHz : fast\n")}
	driver := fstest.MapFS{
		"proc/cpuinfo": cpuinfo,
		"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": {Data: []byte("3689100\n")},
		"sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq": {Data: []byte("3701400\n")},
	}
	tests := []struct {
		reason string
		root   fstest.MapFS
		want   []float64
	}{
		{"nothing known", fstest.MapFS{}, nil},
		{"a virtual machine without a driver", fstest.MapFS{"proc/cpuinfo": cpuinfo}, []float64{2596.144, 2601.5}},
		{"the driver knows better", driver, []float64{3689.1, 3701.4}},
	}
	for _, test := range tests {
		if diff := cmp.Diff(test.want, readFrequencies(test.root)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.reason, diff)
		}
	}
}

func TestVariables(t *testing.T) {
	got := variables([]string{
		"PATH=/bin", "OMP_NUM_THREADS=1", "KMP_AFFINITY=granularity=fine", "GOMAXPROCS=", "HOME=/home/ann", "broken",
		"TANDEM_INDEX=https://ann:pass@index.example/cpu", "TORCH_HOME=/home/ann/torch", "TANDEM_API_KEY=k", "MKL_VERBOSE=1", "AOMP_X=1",
		"LD_PRELOAD=/home/anna/lib.so:/home/ann", "TORCH_AUTH=x",
	}, "/home/ann")
	want := map[string]string{
		"OMP_NUM_THREADS": "1", "KMP_AFFINITY": "granularity=fine", "GOMAXPROCS": "", "MKL_VERBOSE": "1",
		"TANDEM_INDEX": "https://index.example/cpu", "TORCH_HOME": "~/torch", "LD_PRELOAD": "/home/anna/lib.so:~",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := variables([]string{"PATH=/bin"}, ""); got != nil {
		t.Errorf("none is set and %v came", got)
	}
}

func TestCommandLine(t *testing.T) {
	got := commandLine([]string{"/home/ann/go/bin/tandem", "run", "--out=/home/ann/runs/1", "x/y.toml"}, "/home/ann")
	if diff := cmp.Diff([]string{"tandem", "run", "--out=~/runs/1", "x/y.toml"}, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if got := presentable("/a/b", "/"); got != "/a/b" {
		t.Errorf("a home of / makes %q", got)
	}
}

func TestResident(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("resident memory is not read on " + runtime.GOOS)
	}
	before, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	const size = 64 << 20
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	after, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	runtime.KeepAlive(block)
	// The kernel counts in batches; half of the block is far beyond its inexactness.
	if after.CurrentBytes-before.CurrentBytes < size/2 {
		t.Errorf("%d bytes before 64 MiB were touched, %d after", before.CurrentBytes, after.CurrentBytes)
	}
	if after.PeakBytes < after.CurrentBytes-size/8 || after.PeakBytes < before.PeakBytes {
		t.Errorf("peak %d, before %d, current %d", after.PeakBytes, before.PeakBytes, after.CurrentBytes)
	}
	if runtime.GOOS == "linux" && (after.ProgramBytes < 1<<20 || after.ProgramBytes-before.ProgramBytes > size/2) {
		t.Errorf("the program has %d bytes of the resident ones, had %d before 64 MiB were touched", after.ProgramBytes, before.ProgramBytes)
	}
	if _, err := Resident(1 << 30); err == nil {
		t.Error("no error for a process that does not exist")
	}
}

func TestParseStatus(t *testing.T) {
	tests := []struct {
		reason, text string
		want         ResidentSet
		err          string
	}{
		{"as Linux writes it", "Name:\tx\nVmHWM:\t    1672 kB\nVmRSS:\t    1600 kB\n", ResidentSet{CurrentBytes: 1600 << 10, PeakBytes: 1672 << 10}, ""},
		{"first line", "VmRSS: 1 kB\nVmHWM: 2 kB", ResidentSet{CurrentBytes: 1 << 10, PeakBytes: 2 << 10}, ""},
		{"a name that looks like it", "Name:\tVmRSS: 5 kB\nVmHWM: 2 kB\n", ResidentSet{}, "no VmRSS"},
		{"zombie", "Name:\tx\nState:\tZ (zombie)\n", ResidentSet{}, "no VmRSS"},
		{"empty", "", ResidentSet{}, "no VmRSS"},
		{"another unit", "VmRSS: 1 MB\nVmHWM: 2 kB\n", ResidentSet{}, "no VmRSS"},
		{"negative", "VmRSS: -1 kB\nVmHWM: 2 kB\n", ResidentSet{}, "VmRSS is"},
		{"overflow", "VmRSS: 1 kB\nVmHWM: 9223372036854775807 kB\n", ResidentSet{}, "VmHWM is"},
	}
	for _, test := range tests {
		got, err := parseStatus([]byte(test.text))
		if got != test.want || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %+v, %v; want %+v, %q", test.reason, got, err, test.want, test.err)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("VmHWM:\t1672 kB\nVmRSS:\t1600 kB\n"))
	f.Add([]byte("VmHWM:"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := parseStatus(text)
		if r.CurrentBytes < 0 || r.PeakBytes < 0 || err != nil && r != (ResidentSet{}) {
			t.Errorf("%q: %+v, %v", text, r, err)
		}
	})
}

func TestProgramBytes(t *testing.T) {
	mapping := func(head string, rss, anonymous int) string {
		return fmt.Sprintf("%s\nSize:              9000 kB\nRss:             %7d kB\nAnonymous:       %7d kB\nVmFlags: rd ex mr\n", head, rss, anonymous)
	}
	const (
		code      = "55dd3100c000-55dd31012000 r-xp 00002000 fe:00 247278                     /usr/bin/head"
		constants = "55dd3100a000-55dd3100c000 r--p 00000000 fe:00 247278                     /usr/bin/head"
		variables = "55dd31012000-55dd31014000 rw-p 00008000 fe:00 247278                     /usr/bin/head"
		data      = "7f0000000000-7f0000100000 r--s 00000000 fe:00 247279                     /home/ann/data set"
		twin      = "7f0000000000-7f0000100000 r--s 00000000 fe:01 247278                     /mnt/data"
		heap      = "55dd3100c000-55dd31012000 rw-p 00000000 00:00 0                          [heap]"
		nameless  = "7f1000000000-7f1000100000 rwxp 00000000 00:00 0"
		generated = "7f2000000000-7f2000100000 r-xs 00000000 00:01 1024                       /memfd:jit (deleted)"
		shared    = "7f2000000000-7f2000100000 rwxs 00000000 00:05 1025                       /dev/zero (deleted)"
		replaced  = "7f3000000000-7f3000100000 r-xp 00000000 fe:00 247280                     /usr/lib/libc.so.6 (deleted)"
	)
	tests := []struct {
		reason string
		smaps  string
		want   int64 // KiB
		err    string
	}{
		{"empty", "", 0, ""},
		{"constants of an executed file, before its code and after", mapping(constants, 8, 0) + mapping(code, 24, 0) + mapping(constants, 1, 0), 33, ""},
		{"pages that were written", mapping(code, 24, 4) + mapping(variables, 12, 8), 24, ""},
		{"data that is mapped", mapping(code, 24, 0) + mapping(data, 900, 0), 24, ""},
		{"a file of the same number on another device", mapping(code, 24, 0) + mapping(twin, 900, 0), 24, ""},
		{"memory without a file", mapping(code, 24, 0) + mapping(heap, 7, 7) + mapping(nameless, 5, 0), 24, ""},
		{"code that was generated", mapping(generated, 64, 0) + mapping(shared, 32, 0), 0, ""},
		{"a library that was replaced while it ran", mapping(replaced, 64, 0), 64, ""},
		{"cut short", mapping(code, 24, 0) + variables, 24, ""},
		{"another unit", code + "\nRss: 24 MB\n", 0, `"Rss: `},
		{"no number", code + "\nRss: many kB\n", 0, `"Rss: `},
		{"negative", code + "\nAnonymous: -1 kB\n", 0, `"Anonymous: `},
	}
	for _, test := range tests {
		got, err := programBytes(strings.NewReader(test.smaps))
		if got != test.want<<10 || (err == nil) != (test.err == "") || err != nil && !strings.Contains(err.Error(), test.err) {
			t.Errorf("%s: got %d, %v; want %d, %q", test.reason, got, err, test.want<<10, test.err)
		}
	}
}

func FuzzProgramBytes(f *testing.F) {
	f.Add([]byte("55dd3100c000-55dd31012000 r-xp 00002000 fe:00 247278 /usr/bin/head\nRss: 24 kB\nAnonymous: 4 kB\n"))
	f.Add([]byte("Rss: 24 kB\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if n, err := programBytes(bytes.NewReader(text)); n < 0 || err != nil && n != 0 {
			t.Errorf("%q: %d, %v", text, n, err)
		}
	})
}
