package pytorch

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"regexp"
	"strings"
)

//go:embed requirements.txt
var requirementsText string

//go:embed uv.txt
var uvText string

// requirements is a list of pinned packages, in the format of a pip requirements file.
type requirements struct {
	text string // packages, with hashes
	uv   string // uv alone, with hashes
}

func pinned() requirements { return requirements{text: requirementsText, uv: uvText} }

// digest identifies the requirements: an environment made from others is out of date. Comments do not count.
func (r requirements) digest() string {
	h := sha256.New()
	for line := range strings.Lines(r.text + "\n" + r.uv) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			h.Write([]byte(line + "\n"))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// needed are the packages that tandem imports itself. The others are theirs.
var needed = []string{"torch", "onnx", "onnxscript", "onnxruntime", "safetensors", "numpy"}

var requirementLine = regexp.MustCompile(`(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)`)

// versions maps each needed package to its pinned version.
func (r requirements) versions() map[string]string {
	all := map[string]string{}
	for _, m := range requirementLine.FindAllStringSubmatch(r.text, -1) {
		all[m[1]] = m[2]
	}
	v := map[string]string{}
	for _, name := range needed {
		if all[name] != "" {
			v[name] = all[name]
		}
	}
	return v
}

// uvHashes are the SHA-256 sums, in hexadecimal, of uv's files for all platforms.
func (r requirements) uvHashes() map[string]bool {
	hashes := map[string]bool{}
	for _, f := range strings.Fields(r.uv) {
		if h, ok := strings.CutPrefix(f, "--hash=sha256:"); ok {
			hashes[h] = true
		}
	}
	return hashes
}

// withoutTorch leaves out torch and the packages that only its CUDA build wants. They are recognised by name: NVIDIA's
// carry a prefix, and triton is torch's compiler for GPUs.
func (r requirements) withoutTorch() string {
	var b strings.Builder
	skip := false
	for line := range strings.Lines(r.text) {
		if m := requirementLine.FindStringSubmatch(line); m != nil {
			name := m[1]
			skip = name == "torch" || name == "triton" || strings.HasPrefix(name, "nvidia-") || strings.HasPrefix(name, "cuda-")
		}
		if !skip {
			b.WriteString(line)
		}
	}
	return b.String()
}
