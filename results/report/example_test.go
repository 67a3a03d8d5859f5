package report_test

import (
	"bytes"
	"fmt"
	"strings"

	"tandem/results/record/recordtest"
	"tandem/results/report"
)

func ExampleTerminal() {
	var buf bytes.Buffer
	if err := report.Terminal(&buf, recordtest.Slower(), report.Options{Width: 120}); err != nil {
		fmt.Println(err)
		return
	}
	for line := range strings.Lines(buf.String()) {
		if strings.HasPrefix(line, "PASS") || strings.HasPrefix(line, "Speed") {
			fmt.Print(line)
		}
	}
	// Output:
	// PASS  mnist-mlp: native trains as pytorch does, and the judge is proved
	// Speed (parity PASS)  native is 6.12 times slower than pytorch fused at 1 thread each (95 % interval 6.10 to 6.16)
}
