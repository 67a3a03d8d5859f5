package engine_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"testing"
	"time"

	"tandem/results/engine"
)

// actVariable makes the test program act as an engine: the value says which one.
const actVariable = "TANDEM_ENGINE_TEST_ACT"

func TestMain(m *testing.M) {
	if act := os.Getenv(actVariable); act != "" {
		os.Exit(perform(act))
	}
	os.Exit(m.Run())
}

// command is this program as an engine that acts.
func command(act string) *exec.Cmd {
	exe, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), actVariable+"="+act)
	return cmd
}

const helloLine = `{"id":1,"result":{"protocol":1,"name":"actor","version":"1","device":"cpu","pid":%d,"dtypes":["float32"],"shared_random":false,"activations":false,"save":false,"versions":{"child":"%d"}}}` + "\n"

// perform is an engine's main. Every act but the first few says hello properly and misbehaves at the second command.
func perform(act string) int {
	in := bufio.NewReader(os.Stdin)
	child := 0
	switch act {
	case "linear":
		if err := engine.Serve(context.Background(), os.Stdin, os.Stdout, newLinear()); err != nil {
			return 1
		}
		return 0
	case "sleep":
		signal.Ignore() // all that can be
		time.Sleep(time.Hour)
		return 0
	case "traceback":
		fmt.Fprintln(os.Stderr, "Traceback (most recent call last):\n  File \"engine.py\", line 1\nModuleNotFoundError: No module named 'torch'")
		return 1
	case "deaf":
		time.Sleep(time.Hour)
		return 0
	case "version":
		fmt.Println(`{"id":1,"result":{"protocol":99,"name":"actor"}}`)
		_, _ = io.Copy(io.Discard, in)
		return 0
	case "nameless":
		fmt.Println(`{"id":1,"result":{"protocol":1}}`)
		_, _ = io.Copy(io.Discard, in)
		return 0
	case "parent":
		return parent()
	}
	if strings.HasPrefix(act, "child-") {
		cmd := command("sleep")
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // so that the pipes stay open
		if err := cmd.Start(); err != nil {
			return 1
		}
		child = cmd.Process.Pid
		act = strings.TrimPrefix(act, "child-")
	}
	if _, err := in.ReadString('\n'); err != nil {
		return 1
	}
	fmt.Printf(helloLine, os.Getpid(), child)
	if _, err := in.ReadString('\n'); err != nil {
		return 0
	}
	switch act {
	case "exit3":
		fmt.Fprintln(os.Stderr, "boom")
		return 3
	case "kill":
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill()
		}
		select {}
	case "exit0":
		return 0
	case "mute":
		os.Stdout.Close()
		time.Sleep(time.Hour)
	case "hang":
		fmt.Fprintln(os.Stderr, "thinking")
		time.Sleep(time.Hour)
	case "garbage":
		fmt.Println("epoch 1: loss 2.3")
	case "id":
		fmt.Println(`{"id":7,"result":{}}`)
	case "nothing":
		fmt.Println(`{"id":2}`)
	case "both":
		fmt.Println(`{"id":2,"result":{"step":1},"error":{"kind":"input","message":"no"}}`)
	case "kind":
		fmt.Println(`{"id":2,"error":{"kind":"mood","message":"no"}}`)
	case "misfit":
		fmt.Println(`{"id":2,"result":{"step":"one"}}`)
	case "short":
		fmt.Println(`{"id":2,"result":{"losses":[1],"seconds":[1],"step":1}}`)
	case "backwards":
		fmt.Println(`{"id":2,"result":{"losses":[1,1],"seconds":[1,-1],"step":2}}`)
	case "oversize":
		block := bytes.Repeat([]byte("a"), 1<<20)
		for {
			if _, err := os.Stdout.Write(block); err != nil {
				return 0
			}
		}
	case "half":
		fmt.Print(`{"id":2,"result":{"st`)
		return 4
	case "flood":
		noise := bytes.Repeat([]byte("\xff\xfe\x00\x1b[31mred \r"), 1<<17)
		_, _ = os.Stderr.Write(noise)
		fmt.Fprintf(os.Stderr, "\n10%%\r50%%\r100%% \xc3\x28 \x1b[2Jlast words\n%s\n", strings.Repeat("é", 5000))
		return 5
	case "refuse":
		fmt.Println(`{"id":2,"error":{"kind":"unsupported","message":"operator Foo (node \"foo_1\")","detail":"trace"}}`)
		_, _ = in.ReadString('\n')
		fmt.Println(`{"id":3,"result":{"step":5,"added_later":true}}`)
		_, _ = in.ReadString('\n')
		fmt.Println(`{"id":4,"result":null}`)
	case "stay":
		fmt.Println(`{"id":2,"result":{}}`)
		time.Sleep(time.Hour)
	case "sorry":
		fmt.Println(`{"id":2,"result":{}}`)
		return 6
	}
	_, _ = io.Copy(io.Discard, in)
	return 0
}

// parent drives an engine that hangs, says its number and waits to be killed.
func parent() int {
	c, err := engine.Start(context.Background(), command("hang"), engine.Options{})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.Hello().PID)
	_, err = c.Memory(context.Background())
	fmt.Fprintln(os.Stderr, err)
	return 1
}
