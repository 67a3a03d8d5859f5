package main

import (
	"os"
	"path/filepath"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/compare"
	"tandem/results/record"
)

func TestLeaveOutModel(t *testing.T) {
	for _, test := range []struct {
		bytes int64
		left  string
	}{
		{1 << 20, ""},
		{13_100_000, `left out of this folder, since it has 13.1 MB: "again" exports it again, and the SHA-256 tells whether it is the same`},
	} {
		folder, err := compare.NewFolder(filepath.Join(t.TempDir(), "run"), compare.ResultFile)
		if err != nil {
			t.Fatal(err)
		}
		defer folder.Discard()
		file := folder.File(modelFile)
		if err := os.WriteFile(file, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(file, test.bytes); err != nil {
			t.Fatal(err)
		}
		r := &record.Run{}
		if err := leaveOutModel(r, folder, "again"); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(file); r.Model.FileAbsent != test.left || os.IsNotExist(err) != (test.left != "") {
			t.Errorf("%d bytes: %q, %v", test.bytes, r.Model.FileAbsent, err)
		}
	}
}

func TestExportAgain(t *testing.T) {
	got := exportAgain("transformer-small", []experiment.Setting{
		{Key: "data.source", Value: "text"}, {Key: "timing.blocks", Value: "3"}, {Key: "data.file", Value: "it's a book.txt"},
	})
	if want := `tandem run transformer-small --set data.source=text --set 'data.file=it'\''s a book.txt' --timing=false`; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}
