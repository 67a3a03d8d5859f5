package record

// Environment is the machine and the programs, as far as they change a result.
type Environment struct {
	Tandem       string            `json:"tandem"` // version
	Go           string            `json:"go"`
	OS           string            `json:"os"`
	Arch         string            `json:"arch"`
	Kernel       string            `json:"kernel,omitempty"`
	CPU          string            `json:"cpu"`
	CPUFeatures  []string          `json:"cpu_features,omitempty"` // those that kernels choose by
	Cores        int               `json:"cores"`                  // that this process may use
	MemoryBytes  int64             `json:"memory_bytes"`
	LoadBefore   []float64         `json:"load_before,omitempty"` // 1, 5 and 15 minutes
	LoadAfter    []float64         `json:"load_after,omitempty"`
	FrequencyMHz []float64         `json:"frequency_mhz,omitempty"` // of each core, when the timing began
	Variables    map[string]string `json:"variables,omitempty"`     // OMP_NUM_THREADS and the like, when set
	CommandLine  []string          `json:"command_line"`
}
