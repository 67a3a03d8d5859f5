// Command summarise writes PATH.md and PATH.json of the comparisons in a folder; it ends with status 1 if the judge called one wrong.
//
//	go run ./results/falsealarms/summarise runs/false-alarms/mnist-mlp results/published/false-alarms/mnist-mlp
package main

import (
	"fmt"
	"os"

	"tandem/results/falsealarms"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: summarise FOLDER PATH")
		os.Exit(2)
	}
	s, err := falsealarms.Read(os.Args[1])
	if err == nil {
		err = s.Write(os.Args[2])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "summarise:", err)
		os.Exit(2)
	}
	fmt.Printf("%d comparisons: %d PASS, %d INCONCLUSIVE, %d FAIL\n", len(s.Runs), s.Pass, s.Inconclusive, s.Fail)
	if s.Fail > 0 {
		os.Exit(1)
	}
}
