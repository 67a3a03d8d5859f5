package engine_test

import (
	"context"
	"fmt"
	"time"

	"tandem/results/engine"
)

// linear is a whole engine: it fits y = a x + b to y = 2x + 1 by gradient descent on the mean squared error. Its main
// is
//
//	func main() {
//		if err := engine.Serve(context.Background(), os.Stdin, os.Stdout, newLinear()); err != nil {
//			log.Fatal(err)
//		}
//	}
type linear struct {
	engine.Unimplemented // refuses what is not written here
	x, y                 []float64
	a, b                 float64
	step                 int64
}

func newLinear() *linear {
	l := &linear{}
	for i := range 8 {
		x := float64(i) / 8
		l.x, l.y = append(l.x, x), append(l.y, 2*x+1)
	}
	return l
}

func (l *linear) Hello() engine.Hello {
	return engine.Hello{Name: "linear", Version: "1", Device: "cpu", DTypes: []string{"float64"}}
}

func (l *linear) Load(_ context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	if p.Mutant != "" {
		return nil, engine.Errorf(engine.KindUnsupported, "no mutant %q", p.Mutant)
	}
	l.a, l.b, l.step = 0, 0, 0
	return &engine.Loaded{Threads: 1}, nil
}

func (l *linear) Step(_ context.Context, n int) (*engine.StepResult, error) {
	r := &engine.StepResult{}
	for range n {
		start := time.Now()
		var loss, da, db float64
		for i, x := range l.x {
			d := l.a*x + l.b - l.y[i]
			loss += d * d / float64(len(l.x))
			da += 2 * d * x / float64(len(l.x))
			db += 2 * d / float64(len(l.x))
		}
		l.a -= 0.5 * da
		l.b -= 0.5 * db
		l.step++
		r.Losses = append(r.Losses, engine.Float(loss))
		r.Seconds = append(r.Seconds, time.Since(start).Seconds())
	}
	r.Step = l.step
	return r, nil
}

// A toy engine behind the protocol, driven as PyTorch is: as a process.
func Example() {
	ctx := context.Background()
	c, err := engine.Start(ctx, command("linear"), engine.Options{}) // command runs the main above
	if err != nil {
		fmt.Println(err)
		return
	}
	defer c.Close()
	if _, err := c.Load(ctx, engine.LoadParams{Threads: 1, Random: engine.RandomOwn}); err != nil {
		fmt.Println(err)
		return
	}
	r, err := c.Step(ctx, 100)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%s: loss %.3f at first, %.3f after %d steps\n", c.Hello().Name, float64(r.Losses[0]), float64(r.Losses[99]), r.Step)
	_, err = c.Memory(ctx)
	fmt.Println(err)
	// Output:
	// linear: loss 3.844 at first, 0.000 after 100 steps
	// engine linear: memory: this engine has no command "memory"
}
