package kernel

// OneHot sets y, of outer x depth x inner elements, to values[0], and to values[1] where the middle index is number(i), i counting
// outer x inner numbers. A negative number counts from the end, one outside has no place.
func OneHot[E any](y, values []E, number func(i int) int64, outer, depth, inner int) {
	for i := range y {
		y[i] = values[0]
	}
	for i := range outer * inner {
		n := number(i)
		if n < 0 {
			n += int64(depth)
		}
		if n >= 0 && n < int64(depth) {
			y[(i/inner*depth+int(n))*inner+i%inner] = values[1]
		}
	}
}
