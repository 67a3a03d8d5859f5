package pytorch

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
)

// stamp says what an environment was made from. It is written twice: into the venv before the packages, as the plan
// that an interrupted set-up may go on with, and into the folder as the last act.
type stamp struct {
	Format       int    `json:"format"`
	Requirements string `json:"requirements"` // digest
	Python       string `json:"python"`       // version
	Base         string `json:"base"`         // the interpreter that the venv rests on
	TorchIndex   string `json:"torch_index,omitempty"`
}

const stampFormat = 1

func readStamp(file string) (stamp, error) {
	var s stamp
	b, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("%s: %w", file, err)
	}
	if s.Format != stampFormat {
		return s, fmt.Errorf("%s: format %d, this tandem writes %d", file, s.Format, stampFormat)
	}
	return s, nil
}

func (s stamp) write(file string) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) // gone after the rename
	_, err = tmp.Write(append(b, '\n'))
	if e := tmp.Sync(); err == nil {
		err = e
	}
	if e := tmp.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp.Name(), file)
}

// publicIndex is an index address without the user name and password that may stand in it: it ends up in a file.
func publicIndex(index string) string {
	u, err := url.Parse(index)
	if err != nil || u.User == nil {
		return index
	}
	u.User = nil
	return u.String()
}
