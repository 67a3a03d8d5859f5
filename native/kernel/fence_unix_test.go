//go:build unix

package kernel

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// betweenFences returns at least size bytes, whole pages of them, between two pages that fault when they are touched.
func betweenFences(t testing.TB, size int) []byte {
	t.Helper()
	page := os.Getpagesize()
	size = max(page, (size+page-1)/page*page)
	m, err := unix.Mmap(-1, 0, size+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(m); err != nil {
			t.Error(err)
		}
	})
	for _, fence := range [][]byte{m[:page], m[page+size:]} {
		if err := unix.Mprotect(fence, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : page+size]
}
