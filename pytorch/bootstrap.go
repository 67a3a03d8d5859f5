package pytorch

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"runtime"
	"strings"
	"time"
)

// downloadUV fetches uv's wheel from the package index and takes the program out of it. It serves a Python without
// pip, as Debian's is without the packages python3-venv and python3-pip. The hash is checked before anything is used.
func (s *setup) downloadUV(ctx context.Context) error {
	index := ""
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		if index = os.Getenv(name); index != "" {
			break
		}
	}
	if index == "" {
		return &SetupError{
			Err: ErrPythonTooOld, Reason: "this Python has no pip to install packages with",
			Advice: "Install it (Debian, Ubuntu: apt install python3-venv), or set PIP_INDEX_URL to the address of a package index, which uv is then fetched from.",
		}
	}
	s.line("this Python has no pip: fetching uv from " + publicIndex(index))
	program, err := s.fetchUV(ctx, index)
	if err == nil {
		err = os.WriteFile(venvUV(s.venv), program, 0o755)
		if err != nil {
			return folderError(s.folder, err)
		}
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("set-up was interrupted while fetching uv: %w", context.Cause(ctx))
	}
	e := classify(err.Error(), s.folder)
	var network net.Error
	if errors.As(err, &network) {
		e = classify("connection refused", s.folder)
	}
	e.Reason = "fetching uv without pip: " + err.Error()
	e.Advice += " A Python with pip is another way (Debian, Ubuntu: apt install python3-venv)."
	return e
}

// fetchUV finds the wheel for this system among the files of the index's page about uv, in the JSON form of the simple
// repository API (PEP 691), and returns the program in it.
func (s *setup) fetchUV(ctx context.Context, index string) ([]byte, error) {
	page := strings.TrimSuffix(index, "/") + "/uv/"
	body, err := get(ctx, page, "application/vnd.pypi.simple.v1+json")
	if err != nil {
		return nil, err
	}
	var listing struct {
		Files []struct {
			Filename string
			URL      string
			Hashes   map[string]string
		}
	}
	if err := json.Unmarshal(body, &listing); err != nil {
		return nil, fmt.Errorf("%s is not in the JSON form of PEP 691: %w", publicIndex(page), err)
	}
	hashes := s.want.uvHashes()
	for _, f := range listing.Files {
		if !hashes[f.Hashes["sha256"]] || !wheelFits(f.Filename) {
			continue
		}
		base, err := url.Parse(page)
		if err != nil {
			return nil, err
		}
		address, err := base.Parse(f.URL) // may be relative to the page
		if err != nil {
			return nil, err
		}
		s.line("fetching " + f.Filename)
		wheel, err := get(ctx, address.String(), "*/*")
		if err != nil {
			return nil, err
		}
		if sum := sha256.Sum256(wheel); !hashes[hex.EncodeToString(sum[:])] {
			return nil, fmt.Errorf("hash mismatch: %s has SHA-256 %x, which is not pinned", f.Filename, sum)
		}
		return programIn(wheel)
	}
	return nil, fmt.Errorf("no matching distribution: the index lists no pinned uv for %s/%s", runtime.GOOS, runtime.GOARCH)
}

// wheelFits says whether a wheel of uv serves this system. uv's manylinux wheels are linked statically or against any
// glibc that PyTorch accepts; musl is left out because PyTorch has nothing for it.
func wheelFits(name string) bool {
	platform := strings.TrimSuffix(name[strings.LastIndexByte(name, '-')+1:], ".whl")
	arch := map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]
	switch runtime.GOOS {
	case "linux":
		return arch != "" && strings.Contains(platform, "manylinux") && strings.HasSuffix(platform, arch)
	case "darwin":
		return strings.HasPrefix(platform, "macosx") && strings.HasSuffix(platform, runtime.GOARCH) ||
			strings.HasPrefix(platform, "macosx") && runtime.GOARCH == "amd64" && strings.HasSuffix(platform, arch)
	case "windows":
		return platform == "win_"+runtime.GOARCH
	}
	return false
}

// programIn takes the program out of a wheel of uv.
func programIn(wheel []byte) ([]byte, error) {
	z, err := zip.NewReader(bytes.NewReader(wheel), int64(len(wheel)))
	if err != nil {
		return nil, err
	}
	for _, f := range z.File {
		if name := path.Base(f.Name); strings.Contains(f.Name, ".data/scripts/") && (name == "uv" || name == "uv.exe") {
			r, err := f.Open()
			if err != nil {
				return nil, err
			}
			defer r.Close()
			return io.ReadAll(r)
		}
	}
	return nil, errors.New("the wheel holds no program named uv")
}

// get fetches an address. What it refuses to answer within two minutes counts as unreachable.
func get(ctx context.Context, address, accept string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", accept)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("failed to fetch %s: %s", publicIndex(address), resp.Status)
	}
	return io.ReadAll(resp.Body)
}
