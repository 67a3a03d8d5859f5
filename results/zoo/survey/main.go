// Command survey compares the zoo's models, all or those named, and writes the table of all as PATH.md and PATH.json. It ends with status 1 if a
// model was trained wrongly.
//
//	go run ./results/zoo/survey [--timing] [--table] [--threads N] FOLDER PATH [MODEL...]
//
// FOLDER keeps the outcomes: with names, those of the other models are what they were. With PATH "-" no table is written.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"time"

	models "tandem/fixtures/zoo"
	"tandem/results/record"
	"tandem/results/zoo"
)

func main() {
	timing := flag.Bool("timing", false, "measure the speed as well")
	table := flag.Bool("table", false, "compare nothing: write the table of what is there")
	threads := flag.Int("threads", 1, "of each engine")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: survey [--timing] [--table] [--threads N] FOLDER PATH [MODEL...]")
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	wrong, err := survey(ctx, *timing, *table, *threads, flag.Arg(0), flag.Arg(1), flag.Args()[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "survey:", err)
		os.Exit(2)
	}
	if wrong > 0 {
		os.Exit(1)
	}
}

func survey(ctx context.Context, timing, table bool, threads int, dir, path string, names []string) (wrong int, err error) {
	all, err := models.Models()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(m models.Model) bool { return m.Name == name }) {
			return 0, fmt.Errorf("the zoo has no %q", name)
		}
	}
	for _, m := range all {
		if table || len(names) > 0 && !slices.Contains(names, m.Name) {
			continue
		}
		start := time.Now()
		status, err := zoo.Run(ctx, "bin/tandem", dir, "fixtures/zoo/models.py", m, "--timing="+strconv.FormatBool(timing), "--threads="+strconv.Itoa(threads))
		if err != nil {
			return 0, err
		}
		fmt.Printf("%-30s exit status %d after %.0f s\n", m.Name, status, time.Since(start).Seconds())
	}
	if path == "-" {
		return 0, nil
	}
	s, err := zoo.Read(dir, all)
	if err != nil {
		return 0, err
	}
	fmt.Printf("%d of %d PASS\n", s.Count(string(record.Pass)), len(s.Entries))
	return s.Count(string(record.Fail)), s.Write(path)
}
