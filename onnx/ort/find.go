package ort

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

// EnvLibrary is the environment variable that names the shared library of ONNX Runtime, or the folder that it lies in. It goes
// before everything else: when it is set and wrong, Find fails rather than takes another library.
const EnvLibrary = "TANDEM_ONNXRUNTIME"

// Find looks for ONNX Runtime's shared library: where EnvLibrary points, then in each hint: the library itself, its folder, a
// site-packages folder or a Python environment. The path that it returns is absolute.
func Find(hints ...string) (string, error) {
	if named := os.Getenv(EnvLibrary); named != "" {
		info, err := os.Stat(named)
		if err != nil {
			return "", fmt.Errorf("%w: %s names %s, which does not exist", ErrUnavailable, EnvLibrary, named)
		}
		if !info.IsDir() {
			return filepath.Abs(named)
		}
		if found := within(named); found != "" {
			return filepath.Abs(found)
		}
		return "", fmt.Errorf("%w: %s names the folder %s, which has no %s in it", ErrUnavailable, EnvLibrary, named, pattern())
	}
	hints = slices.DeleteFunc(slices.Clone(hints), func(hint string) bool { return hint == "" })
	for _, hint := range hints {
		if info, err := os.Stat(hint); err == nil && info.Mode().IsRegular() {
			return filepath.Abs(hint)
		}
		if found := within(hint); found != "" {
			return filepath.Abs(found)
		}
	}
	looked := "no folder to look in"
	if len(hints) > 0 {
		looked = "looked in " + strings.Join(hints, ", ")
	}
	return "", fmt.Errorf("%w: no %s found (%s); install the Python package onnxruntime, or set %s to the library", ErrUnavailable, pattern(), looked, EnvLibrary)
}

// pattern is the library's file name on this system; the version follows or precedes the extension.
func pattern() string {
	switch runtime.GOOS {
	case "darwin", "ios":
		return "libonnxruntime*.dylib"
	case "windows":
		return "onnxruntime.dll"
	}
	return "libonnxruntime.so*"
}

// within returns the library in folder or where a Python environment has it; "" when there is none. Of several it takes the last by
// name, which is the newest of equally long version numbers.
func within(folder string) string {
	const capi = "onnxruntime/capi"
	fsys := os.DirFS(folder) // so that a '[' in the folder's name is no pattern
	for _, at := range []string{
		".", "capi", capi, path.Join("site-packages", capi),
		path.Join("lib", "python3*", "site-packages", capi), path.Join("lib64", "python3*", "site-packages", capi),
		path.Join("Lib", "site-packages", capi), // Windows
	} {
		found, err := fs.Glob(fsys, path.Join(at, pattern()))
		if err != nil {
			continue // only a malformed pattern, and these are not
		}
		found = slices.DeleteFunc(found, func(name string) bool {
			// The providers' libraries and folders are not the library.
			info, err := fs.Stat(fsys, name)
			return err != nil || info.IsDir() || strings.Contains(path.Base(name), "providers")
		})
		if len(found) > 0 {
			return filepath.Join(folder, filepath.FromSlash(slices.Max(found)))
		}
	}
	return ""
}
