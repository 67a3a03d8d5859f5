package pytorch

import (
	"errors"
	"strings"
	"testing"
)

func TestReadSamples(t *testing.T) {
	exit := errors.New("exit status 1")
	const good = `{"tensors": ["train/x", "test/x"]}` + "\n"
	for _, tt := range []struct {
		name   string
		stdout string
		ended  error
		kind   string // of the error; "" for none
		says   string
		reason string
	}{
		{"good", good, nil, "", "", ""},
		{"prints", "10 rows\n" + good, nil, "", "", "the answer is the last line"},
		{"user's fault", `{"error": {"kind": "input", "message": "no rows", "detail": "line 3"}}`, exit, "input", "line 3", "its own words, not the exit status"},
		{"crash", "", exit, "internal", "Killed", "the tail of standard error"},
		{"crash after the answer", good, exit, "internal", "exit status 1", "what it wrote may not be whole"},
		{"silent", "", nil, "internal", "answered", "absence is not success"},
		{"nothing", `{"tensors": []}`, nil, "internal", "no tensor", "emptiness is not success"},
		{"null", "null", nil, "internal", "no tensor", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := readSamples([]byte(tt.stdout), tt.ended, []string{"Killed"})
			if tt.kind == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *AnswerError
			if !errors.As(err, &e) || e.Kind != tt.kind || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("got %v, want kind %s and %q: %s", err, tt.kind, tt.says, tt.reason)
			}
			if want := tt.kind != "internal"; AsUserFault(err) != want {
				t.Errorf("user's fault %v, want %v", !want, want)
			}
		})
	}
}
