package pytorch

import (
	"slices"
	"strings"
	"testing"
)

func TestEngineCommand(t *testing.T) {
	for name, value := range map[string]string{
		"PYTHONPATH": "/elsewhere", "PYTHONHOME": "/elsewhere", "PYTHONDONTWRITEBYTECODE": "1",
		"OMP_WAIT_POLICY": "ACTIVE", "OMP_NUM_THREADS": "64", "HTTPS_PROXY": "kept",
	} {
		t.Setenv(name, value)
	}
	e := &Environment{Python: "/env/venv/bin/python", Sources: "/env/src-0"}
	tests := []struct {
		threads int
		omp     string
		reason  string
	}{
		{2, "2", "as asked"},
		{0, "64", "not asked: the user's own"},
	}
	for _, tt := range tests {
		cmd := e.EngineCommand(tt.threads)
		if want := []string{e.Python, "-m", EngineModule}; !slices.Equal(cmd.Args, want) {
			t.Errorf("arguments %q, want %q", cmd.Args, want)
		}
		got := map[string][]string{}
		for _, kv := range cmd.Env {
			k, v, _ := strings.Cut(kv, "=")
			got[k] = append(got[k], v)
		}
		for name, want := range map[string]string{
			"PYTHONPATH": e.Sources, "PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "OMP_NUM_THREADS": tt.omp, "HTTPS_PROXY": "kept",
		} {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%d threads: %s is %q, want %q once", tt.threads, name, got[name], want)
			}
		}
		for _, name := range []string{"PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "OMP_WAIT_POLICY"} {
			if got[name] != nil {
				t.Errorf("%s is passed on: %q", name, got[name])
			}
		}
	}
}
