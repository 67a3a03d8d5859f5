//go:build unix

package pytorch

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"
)

// uvWheel is a wheel with the script testdata/fake-uv.sh in the place of uv, and its name for this system.
func uvWheel(t *testing.T) (name string, wheel []byte) {
	t.Helper()
	script, err := os.ReadFile("testdata/fake-uv.sh")
	if err != nil {
		t.Fatal(err)
	}
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	platform := "manylinux_2_17_" + arch
	if runtime.GOOS == "darwin" {
		platform = "macosx_11_0_" + map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("uv-1.0.data/scripts/uv")
	if err == nil {
		_, err = w.Write(script)
	}
	if err := errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return "uv-1.0-py3-none-" + platform + ".whl", b.Bytes()
}

func TestSetupWithoutPip(t *testing.T) {
	name, wheel := uvWheel(t)
	sum := fmt.Sprintf("%x", sha256.Sum256(wheel))
	zero := strings.Repeat("0", 64)
	tests := []struct {
		name           string
		listed, served string // the hash that the index states; what it serves
		file           string
		json           bool
		pinned         string
		want           error // nil for success
		says           string
		unreachable    bool
		reason         string
	}{
		{"good", sum, string(wheel), name, true, sum, nil, "", false, ""},
		{"index lies", sum, "virus", name, true, sum, ErrInstall, "hash mismatch", false, "the content is checked, not the promise"},
		{"not pinned", sum, string(wheel), name, true, zero, ErrInstall, "no pinned uv", false, ""},
		{"other system", sum, string(wheel), "uv-1.0-py3-none-plan9_mips.whl", true, sum, ErrInstall, "no pinned uv", false, ""},
		{"HTML alone", sum, string(wheel), name, false, sum, ErrInstall, "PEP 691", false, ""},
		{"no network", sum, string(wheel), name, true, sum, ErrNoNetwork, "python3-venv", true, "another way is named"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			t.Setenv("FAKE_PIP", "false")
			mux := http.NewServeMux()
			mux.HandleFunc("/simple/uv/", func(w http.ResponseWriter, r *http.Request) {
				if !tt.json {
					fmt.Fprint(w, "<!DOCTYPE html>")
					return
				}
				fmt.Fprintf(w, `{"files": [{"filename": %q, "url": "../../files/w", "hashes": {"sha256": %q}}]}`, tt.file, tt.listed)
			})
			mux.HandleFunc("/files/w", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, tt.served) })
			server := httptest.NewServer(mux)
			defer server.Close()
			if tt.unreachable {
				server.Close()
			}
			t.Setenv("PIP_INDEX_URL", server.URL+"/simple")
			want := pinned()
			want.uv = "uv==1.0 \\\n    --hash=sha256:" + tt.pinned + "\n"
			s := &setup{folder: f.folder, venv: f.path("venv"), want: want}
			err := s.make(t.Context())
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if f.calls("python -m pip") != 0 || f.calls("uv pip install") != 1 || f.calls("python -m venv --without-pip") != 1 {
					t.Errorf("programs run:\n%s", f.logText())
				}
				return
			}
			var e *SetupError
			if !errors.Is(err, tt.want) || !errors.As(err, &e) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v, want %v with %q: %s", err, tt.want, tt.says, tt.reason)
			}
			if _, err := os.Stat(venvUV(f.path("venv"))); err == nil {
				t.Error("the failed set-up left a program")
			}
		})
	}
}

func TestWheelFits(t *testing.T) {
	name, _ := uvWheel(t)
	for file, want := range map[string]bool{
		name: true,
		"uv-1.0-py3-none-musllinux_1_1_x86_64.whl": false,
		"uv-1.0.tar.gz":           false,
		"uv-1.0-py3-none-any.whl": false,
		"":                        false,
	} {
		if got := wheelFits(file); got != want {
			t.Errorf("wheelFits(%q) = %v, want %v", file, got, want)
		}
	}
}

// TestNoPipAndNoIndex: without pip and without the address of an index there is nothing to fetch from; the error names both ways out.
func TestNoPipAndNoIndex(t *testing.T) {
	f := newFake(t)
	t.Setenv("FAKE_PIP", "false")
	s := &setup{folder: f.folder, venv: f.path("venv"), want: pinned()}
	err := s.make(t.Context())
	if !errors.Is(err, ErrPythonTooOld) || !strings.Contains(err.Error(), "python3-venv") || !strings.Contains(err.Error(), "PIP_INDEX_URL") {
		t.Errorf("got %v, want an error that names python3-venv and PIP_INDEX_URL", err)
	}
}
