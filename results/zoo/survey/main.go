// Command survey compares the zoo's models, all or those named, and writes the table of all as PATH.md and PATH.json. It ends with status 1 if a
// model was trained wrongly.
//
//	go run ./results/zoo/survey [--timing] [--table] [--threads N] [--at-a-time N] FOLDER PATH [MODEL...]
//
// As many models are compared at a time as there are cores for their threads, or one where the speed is measured.
// FOLDER keeps the outcomes: with names, those of the other models are what they were. With PATH "-" no table is written.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
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
	atATime := flag.Int("at-a-time", 0, "how many models are compared at a time; 0 is as many as the cores allow")
	flag.Parse()
	if flag.NArg() < 2 {
		fmt.Fprintln(os.Stderr, "usage: survey [--timing] [--table] [--threads N] [--at-a-time N] FOLDER PATH [MODEL...]")
		os.Exit(2)
	}
	if *atATime <= 0 {
		*atATime = max(1, runtime.NumCPU()/max(1, *threads))
	}
	if *timing {
		*atATime = 1 // or they would measure each other
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	wrong, err := survey(ctx, *timing, *table, *threads, *atATime, flag.Arg(0), flag.Arg(1), flag.Args()[2:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "survey:", err)
		os.Exit(2)
	}
	if wrong > 0 {
		os.Exit(1)
	}
}

func survey(ctx context.Context, timing, table bool, threads, atATime int, dir, path string, names []string) (wrong int, err error) {
	all, err := models.Models()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(m models.Model) bool { return m.Name == name }) {
			return 0, fmt.Errorf("the zoo has no %q", name)
		}
	}
	var chosen []models.Model
	for _, m := range all {
		if !table && (len(names) == 0 || slices.Contains(names, m.Name)) {
			chosen = append(chosen, m)
		}
	}
	err = zoo.Each(ctx, chosen, atATime, func(ctx context.Context, m models.Model) error {
		start := time.Now()
		status, err := zoo.Run(ctx, "bin/tandem", dir, "fixtures/zoo/models.py", m, "--timing="+strconv.FormatBool(timing), "--threads="+strconv.Itoa(threads))
		if err == nil {
			fmt.Printf("%-30s exit status %d after %.0f s\n", m.Name, status, time.Since(start).Seconds())
		}
		return err
	})
	if err != nil {
		return 0, err
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
