//go:build unix

package pytorch

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestRemoveAllWhileSomebodyWrites: what a killed set-up had started may still write into the folder, a while.
func TestRemoveAllWhileSomebodyWrites(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "venv")
	written := make(chan struct{})
	go func() {
		defer close(written)
		for i := range 20000 {
			_ = os.MkdirAll(filepath.Join(dir, "lib"), 0o777)
			_ = os.WriteFile(filepath.Join(dir, "lib", fmt.Sprint(i)), nil, 0o666)
		}
	}()
	for {
		if err := removeAll(dir); err != nil {
			t.Fatal(err)
		}
		select {
		case <-written:
			if err := removeAll(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("the folder is still there: %v", err)
			}
			return
		default:
		}
	}
}
