package pytorch

import "syscall"

// dieWithParent has the system kill the process when tandem is killed and so cannot end it.
func dieWithParent(attributes *syscall.SysProcAttr) { attributes.Pdeathsig = syscall.SIGKILL }
