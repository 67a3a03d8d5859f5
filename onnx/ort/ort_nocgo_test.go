//go:build !cgo

package ort

import (
	"errors"
	"testing"
)

func TestWithoutCgo(t *testing.T) {
	if err := Available(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Available: %v", err)
	}
	if _, err := Version("x"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Version: %v", err)
	}
	if _, err := Run("x", "y", nil); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Run: %v", err)
	}
}
