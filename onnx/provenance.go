package onnx

import (
	"strings"

	"tandem/onnx/onnxpb"
)

// Keys under which PyTorch's exporter (torch.onnx with dynamo=True) says where a node comes from.
const (
	scopesKey = "pkg.torch.onnx.name_scopes" // Python list: module paths from the outermost in, then the name of the operation
	traceKey  = "pkg.torch.onnx.stack_trace" // Python traceback, innermost frame last
)

// provenance returns the module path and the source line of a node, "" where the file does not say.
func provenance(p *onnxpb.NodeProto) (module, source string) {
	for _, e := range p.GetMetadataProps() {
		switch e.GetKey() {
		case scopesKey:
			if scopes := pythonStrings(e.GetValue()); len(scopes) >= 2 {
				module = shorten(scopes[len(scopes)-2])
			}
		case traceKey:
			source = sourceLine(e.GetValue())
		}
	}
	return module, source
}

// pythonStrings reads the repr of a list of strings. It understands quotes and backslashes before them, which is all that a module
// path can contain.
func pythonStrings(list string) []string {
	var out []string
	for {
		start := strings.IndexAny(list, `'"`)
		if start < 0 {
			return out
		}
		quote := list[start]
		var b strings.Builder
		i := start + 1
		for ; i < len(list) && list[i] != quote; i++ {
			if list[i] == '\\' && i+1 < len(list) {
				i++
			}
			b.WriteByte(list[i])
		}
		if i >= len(list) {
			return out
		}
		out = append(out, b.String())
		list = list[i+1:]
	}
}

// sourceLine picks the innermost frame that is the user's own, not one of an installed package, and gives the file's base name,
// line and code. Without the folder the text is the same on every machine.
func sourceLine(trace string) string {
	lines := strings.Split(trace, "\n")
	var found string
	for i, line := range lines {
		rest, ok := strings.CutPrefix(strings.TrimSpace(line), `File "`)
		if !ok {
			continue
		}
		path, rest, ok := strings.Cut(rest, `", line `)
		if !ok || installed(path) {
			continue
		}
		number, _, _ := strings.Cut(rest, ",")
		found = path[strings.LastIndexAny(path, `/\`)+1:] + ":" + strings.TrimSpace(number)
		if i+1 < len(lines) {
			if code := strings.TrimSpace(lines[i+1]); code != "" && !strings.HasPrefix(code, `File "`) {
				found += ": " + code
			}
		}
	}
	const most = 120
	if runes := []rune(found); len(runes) > most {
		found = string(runes[:most-3]) + "..."
	}
	return found
}

// installed reports whether a frame's file belongs to PyTorch or another installed package. tandem's exporter cuts the folders off, so
// that PyTorch's own files start with "torch/".
func installed(path string) bool {
	return strings.Contains(path, "site-packages") || strings.Contains(path, "dist-packages") || strings.HasPrefix(path, "torch/")
}
