package record

import (
	"encoding/json"
	"os"
	"path/filepath"
)

// WriteSummary writes what many runs came to, for programs to path.json and for people to path.md. Their folder is made where it is missing.
func WriteSummary(path string, summary any, markdown string) error {
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(path+".json", append(text, '\n'), 0o666); err != nil {
		return err
	}
	return os.WriteFile(path+".md", []byte(markdown), 0o666)
}
