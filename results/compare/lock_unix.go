//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package compare

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
)

// lock takes the folder for this process, for as long as it lives: two that go on with one run would write into each other's files.
func (u *Unfinished) lock() error {
	f, err := os.OpenFile(u.path(lockFile), os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		who, _ := os.ReadFile(f.Name())
		f.Close()
		return fmt.Errorf("%s: another tandem is at work on this run (process %s)", u.dir, who)
	}
	if err := f.Truncate(0); err == nil { // who holds it is for a reader; the lock is what counts
		_, _ = f.WriteString(strconv.Itoa(os.Getpid()))
	}
	// A file system without locks has none to offer; then nobody is kept out.
	u.unlock = func() { f.Close() }
	return nil
}
