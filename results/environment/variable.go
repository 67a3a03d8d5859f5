package environment

import (
	"regexp"
	"slices"
	"strings"
)

// relevantPrefixes begin the names of variables that change how fast or how exactly a training runs: OpenMP's three
// runtimes, the mathematical libraries, PyTorch, the allocators, and tandem's own.
var relevantPrefixes = []string{
	"OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "BLIS_", "DNNL_", "ONEDNN_", "TORCH_", "TORCHINDUCTOR_", "PYTORCH_", "ATEN_",
	"MALLOC_", "TANDEM_",
}

// relevantNames do so too.
var relevantNames = []string{
	"GOMAXPROCS", "GOAMD64", "GOARM64", "GOGC", "GOMEMLIMIT", "GODEBUG", "GOEXPERIMENT", "LD_PRELOAD", "DYLD_INSERT_LIBRARIES",
	"VECLIB_MAXIMUM_THREADS",
}

// secret matches names that speak of what nobody should publish.
var secret = regexp.MustCompile(`(?i)token|secret|passw|credential|auth|_key`)

// variables picks the relevant ones out of an environment of the form of [os.Environ]. It returns nil when none is set.
func variables(environ []string, home string) map[string]string {
	var out map[string]string
	for _, v := range environ {
		name, value, ok := strings.Cut(v, "=")
		relevant := slices.Contains(relevantNames, name) ||
			slices.ContainsFunc(relevantPrefixes, func(p string) bool { return strings.HasPrefix(name, p) })
		if !ok || !relevant || secret.MatchString(name) {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[name] = presentable(value, home)
	}
	return out
}

// userInfo matches the user name and password of an address.
var userInfo = regexp.MustCompile(`://[^/@\s]*@`)

// presentable is text without the name of the home folder and without passwords in addresses.
func presentable(text, home string) string {
	text = userInfo.ReplaceAllString(text, "://")
	if len(home) < 2 {
		return text // "/" would match everything
	}
	var out strings.Builder
	for {
		before, after, found := strings.Cut(text, home)
		out.WriteString(before)
		if !found {
			return out.String()
		}
		// /home/ann is not the beginning of /home/anna.
		if after == "" || strings.ContainsRune(`/\:;,"' `, rune(after[0])) {
			out.WriteByte('~')
		} else {
			out.WriteString(home)
		}
		text = after
	}
}
