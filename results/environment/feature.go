package environment

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// features lists the processor's instruction sets that kernels choose by, PyTorch's or tandem's own. The names are
// those of Linux's /proc/cpuinfo, also elsewhere.
func features() []string {
	var table []struct {
		name string
		has  bool
	}
	switch runtime.GOARCH {
	case "amd64", "386":
		table = []struct {
			name string
			has  bool
		}{
			{"avx", cpu.X86.HasAVX},
			{"avx2", cpu.X86.HasAVX2},
			{"fma", cpu.X86.HasFMA},
			{"f16c", cpu.X86.HasF16C},
			{"avx512f", cpu.X86.HasAVX512F},
			{"avx512bw", cpu.X86.HasAVX512BW},
			{"avx512dq", cpu.X86.HasAVX512DQ},
			{"avx512vl", cpu.X86.HasAVX512VL},
			{"avx512_vnni", cpu.X86.HasAVX512VNNI},
			{"avx512_bf16", cpu.X86.HasAVX512BF16},
			{"amx_tile", cpu.X86.HasAMXTile},
			{"amx_bf16", cpu.X86.HasAMXBF16},
		}
	case "arm64":
		table = []struct {
			name string
			has  bool
		}{
			{"asimd", cpu.ARM64.HasASIMD},
			{"asimdhp", cpu.ARM64.HasASIMDHP},
			{"asimddp", cpu.ARM64.HasASIMDDP},
			{"sve", cpu.ARM64.HasSVE},
			{"sve2", cpu.ARM64.HasSVE2},
		}
	}
	var out []string
	for _, f := range table {
		if f.has {
			out = append(out, f.name)
		}
	}
	return out
}
