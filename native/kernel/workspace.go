package kernel

import "unsafe"

// workspaceKey is what calls that share memory agree in: which of a call's it is, its length, and the element type's size.
type workspaceKey struct{ number, elements, bytes int }

// Workspace returns memory of so many elements for each thread of a pool. All calls prepared for the pool that ask for the same length share
// it, since they run one at a time: what it holds lasts as long as a call. A call that needs several numbers them from 0.
func Workspace[T Float](p *Pool, number, elements int) [][]T {
	// Behind each thread's memory lies what loops fetch ahead past its end (_gen has how much): the next thread's would come over, and go back.
	const apart = 2048
	var zero T
	key := workspaceKey{number, elements, int(unsafe.Sizeof(zero))}
	if w, ok := p.workspaces[key].([][]T); ok {
		return w
	}
	w := make([][]T, p.threads)
	for i := range w {
		w[i] = make([]T, elements+apart/int(unsafe.Sizeof(zero)))[:elements:elements]
	}
	if p.workspaces == nil {
		p.workspaces = map[workspaceKey]any{}
	}
	p.workspaces[key] = w
	return w
}
