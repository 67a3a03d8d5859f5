package kernel

// Where is y[i] = a[i*steps[1]] where condition[i*steps[0]], else b[i*steps[2]].
func Where[E any](y []E, condition []bool, a, b []E, steps [3]int) {
	for i := range y {
		if condition[i*steps[0]] {
			y[i] = a[i*steps[1]]
		} else {
			y[i] = b[i*steps[2]]
		}
	}
}
