package pytorch

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A folder named in the pattern would leave out __init__.py and bring in bytecode: so the files are matched.
//
//go:embed tandem_pytorch/*.py tandem_pytorch/*/*.py
var pythonFiles embed.FS

// pythonSources maps each file of the Python package, as a slash-separated path, to its content. The package's own
// tests stay behind.
func pythonSources() (map[string][]byte, error) {
	sources := map[string][]byte{}
	err := fs.WalkDir(pythonFiles, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(path, "tandem_pytorch/tests/") {
			return nil
		}
		b, err := pythonFiles.ReadFile(path)
		sources[path] = b
		return err
	})
	return sources, err
}

func sourcesDigest(sources map[string][]byte) string {
	paths := make([]string, 0, len(sources))
	for p := range sources {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	h := sha256.New()
	for _, p := range paths {
		sum := sha256.Sum256(sources[p])
		h.Write([]byte(p + "\x00"))
		h.Write(sum[:])
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// keepSources is how long the unpacked package of another binary is kept after its last use: that binary may be
// running now.
const keepSources = 24 * time.Hour

// unpackSources makes sure that the embedded Python package lies in the folder, byte for byte, and returns the path
// to import it from.
func unpackSources(folder string) (string, error) {
	sources, err := pythonSources()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(folder, "src-"+sourcesDigest(sources))
	now := time.Now()
	if !unpacked(dir, sources) {
		tmp, err := os.MkdirTemp(folder, "src-partial-*")
		if err != nil {
			return "", err
		}
		defer os.RemoveAll(tmp) // gone after the rename
		for path, content := range sources {
			file := filepath.Join(tmp, filepath.FromSlash(path))
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				return "", err
			}
			if err := os.WriteFile(file, content, 0o644); err != nil {
				return "", err
			}
		}
		if err := os.Chmod(tmp, 0o755); err != nil { // MkdirTemp's is for its owner alone
			return "", err
		}
		if err := os.Rename(tmp, dir); err != nil {
			// Somebody else was first, or the folder was changed by hand and is put right.
			if !unpacked(dir, sources) {
				if err := os.RemoveAll(dir); err != nil {
					return "", err
				}
				if err := os.Rename(tmp, dir); err != nil && !unpacked(dir, sources) {
					return "", err
				}
			}
		}
	}
	// A folder of somebody else's, which can be read but not written, is as good: so these may fail.
	_ = os.Chtimes(dir, now, now)
	old, _ := filepath.Glob(filepath.Join(folder, "src-*"))
	for _, o := range old {
		if info, err := os.Stat(o); err == nil && o != dir && now.Sub(info.ModTime()) > keepSources {
			_ = os.RemoveAll(o)
		}
	}
	return dir, nil
}

func unpacked(dir string, sources map[string][]byte) bool {
	for path, want := range sources {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(path)))
		if err != nil || !bytes.Equal(got, want) {
			return false
		}
	}
	return len(sources) > 0
}
