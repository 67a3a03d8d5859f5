package pytorch

import (
	"errors"
	"strings"
	"testing"
)

func TestReadExport(t *testing.T) {
	exit := errors.New("exit status 1")
	const good = `{"model": "/x/model.onnx", "sha256": "ab", "parameters": 109386, "checks": ["names agree"]}` + "\n"
	tests := []struct {
		name   string
		stdout string
		ended  error
		kind   string // of the error; "" for none
		says   string
		reason string
	}{
		{"good", good, nil, "", "", ""},
		{"model prints", "hello\nfrom the model\n" + good, nil, "", "", "the answer is the last line"},
		{"user's fault", `{"error": {"kind": "unsupported", "message": "no Foo"}}`, exit, "unsupported", "no Foo", "its own words, not the exit status"},
		{"input", `{"error": {"kind": "input", "message": "bad", "detail": "line 3"}}`, exit, "input", "line 3", "the detail is shown"},
		{"error with status 0", `{"error": {"kind": "internal", "message": "bug"}}`, nil, "internal", "bug", "an error is one whatever the status"},
		{"crash", "", exit, "internal", "Segmentation fault", "the tail of standard error"},
		{"crash after the answer", good, exit, "internal", "exit status 1", "what it wrote may not be whole"},
		{"silent", "", nil, "internal", "answered", "absence is not success"},
		{"not JSON", "done\n", nil, "internal", "done", ""},
		{"empty object", "{}", nil, "internal", "no model", "emptiness is not success"},
		{"no digest", `{"model": "/x"}`, nil, "internal", "SHA-256", ""},
		{"no checks", `{"model": "/x", "sha256": "ab", "parameters": 1, "checks": []}`, nil, "internal", "did not check", "a default export is silently wrong"},
		{"null", "null", nil, "internal", "no model", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := readExport([]byte(tt.stdout), tt.ended, []string{"Segmentation fault"})
			if tt.kind == "" {
				if err != nil || got.Model != "/x/model.onnx" || got.SHA256 != "ab" || got.Parameters != 109386 || len(got.Checks) != 1 {
					t.Errorf("got %+v, %v", got, err)
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

func FuzzReadExport(f *testing.F) {
	f.Add([]byte(`{"model": "m", "sha256": "s", "checks": ["c"]}`))
	f.Add([]byte(`{"error": null, "model": 3}`))
	f.Add([]byte("\n\n[]"))
	f.Fuzz(func(t *testing.T, stdout []byte) {
		got, err := readExport(stdout, nil, nil)
		if (got == nil) == (err == nil) {
			t.Errorf("result %v with error %v", got, err)
		}
		if err == nil && (got.Model == "" || got.SHA256 == "") {
			t.Errorf("%q counts as success without a model or its digest", stdout)
		}
	})
}
