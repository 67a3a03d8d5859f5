package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"tandem/fixtures/experiment"
	"tandem/results/compare"
	"tandem/results/record"
)

// publishedModel is the largest model that stays in a folder made with --publish: such folders are kept in repositories, for ever.
const publishedModel = 1 << 20

func (f *runFlags) addPublish(flags *pflag.FlagSet) {
	flags.BoolVar(&f.publish, "publish", false, "leave a model of more than 1 MiB out of the folder, which then fits a repository; its digest stays, and how to export it again")
}

// leaveOutModel removes a large model from a run's folder, and the record says so.
func leaveOutModel(r *record.Run, folder *compare.Folder, again string) error {
	file := folder.File(modelFile)
	info, err := os.Stat(file)
	if err != nil || info.Size() <= publishedModel {
		return err
	}
	r.Model.FileAbsent = fmt.Sprintf("left out of this folder, since it has %.1f MB: \"%s\" exports it again, and the SHA-256 tells whether it is the same", float64(info.Size())/1e6, again)
	return os.Remove(file)
}

// exportAgain is the command that exports the model of a run with the same settings, and does little else.
func exportAgain(name string, settings []experiment.Setting) string {
	words := []string{"tandem", "run", name}
	for _, s := range settings {
		if strings.HasPrefix(s.Key, "timing.") {
			continue
		}
		words = append(words, "--set", shellWord(s.Key+"="+s.Value))
	}
	return strings.Join(append(words, "--timing=false"), " ")
}

// shellWord is a word for a shell.
func shellWord(word string) string {
	if strings.ContainsAny(word, " \t\"'[]{}()*?!$&|;<>\\`~#") {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return word
}
