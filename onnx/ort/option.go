package ort

// Option changes how Run computes.
type Option func(*options)

type options struct{ threads int }

// Threads sets the number of threads that one operator may use; the default is 1, because the results may depend on it.
func Threads(n int) Option { return func(o *options) { o.threads = n } }

func collect(list []Option) options {
	o := options{threads: 1}
	for _, set := range list {
		set(&o)
	}
	return o
}
